"""One message: why it is where it is, what became of it, what may be done."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from duly import Message, MessageNotFound, changing
from duly_web.finding import found
from duly_web.messages_in import Move
from duly_web.pages.doers import doers_of
from duly_web.pages.life import Step, life_of
from duly_web.pages.payloads import told
from duly_web.pages.resources import resource
from duly_web.pages.same import Same
from duly_web.pages.visit import Done, Page, Shown, Visit
from duly_web.pages.words import local
from duly_web.problems import Problem
from duly_web.refs import ref_of
from duly_web.times import written

__all__ = ["ACTS", "message"]

_ONE: Final = "/messages/{ref}"


async def message(visit: Visit) -> Shown:
    """All of a message; of one that is gone, what the history knows of it."""
    return await _page(visit)


async def _page(visit: Visit, **more: Any) -> Shown:
    entries, says = await visit.site.past.life(visit.id)
    if entries is not None and not _sees(visit, entries.entries):
        entries = None  # it is of an event that is none of this user's
    try:
        document = await visit.ask(resource(_ONE), ref=ref_of(visit.id))
    except (MessageNotFound, Problem) as error:
        if entries is None or not entries.entries or _is_other(error):
            raise
        document = None
    snapshot = await visit.snapshot()
    doers = {} if entries is None else await doers_of(visit, entries.entries)
    steps: Sequence[Step] = life_of(visit, entries, document, snapshot.standing.schedulers, doers)
    alike = None
    if document is not None and document.last_error and not visit.hides_errors:
        alike = _alike(document)
    facts = {
        "nav": "messages", "title": visit.id, "id": visit.id, "m": document, "steps": steps,
        "past_says": says, "holes": () if entries is None else entries.holes, "alike": alike,
        "payload": None, "event_name": _name(document, entries),
        "same": _same(visit.id, gone=document is None),
    }  # fmt: skip
    return Shown("message.html", {**facts, **more})


def _same(id: str, *, gone: bool) -> Same:
    words = ["duly", "show", *(["--"] if id.startswith("-") else []), id]
    return Same(shlex.join(words), f"v1/messages/{ref_of(id)}{'/history' if gone else ''}")


def _is_other(error: Exception) -> bool:
    return isinstance(error, Problem) and error.status != 404


def _sees(visit: Visit, entries: Sequence[Any]) -> bool:
    names = {each.event_name for each in entries}
    return all(visit.user.everywhere if name is None else visit.user.sees(name) for name in names)


def _name(document: Any, entries: Any) -> str:
    if document is not None:
        return str(document.event_name)
    return next((e.event_name for e in reversed(entries.entries) if e.event_name), "")


def _alike(document: Any) -> dict[str, str]:
    """The filter of those of its event that failed with an error of the same class."""
    phase = {"dead": "dead", "retrying": "retrying"}.get(document.phase)
    found = {"event_name": document.event_name, "error_class": document.error_class or ""}
    return {**found, **({} if phase is None else {"phase": phase})}


async def payload(visit: Visit) -> Shown:
    """The same page with the payload, which is noted where changes are kept."""
    one = await found(visit.call(ref=ref_of(visit.id)))
    content = visit.site.service.shower(visit.user).payload(one)
    async with changing(visit.client, "payload", target=one.id):
        pass
    kind = one.metadata.get("content-type", "")
    shown = None if content is None else told(content, kind)
    return await _page(visit, payload=shown or told(b"", "", hidden=True))


async def fire(visit: Visit) -> Done:
    """Have it delivered now."""
    fired = await visit.ask(resource(f"{_ONE}/fire", "POST"), ref=ref_of(visit.id))
    return Done(f"messages/{ref_of(fired.id)}?done=fired")


async def replay(visit: Visit) -> Done:
    """Schedule a dead letter again."""
    await visit.ask(resource(f"{_ONE}/replay", "POST"), ref=ref_of(visit.id), body=Move())
    return Done(f"messages/{ref_of(visit.id)}?done=replayed")


async def move(visit: Visit) -> Done:
    """Move a waiting message."""
    body = Move(scheduled_at=written(_at(visit)))
    await visit.ask(resource(_ONE, "PATCH"), ref=ref_of(visit.id), body=body)
    return Done(f"messages/{ref_of(visit.id)}?done=moved")


async def cancel(visit: Visit) -> Done:
    """Take it back; which says whether that came in time."""
    outcome = await visit.ask(resource(_ONE, "DELETE"), ref=ref_of(visit.id))
    if visit.site.past.kept:
        return Done(f"messages/{ref_of(visit.id)}?done={outcome.outcome}")
    return Done(f"messages?done={outcome.outcome}")


async def copy(visit: Visit) -> Done:
    """Schedule another message with the same payload and metadata."""
    one = await found(visit.call(ref=ref_of(visit.id)))
    at = _at(visit)
    made = Message(
        one.event_name, one.payload, scheduled_at=at, id=visit.said("id") or None,
        metadata={**one.metadata},
    )  # fmt: skip
    async with changing(visit.client, "copy", target=one.id, id=made.id) as change:
        await visit.client.schedule(made)
        change.number = 1
    return Done(f"messages/{ref_of(made.id)}?done=copied")


def _at(visit: Visit) -> datetime:
    said = visit.said("at")
    if not said:
        raise Problem(422, "InvalidArgument", "say when. Nothing was done.")
    return local(said, visit.zone, "/at")


ACTS: Final[Mapping[str, tuple[str, Page]]] = {
    "messages/{ref}/fire": ("operate", fire),
    "messages/{ref}/replay": ("operate", replay),
    "messages/{ref}/move": ("operate", move),
    "messages/{ref}/cancel": ("operate", cancel),
    "messages/{ref}/copy": ("schedule", copy),
    "messages/{ref}/payload": ("payload", payload),
}
"""What may be done to one message, each with the right it takes."""
