"""Messages that match a filter, which stands in the URL; and acts on all of them."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import attrs
import msgspec

from duly import Count, CountKind, Filter, Found
from duly_web.documents import Page
from duly_web.filters import Cursor, FilterIn, filter_of
from duly_web.operations.record import Action
from duly_web.pages.dead import to_come
from duly_web.pages.resources import resource
from duly_web.pages.same import filtered
from duly_web.pages.visit import Done, Shown, Visit
from duly_web.problems import Problem
from duly_web.resources.operations import NewOperation
from duly_web.times import written

__all__ = ["begin", "counted", "messages"]

_LIMIT: Final = 50
_LOOKED_AT: Final = 2000  # messages, for a page and for a count
PHASES: Final = ("scheduled", "due", "retrying", "claimed", "dead")
_VERBS: Final[Mapping[str, Action]] = {"cancel": "cancel", "replay": "replay", "purge": "purge"}
_SURE: Final = ("cancel", "purge")  # what cannot be undone


async def messages(visit: Visit) -> Shown:
    """A page of those that match."""
    said = dict(visit.query)
    cursor = said.pop("cursor", None)
    facts: dict[str, Any] = {
        "nav": "messages", "title": "Messages", "said": said, "phases": PHASES, "problem": None,
        "page": None, "count": None, "names": await _names(visit), "echo": "", "meta": _meta(said),
        "to_come": to_come(visit, said),
    }  # fmt: skip
    try:
        filter = _chosen(visit, said)
        key = f"list:{visit.user}:{filter}:{cursor}"
        facts["page"] = await visit.site.recent.get(key, lambda: _listed(visit, filter, cursor))
        facts["count"] = await counted(visit, said)
        facts["same"] = filtered(visit, "list", "v1/messages", said)
    except Problem as problem:
        facts["problem"] = problem
    kept: dict[str, str] = {}
    metadata: dict[str, str] = {}
    if facts["page"] is not None:
        kept, metadata = visit.filters(said)
    echo = {**kept, **{f"meta.{name}": value for name, value in metadata.items()}}
    facts["echo"] = urlencode(echo)
    facts["is_dead"] = said.get("phase") == "dead" or said.get("state") == "dead"
    return Shown("messages.html", facts)


def _meta(said: Mapping[str, str]) -> str:
    """The metadata of a filter as its field holds it: ``key=value``."""
    name = next((each for each in said if each.startswith("meta.") and each != "meta."), None)
    return "" if name is None else f"{name.removeprefix('meta.')}={said[name]}"


def _chosen(visit: Visit, said: Mapping[str, str]) -> Filter:
    query, metadata = visit.many(said)
    redacted = visit.site.service.redact is not None
    return filter_of(query, metadata, visit.user, redacted=redacted)


async def _listed(visit: Visit, filter: Filter, cursor: str | None) -> Page:
    """Some of them; as of the API, but not looking as far at a time."""
    if cursor is None and not _by_state(filter):
        found = await _looked(visit, filter)  # by which they are counted too
        page, last = found.messages[:_LIMIT], found.from_key
        if len(found.messages) > _LIMIT:
            last = page[-1].scheduled_at, page[-1].id
        complete = found.complete and len(page) == len(found.messages)
    else:
        found = await visit.client.search(
            attrs.evolve(filter, limit=_LIMIT),
            look_at=_LOOKED_AT,
            from_key=None if cursor is None else Cursor.read(cursor, filter).key,
            payload=False,
        )
        page, last, complete = found.messages, found.from_key, found.complete
    shower = visit.site.service.shower(visit.user)
    return Page(
        items=[shower.message(each, visit.now) for each in page],
        next=None if last is None else str(Cursor.at(filter, *last)),
        looked_at=found.looked_at,
        complete=complete,
        as_of=written(visit.now),
    )


async def counted(visit: Visit, said: Mapping[str, str]) -> Count:
    """How many match: by what the store counts, else as far as a page looks."""
    filter = _chosen(visit, said)
    if _by_state(filter):
        read = partial(visit.client.count, filter)
        number: Count = await visit.site.recent.get(f"count:{filter}", read)
        return number
    found = await _looked(visit, filter)
    kind = CountKind.EXACT if found.complete else CountKind.AT_LEAST
    return Count(len(found.messages), kind)


def _by_state(filter: Filter) -> bool:
    """Whether the store counts just these."""
    return attrs.evolve(Filter(), state=filter.state) == filter


async def _looked(visit: Visit, filter: Filter) -> Found:
    """Those that match among so many as a page looks at."""
    read = partial(visit.client.search, filter, look_at=_LOOKED_AT, payload=False)
    found: Found = await visit.site.recent.get(f"looked:{filter}", read)
    return found


async def _names(visit: Visit) -> list[str]:
    """Some event names, to choose from."""
    snapshot = await visit.snapshot()
    return [each.name for each in snapshot.names or () if visit.user.sees(each.name)][:100]


async def begin(visit: Visit) -> Done:
    """Begin an operation, in ten seconds; until then it can be stopped as if it had never been.

    Raises:
        Problem: something is missing, or cannot be.
    """
    action = _VERBS.get(visit.said("action"))
    if action is None:
        raise Problem(422, "InvalidArgument", "say what to do: cancel, replay or purge")
    filter = _filter(visit)
    expected = visit.said("expect")
    if action in _SURE and visit.said("sure") != "yes":
        raise Problem(
            422, "InvalidArgument", f"to {action} messages cannot be undone: tick that you are "
            "sure. Nothing was done.",
        )  # fmt: skip
    body = NewOperation(
        action=action,
        filter=filter,
        all=filter == FilterIn(),
        rate_per_second=_rate(visit.said("rate")) if action == "replay" else None,
        expect_at_most=int(expected) if action in _SURE and expected.isdecimal() else None,
        reason=visit.said("reason")[:255],
    )
    made = await visit.ask(resource("/operations", "POST"), body=body)
    return Done(f"operations/{made.id}")


def _filter(visit: Visit) -> FilterIn:
    ids = visit.all_said("id")
    if visit.said("scope") == "selected":
        if not ids:
            raise Problem(422, "InvalidArgument", "no message is selected. Nothing was done.")
        return FilterIn(ids=ids)
    echo = dict(parse_qsl(visit.said("filter"), keep_blank_values=True))
    words, metadata = visit.filters(echo)
    if not visit.user.everywhere and visit.user.events:
        words.setdefault("event_name", visit.user.events[0])
    try:
        return msgspec.convert({**words, "metadata": metadata}, FilterIn, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(422, "InvalidArgument", str(error)) from None


def _rate(said: str) -> float | None:
    if not said:
        return None
    try:
        rate = float(said)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1_000_000:
        raise Problem(422, "InvalidArgument", f"{said!r} a second is no rate: give a number")
    return rate
