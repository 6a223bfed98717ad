"""What a history keeps: what became of a message, and who changed what."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from duly import MessageNotFound, Unsupported
from duly_web.endpoints import Answer, Call, Endpoint
from duly_web.finding import stored
from duly_web.times import Moment, as_moment, maybe

if TYPE_CHECKING:
    from duly_history import ChangeMade, Entry, History

__all__ = ["ENDPOINTS"]

_NOT_KEPT: Final = (
    "is not kept here: that takes duly-history, and application(history=History(URL)), or "
    "DULY_HISTORY for `duly web`"
)

_Limit = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class PastQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of it."""

    limit: _Limit = 100


class ChangesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which changes: all that is given must hold. ``until`` is the ``at`` of the last one seen."""

    since: Moment | None = None
    until: Moment | None = None
    action: str | None = None
    target: str | None = None
    by: str | None = None
    limit: _Limit = 100


class EntryDocument(msgspec.Struct, frozen=True):
    """One thing that happened to a message, seen by ``source``."""

    at: Moment
    what: str
    event_name: str | None
    attempt: int | None
    due_at: Moment | None
    next_at: Moment | None
    late_seconds: float | None
    error_class: str | None
    error: str | None
    receipt: str | None
    detail: str | None
    source: str


class HoleDocument(msgspec.Struct, frozen=True, rename={"since": "from"}):
    """What is not known; ``number`` None: nobody can tell how much."""

    since: Moment
    until: Moment
    number: int | None
    source: str
    reason: str


class PastDocument(msgspec.Struct, frozen=True):
    """What became of a message, the oldest first, and what is not known."""

    items: list[EntryDocument]
    holes: list[HoleDocument]
    complete: bool


class ChangeDocument(msgspec.Struct, frozen=True):
    """What somebody did: written down before it was done."""

    id: str
    at: Moment
    action: str
    target: str
    by: str
    reason: str
    number: int | None
    outcome: str | None
    error: str | None
    ended_at: Moment | None
    filter: dict[str, Any] | None
    details: dict[str, Any]


class ChangesDocument(msgspec.Struct, frozen=True):
    """The latest first."""

    items: list[ChangeDocument]
    complete: bool


async def history(call: Call) -> Answer:
    """What became of a message, also of one that is gone, where that is kept."""
    said: PastQuery = call.query
    id = call.id
    now = await stored(call.client, id)
    keeper = call.service.history
    if keeper is None:
        if now is None or not call.user.sees(now.event_name):
            raise _unknown(id)
        raise Unsupported(f"what became of messages {_NOT_KEPT}")
    found = await keeper.of(id, limit=said.limit)
    names = {each.event_name for each in found.entries if each.event_name is not None}
    if now is not None:
        names.add(now.event_name)
    if not names or not all(map(call.user.sees, names)):
        raise _unknown(id)
    hides = call.service.redact is not None
    holes = [
        HoleDocument(maybe(e.from_at) or "", maybe(e.to_at) or "", e.number, e.source, e.reason)
        for e in found.holes
    ]
    items = [_entry(each, hides=hides) for each in found.entries]
    return Answer(document=PastDocument(items, holes, found.complete))


def _entry(entry: "Entry", *, hides: bool) -> EntryDocument:
    late = entry.lateness
    return EntryDocument(
        at=maybe(entry.at) or "",
        what=entry.what.value,
        event_name=entry.event_name,
        attempt=entry.attempt,
        due_at=maybe(entry.due_at),
        next_at=maybe(entry.next_at),
        late_seconds=None if late is None else late.total_seconds(),
        error_class=entry.error_class,
        error="(hidden)" if hides and entry.error else entry.error,
        receipt=entry.receipt,
        detail=entry.detail,
        source=entry.source,
    )


async def changes(call: Call) -> Answer:
    """Who changed what, where that is kept."""
    call.everywhere()
    keeper: History | None = call.service.history
    if keeper is None:
        raise Unsupported(f"who changed what {_NOT_KEPT}")
    said: ChangesQuery = call.query
    found = await keeper.changes(
        since=None if said.since is None else as_moment(said.since, "/since"),
        until=None if said.until is None else as_moment(said.until, "/until"),
        action=said.action,
        target=said.target,
        by=said.by,
        limit=said.limit,
    )
    shows = "payload" in call.user.rights
    items = [_change(each, shows=shows) for each in found.changes]
    return Answer(document=ChangesDocument(items, found.complete))


def _change(change: "ChangeMade", *, shows: bool) -> ChangeDocument:
    filter = None if change.filter is None else _plain(change.filter)
    if filter and "metadata" in filter and not shows:
        filter["metadata"] = "(hidden)"
    return ChangeDocument(
        id=change.id,
        at=maybe(change.at) or "",
        action=change.action,
        target=change.target,
        by=change.by,
        reason=change.reason,
        number=change.number,
        outcome=change.outcome,
        error=change.error,
        ended_at=maybe(change.ended_at),
        filter=filter,
        details=_plain(change.details),
    )


def _plain(said: Any) -> dict[str, Any]:
    return dict(msgspec.to_builtins(dict(said), enc_hook=str))


def _unknown(id: str) -> MessageNotFound:
    return MessageNotFound(f"nothing is known of a message with id {id!r}")


ENDPOINTS: Final = (
    Endpoint(
        method="GET", path="/messages/{ref}/history", right="read", handler=history,
        query=PastQuery, summary="What became of a message, where that is kept",
        answers={200: PastDocument}, problems=(404,),
    ),
    Endpoint(
        method="GET", path="/changes", right="admin", handler=changes, query=ChangesQuery,
        tag="standing", summary="Who changed what, where that is kept",
        answers={200: ChangesDocument},
    ),
)  # fmt: skip
