"""Acts on all messages that match: begun, looked at, stopped."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import attrs
import msgspec

from duly import Filter, MessageNotFound, State
from duly.message import new_id
from duly.moment import to_microseconds
from duly_web.endpoints import Answer, Call, Endpoint
from duly_web.filters import FilterIn, filter_of
from duly_web.messages_in import Duration
from duly_web.operations.ledger import Entry
from duly_web.operations.record import NOT_YET, Action, OperationDocument, Record
from duly_web.problems import Problem
from duly_web.tags import tag_of
from duly_web.times import Moment, as_duration, as_moment

__all__ = ["ENDPOINTS"]

_UNDO: Final = timedelta(seconds=10)
_LOOKED_AT: Final = 10_000


class NewOperation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An act on all that match now: "cancel", or of dead letters "replay" and "purge".

    It begins at ``starts_at`` or after ``delay``, ten seconds from now unless one is given: until
    then it can be stopped as if it had never been. ``as_of`` is now unless it is given; what was
    scheduled, or died, later is not touched. An empty filter has to be meant: ``all``.
    ``rate_per_second`` spreads the due times of what is replayed.
    """

    action: Action
    filter: FilterIn = msgspec.field(default_factory=FilterIn)
    all: bool = False
    rate_per_second: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] | None = None
    expect_at_most: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] | None = None
    reason: Annotated[str, msgspec.Meta(max_length=255)] = ""
    as_of: Moment | None = None
    starts_at: Moment | None = None
    delay: Duration | None = None


class Operations(msgspec.Struct, frozen=True):
    """The latest first."""

    items: list[OperationDocument]


async def begin(call: Call) -> Answer:
    """Write an operation down; somebody carries it out."""
    said: NewOperation = call.body
    filter = _chosen(call, said)
    service = call.service
    id = f"op-{new_id()}"
    record = Record(
        id=id, action=said.action, filter=said.filter, events=call.user.events,
        rate_per_second=said.rate_per_second, expect_at_most=said.expect_at_most,
        reason=said.reason, by=call.user.name, starts_at=NOT_YET,
        created_at=to_microseconds(datetime.now(UTC)),
    )  # fmt: skip
    entry = await service.runner.ledger.add(record)  # which tells what the store's clock shows
    try:
        record = await _counted(call, said, filter, entry)
    except BaseException:
        await service.runner.ledger.forget(entry)
        raise
    written = await service.runner.ledger.write(entry, record)
    if written is None:
        raise MessageNotFound(f"the operation {id!r} was removed while it was written down")
    service.runner.start()
    service.runner.tell()
    place = f"{call.request.scope['duly_web.root']}/v1/operations/{id}"
    return Answer(document=_told(call, record), status=201, headers={"Location": place})


def _chosen(call: Call, said: NewOperation) -> Filter:
    """The filter, seen to before anything is written."""
    if said.action == "purge":
        call.may("admin")
    redacted = call.service.redact is not None
    filter = filter_of(
        said.filter, said.filter.metadata, call.user, redacted=redacted, under="/filter"
    )
    if said.filter == FilterIn() and not said.all:
        raise _wrong("an empty filter takes them all: say all too, if that is meant", "/filter")
    if said.filter != FilterIn() and said.all:
        raise _wrong("all and a filter cannot go together", "/all")
    if said.action != "cancel":
        if filter.state not in (None, State.DEAD) or said.filter.phase not in (None, "dead"):
            raise _wrong(f"{said.action} takes dead letters only: leave that out", "/filter")
        filter = attrs.evolve(filter, state=State.DEAD, phase=None)
    if said.rate_per_second is not None and said.action != "replay":
        raise _wrong("a rate is for what is replayed", "/rate_per_second")
    if said.starts_at is not None and said.delay is not None:
        raise _wrong("starts_at and delay both say when: give one of them", "/delay")
    return filter


async def _counted(call: Call, said: NewOperation, filter: Filter, entry: Entry) -> Record:
    now = entry.now
    as_of = now if said.as_of is None else as_moment(said.as_of, "/as_of")
    delay = _UNDO if said.delay is None else as_duration(said.delay, "/delay")
    starts_at = now + delay if said.starts_at is None else as_moment(said.starts_at, "/starts_at")
    if as_of > now:
        raise _wrong("as_of must not be later than now", "/as_of")
    found = await call.client.search(filter, look_at=_LOOKED_AT, payload=False)
    number = sum(
        at is None or at <= as_of
        for at in (
            each.created_at if said.action == "cancel" else each.died_at for each in found.messages
        )
    )
    if said.expect_at_most is not None and number > said.expect_at_most:
        some = "" if found.complete else "at least "
        raise Problem(
            409, "WrongState",
            f"{some}{number:,} match, and at most {said.expect_at_most:,} were expected: nothing "
            "was begun", pointer="/expect_at_most",
        )  # fmt: skip
    return msgspec.structs.replace(
        entry.record,
        as_of=to_microseconds(as_of),
        starts_at=to_microseconds(starts_at),
        matched=number,
        matched_at_least=not found.complete,
    )


async def operations(call: Call) -> Answer:
    """All that are kept."""
    call.service.runner.start()
    entries = await call.service.runner.ledger.all()
    items = [_told(call, each.record) for each in entries if _is_theirs(call, each.record)]
    return Answer(document=Operations(items))


async def operation(call: Call) -> Answer:
    """How far one is."""
    record = (await _found(call)).record
    document = _told(call, record)
    return Answer(document=document, tag=tag_of(msgspec.to_builtins(document)))


async def stop(call: Call) -> Answer:
    """Have it stop."""
    record = (await _found(call)).record
    if record.by != call.user.name:
        call.may("admin")
    entry = await call.service.runner.ledger.stop(record.id)
    call.service.runner.tell()
    return Answer(document=_told(call, entry.record))


async def _found(call: Call) -> Entry:
    id = call.request.path_params["id"]
    entry = None
    if id.isascii() and id.isprintable() and len(id) <= 100:
        entry = await call.service.runner.ledger.read(id)
    if entry is None or not _is_theirs(call, entry.record):
        raise MessageNotFound(f"no operation {id!r}: it never was, or ended over a week ago")
    return entry


def _is_theirs(call: Call, record: Record) -> bool:
    """Whether a user sees all events that it may be about; and whether it is begun at all."""
    return record.starts_at != NOT_YET and all(map(call.user.sees, record.events))


def _told(call: Call, record: Record) -> OperationDocument:
    return record.document(hides="payload" not in call.user.rights)


def _wrong(detail: str, pointer: str) -> Problem:
    return Problem(422, "InvalidArgument", detail, pointer=pointer)


_ONE: Final = "/operations/{id}"

ENDPOINTS: Final = (
    Endpoint(
        method="POST", path="/operations", right="operate", handler=begin, body=NewOperation,
        summary="Act on all messages that match", answers={201: OperationDocument},
        problems=(409,), tag="operations",
    ),
    Endpoint(
        method="GET", path="/operations", right="read", handler=operations, tag="operations",
        summary="Acts on many, the latest first", answers={200: Operations},
    ),
    Endpoint(
        method="GET", path=_ONE, right="read", handler=operation, tag="operations",
        summary="How far an act is", answers={200: OperationDocument}, problems=(404,),
    ),
    Endpoint(
        method="DELETE", path=_ONE, right="operate", handler=stop, tag="operations",
        summary="Have it stop", answers={200: OperationDocument}, problems=(404, 409),
    ),
)  # fmt: skip
