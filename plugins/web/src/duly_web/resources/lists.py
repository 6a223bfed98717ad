"""Many messages: page by page, counted, by cause, and what recurs."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import attrs
import msgspec

from duly import Cause, Filter, Message, State, changing
from duly_web.documents import MessageDocument, Page, Redact
from duly_web.endpoints import Answer, Call, Endpoint
from duly_web.filters import Cursor, ListQuery, ManyQuery, filter_of
from duly_web.finding import see_event, stored
from duly_web.messages_in import NewSeries, message_of, pointer_of
from duly_web.problems import Problem
from duly_web.refs import id_of
from duly_web.resources.messages import fires_of
from duly_web.tags import message_tag
from duly_web.times import Moment, written

__all__ = ["ENDPOINTS"]

_LOOKED_AT: Final = 10_000  # messages of one request


class CountDocument(msgspec.Struct, frozen=True):
    """How many messages match."""

    count: int
    kind: Literal["exact", "at_least", "estimate"]


class CauseDocument(msgspec.Struct, frozen=True):
    """Errors that are alike. ``filter`` has the parameters that find them."""

    error_class: str | None
    text: str
    number: int
    event_names: list[str]
    example: str
    first: Moment | None
    last: Moment | None
    filter: dict[str, str]


class CausesDocument(msgspec.Struct, frozen=True):
    """The most frequent cause first."""

    items: list[CauseDocument]
    looked_at: int
    complete: bool


class SeriesQuery(ManyQuery, frozen=True, forbid_unknown_fields=True):
    """Which series."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100
    cursor: Annotated[str, msgspec.Meta(max_length=1024)] | None = None


class EnsuredDocument(msgspec.Struct, frozen=True):
    """What became of a series, and how it is now."""

    outcome: str
    message: MessageDocument | None


def _filter(call: Call, *, dead: bool = False) -> Filter:
    said: ManyQuery = call.query
    redacted = call.service.redact is not None
    found = filter_of(said, call.metadata, call.user, redacted=redacted)
    if dead and found.state is None and found.phase is None:
        return attrs.evolve(found, state=State.DEAD)
    return found


async def messages(call: Call) -> Answer:
    """A page of the messages that match."""
    said: ListQuery = call.query
    filter = attrs.evolve(_filter(call), order=_order(said.order))
    cursor = None if said.cursor is None else Cursor.read(said.cursor, filter)
    if filter.order is None:
        found = await call.client.search(
            attrs.evolve(filter, limit=said.limit),
            look_at=_LOOKED_AT,
            from_key=None if cursor is None else cursor.key,
            payload=False,
        )
        last = found.from_key
        following = None
        if last is not None:
            following = str(Cursor.at(filter, *last))
        return _page(call, found.messages, following, found.looked_at, complete=found.complete)
    found = await call.client.search(filter, look_at=_LOOKED_AT, payload=False)
    behind = [each for each in found.messages if cursor is None or cursor.passes(filter, each)]
    page, rest = behind[: said.limit], behind[said.limit :]
    following = str(Cursor.behind(filter, page[-1])) if rest else None
    return _page(call, page, following, found.looked_at, complete=found.complete and not rest)


def _order(said: str | None) -> str | None:
    return None if said == "scheduled_at" else said  # which is that of every list


def _page(
    call: Call,
    found: Sequence[Message],
    following: str | None,
    looked_at: int,
    *,
    complete: bool,
) -> Answer:
    shower, now = call.service.shower(call.user), datetime.now(UTC)
    items = [shower.message(each, now) for each in found]
    return Answer(document=Page(items, following, looked_at, complete, written(now)))


async def count(call: Call) -> Answer:
    """How many messages match."""
    found = await call.client.count(_filter(call))
    return Answer(document=CountDocument(found.number, found.kind.value))


async def causes(call: Call) -> Answer:
    """What dead letters died of, or what the messages that match have failed with."""
    redact = call.service.redact
    if redact is not None:
        call.may("payload")  # what errors have in common is made of all their texts
    found = await call.client.causes(_filter(call, dead=True))
    items = [_cause(each, redact) for each in found.causes]
    return Answer(document=CausesDocument(items, found.looked_at, found.complete))


def _cause(cause: Cause, redact: Redact | None) -> CauseDocument:
    found = {
        name: str(getattr(value, "value", value))
        for name in ("event_name", "error", "error_class", "state", "phase")
        if (value := getattr(cause.filter, name)) is not None
    }
    text = cause.text
    if redact is not None:
        found.pop("error", None)
        text = "(hidden)"
    return CauseDocument(
        error_class=cause.error_class,
        text=text,
        number=cause.number,
        event_names=[*cause.event_names],
        example=cause.example,
        first=None if cause.first is None else written(cause.first),
        last=None if cause.last is None else written(cause.last),
        filter=found,
    )


async def series(call: Call) -> Answer:
    """What recurs, in words, and its next fires."""
    said: SeriesQuery = call.query
    filter = _filter(call)
    cursor = None if said.cursor is None else Cursor.read(said.cursor, filter)
    found = await call.client.series(
        attrs.evolve(filter, limit=said.limit), from_key=None if cursor is None else cursor.key
    )
    last = found.from_key
    following = None if last is None else str(Cursor.at(filter, *last))
    shower, now = call.service.shower(call.user), datetime.now(UTC)
    items = [shower.message(each, now, fires=await fires_of(call, each)) for each in found.messages]
    return Answer(document=Page(items, following, found.looked_at, found.complete, written(now)))


async def ensure(call: Call) -> Answer:
    """See to it that a series is there as it is given."""
    said: NewSeries = call.body
    id = id_of(call.request.path_params["ref"])
    message = message_of(said, id)
    see_event(call, message.event_name)
    old = await stored(call.client, id)
    if old is not None and not call.user.sees(old.event_name):
        raise Problem(409, "DuplicateMessage", f"the id {id!r} is taken")
    try:
        async with changing(
            call.client, "ensure", target=id, event_name=message.event_name
        ) as change:
            outcome = await call.client.ensure(message)
            change.outcome = outcome.value
    except ValueError as error:
        pointer = pointer_of(error, said)
        raise Problem(422, type(error).__name__, str(error), pointer=pointer) from None
    now = await stored(call.client, id)
    document = None
    if now is not None:
        document = call.service.shower(call.user).message(
            now, datetime.now(UTC), size=len(now.payload), fires=await fires_of(call, now)
        )
    return Answer(
        document=EnsuredDocument(outcome.value, document),
        status=201 if outcome.value == "stored" else 200,
        tag=None if now is None else message_tag(now),
    )


ENDPOINTS: Final = (
    Endpoint(
        method="GET", path="/messages", right="read", handler=messages, query=ListQuery,
        filters=True, summary="The messages that match, page by page", answers={200: Page},
    ),
    Endpoint(
        method="GET", path="/messages/count", right="read", handler=count, query=ManyQuery,
        filters=True, summary="How many messages match", answers={200: CountDocument},
    ),
    Endpoint(
        method="GET", path="/causes", right="read", handler=causes, query=ManyQuery, filters=True,
        summary="What dead letters died of", answers={200: CausesDocument}, tag="standing",
    ),
    Endpoint(
        method="GET", path="/series", right="read", handler=series, query=SeriesQuery,
        filters=True, summary="What recurs, and when", answers={200: Page}, tag="series",
    ),
    Endpoint(
        method="PUT", path="/series/{ref}", right="schedule", handler=ensure, body=NewSeries,
        summary="See to it that a series is just like that",
        answers={200: EnsuredDocument, 201: EnsuredDocument}, problems=(409,), tag="series",
    ),
)  # fmt: skip
