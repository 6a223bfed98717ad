"""One message: read, moved, cancelled, fired, replayed."""

from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import msgspec

from duly import Cancellation, Filter, InvalidArgument, Message
from duly_web.documents import MessageDocument
from duly_web.endpoints import Answer, Call, Endpoint
from duly_web.finding import found, stored
from duly_web.messages_in import Move, moment_in
from duly_web.problems import Problem
from duly_web.refs import ref_of
from duly_web.tags import message_tag, see_unchanged

__all__ = ["ENDPOINTS", "fires_of"]

_FIRES: Final = 5
_FAR: Final = timedelta(days=36_525)


class Cancelled(msgspec.Struct, frozen=True):
    """What became of it: "too_late" when a scheduler holds it and may publish it once more."""

    outcome: Literal["cancelled", "too_late"]


class Fired(msgspec.Struct, frozen=True):
    """The id under which it goes; of a series that of one occurrence more."""

    id: str
    ref: str


async def read(call: Call) -> Answer:
    """A message, and why it is where it is."""
    await found(call)
    why = await call.client.why(call.id)
    document = call.service.shower(call.user).message(
        why.message,
        datetime.now(UTC),
        size=len(why.message.payload),
        why=why,
        fires=await fires_of(call, why.message),
    )
    return Answer(document=document, tag=message_tag(why.message))


async def fires_of(call: Call, message: Message) -> list[datetime] | None:
    """The next fires of a series; None of any other message."""
    if message.recurrence is None:
        return None
    until = datetime.now(UTC) + _FAR
    one = Filter(ids=[message.id])
    return [each.at for each in await call.client.upcoming(until, filter=one, limit=_FIRES)]


async def payload(call: Call) -> Answer:
    """The payload, as far as it may be shown."""
    message = await found(call)
    content = call.service.shower(call.user).payload(message)
    if content is None:
        raise Problem(403, "Forbidden", "the payload cannot be made safe to show: it is hidden")
    return Answer(
        content=content,
        content_type="application/octet-stream",  # no browser is to make anything of it
        headers={"Content-Disposition": "attachment"},
        tag=message_tag(message),
    )


async def move(call: Call) -> Answer:
    """Move a waiting message."""
    at = moment_in(call.body)
    if at is None:
        raise _wrong("say when: scheduled_at or delay", "/scheduled_at")
    message = await found(call)
    see_unchanged(call.request, message_tag(message))
    try:
        await call.client.reschedule(message.id, at)
    except InvalidArgument as error:
        raise _wrong(str(error), "/scheduled_at") from None
    return await _again(call, message)


async def cancel(call: Call) -> Answer:
    """Take a message back; a dead letter is removed."""
    message = await found(call)
    see_unchanged(call.request, message_tag(message))
    outcome = await call.client.cancel(message.id)
    if outcome is Cancellation.CANCELLED:
        return Answer(document=Cancelled("cancelled"))
    return Answer(document=Cancelled("too_late"), status=202)


async def fire(call: Call) -> Answer:
    """Have it delivered now."""
    message = await found(call)
    id = await call.client.fire(message.id)
    return Answer(document=Fired(id, ref_of(id)))


async def replay(call: Call) -> Answer:
    """Schedule a dead letter again."""
    at = moment_in(call.body)
    message = await found(call)
    try:
        await call.client.replay(message.id, at=at)
    except InvalidArgument as error:
        raise _wrong(str(error), "/scheduled_at") from None
    return await _again(call, message)


async def _again(call: Call, message: Message) -> Answer:
    """As it is now; as it was where it has gone meanwhile."""
    now = await stored(call.client, message.id) or message
    document = call.service.shower(call.user).message(now, datetime.now(UTC), size=len(now.payload))
    return Answer(document=document, tag=message_tag(now))


def _wrong(detail: str, pointer: str) -> Problem:
    return Problem(422, "InvalidArgument", detail, pointer=pointer)


_ONE: Final = "/messages/{ref}"

ENDPOINTS: Final = (
    Endpoint(
        method="GET", path=_ONE, right="read", handler=read, summary="A message, and why it waits",
        answers={200: MessageDocument}, problems=(404,),
    ),
    Endpoint(
        method="PATCH", path=_ONE, right="operate", handler=move, body=Move,
        summary="Move a waiting message", answers={200: MessageDocument},
        problems=(404, 409, 412),
    ),
    Endpoint(
        method="DELETE", path=_ONE, right="operate", handler=cancel,
        summary="Cancel a message, or remove a dead letter",
        answers={200: Cancelled, 202: Cancelled}, problems=(404, 412),
    ),
    Endpoint(
        method="POST", path=f"{_ONE}/fire", right="operate", handler=fire,
        summary="Have it delivered now", answers={200: Fired}, problems=(404, 409),
    ),
    Endpoint(
        method="POST", path=f"{_ONE}/replay", right="operate", handler=replay, body=Move,
        needs_body=False, summary="Schedule a dead letter again", answers={200: MessageDocument},
        problems=(404, 409),
    ),
    Endpoint(
        method="GET", path=f"{_ONE}/payload", right="payload", handler=payload,
        summary="The payload, as far as it may be shown", answers={200: bytes}, problems=(404,),
        content_type="application/octet-stream",
    ),
)  # fmt: skip
