"""New messages: one, or many."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from duly import DulyError, DuplicateMessage, InvalidArgument, Message, changing
from duly_web.documents import MessageDocument
from duly_web.endpoints import Answer, Call, Endpoint
from duly_web.finding import see_event, see_replaced, stored
from duly_web.inputs import pointed, read_json
from duly_web.messages_in import Many, NewMessage, message_of, pointer_of
from duly_web.problems import Fault, Problem, ProblemDocument, base_of, problem_of
from duly_web.refs import ref_of
from duly_web.repeats import REPEAT, Sent, are_repeats
from duly_web.tags import message_tag

__all__ = ["ENDPOINTS"]

_TRIES: Final = 3
_MOST: Final = 10_000  # messages of a request
_AT_ONCE: Final = 500  # that are on their way to the store


class Result(msgspec.Struct, frozen=True):
    """What became of one of many: its id, or the problem."""

    status: int
    id: str | None = None
    ref: str | None = None
    repeat: bool = False
    problem: ProblemDocument | None = None


class Results(msgspec.Struct, frozen=True):
    """What became of each, in the order in which they were sent."""

    results: list[Result]


async def schedule(call: Call) -> Answer:
    """Schedule a message."""
    said: NewMessage = call.body
    key = call.request.headers.get("idempotency-key", "").strip().strip('"') or None
    message = message_of(said, said.id or key)
    try:
        repeat = await _store(call, Sent(message, said))
    except DuplicateMessage as error:
        if said.id is not None or key is None:
            raise
        raise Problem(
            422, "InvalidArgument", f"this Idempotency-Key came with another body before: {error}"
        ) from None
    document = call.service.shower(call.user).message(
        repeat or message, datetime.now(UTC), size=len(message.payload), repeat=repeat is not None
    )
    place = f"{call.request.scope['duly_web.root']}/v1/messages/{ref_of(message.id)}"
    return Answer(
        document=document,
        status=201 if repeat is None else 200,
        headers={"Location": place},
        tag=message_tag(repeat or message),
    )


async def _store(call: Call, sent: Sent) -> Message | None:
    """Store it; of a repeat the one that is stored, else None.

    Raises:
        DuplicateMessage: the id is taken by what is something else.
        Problem: its event is none of the user's, or it cannot be stored.
    """
    message = sent.message
    see_event(call, message.event_name)
    if sent.said.replace:
        await see_replaced(call, message.id)
    async with changing(
        call.client, "schedule", target=message.id, event_name=message.event_name
    ) as change:
        old = await _put(call, sent)
        if old is None:
            change.number = 1
        else:
            change.outcome = REPEAT
    return old


async def _put(call: Call, sent: Sent) -> Message | None:
    message = sent.message
    for _ in range(_TRIES):
        try:
            await call.client.schedule(message, replace=sent.said.replace)
        except DuplicateMessage:
            old = await stored(call.client, message.id)
            if old is None:
                continue  # it was delivered just now
            if sent.is_repeat_of(old):
                return old
            raise
        except InvalidArgument as error:
            raise _refused(error, sent.said) from None
        return None
    raise DuplicateMessage(f"the id {message.id!r} is taken again and again")


async def many(call: Call) -> Answer:
    """Schedule many messages, all or none, or each by itself."""
    said: Many = call.body
    if len(said.messages) > _MOST:
        raise Problem(
            422, "InvalidArgument", f"there may be {_MOST:,} messages, not {len(said.messages):,}",
            pointer="/messages",
        )  # fmt: skip
    if "idempotency-key" in call.request.headers:
        raise Problem(
            422, "InvalidArgument", "Idempotency-Key is for one message: give each of many its id"
        )
    if said.atomic:
        results = await _all_or_none(call, [_read(n, raw) for n, raw in enumerate(said.messages)])
    else:
        results = await _each(call, said.messages)
    return Answer(document=Results(results))


def _read(number: int, raw: msgspec.Raw) -> Sent:
    under = f"/messages/{number}"
    said = read_json(raw, NewMessage, under=under)
    try:
        return Sent(message_of(said, said.id), said)
    except Problem as problem:
        raise pointed(problem, under) from None


async def _all_or_none(call: Call, sent: Sequence[Sent]) -> list[Result]:
    replace = {each.said.replace for each in sent}
    if len(replace) > 1:
        raise Problem(
            422, "InvalidArgument", "all or none: give replace with each, or with none of them",
            pointer="/messages",
        )  # fmt: skip
    for number, each in enumerate(sent):
        try:
            see_event(call, each.message.event_name)
        except Problem as problem:
            raise pointed(problem, f"/messages/{number}") from None
        if each.said.replace:
            await see_replaced(call, each.message.id)
    messages = [each.message for each in sent]
    old: Sequence[Message | None] = []
    try:
        async with changing(call.client, "schedule", messages=len(messages)) as change:
            try:
                await call.client.schedule_many(messages, replace=replace == {True})
                change.number = len(messages)
            except DuplicateMessage:
                old = await _old(call, sent)
                if not are_repeats(sent, old):
                    raise
                change.outcome = REPEAT
    except DuplicateMessage as error:
        taken = [
            Fault(f"/messages/{number}/id", f"the id {each.message.id!r} is taken")
            for number, (each, was) in enumerate(zip(sent, old, strict=True))
            if was is not None
        ]
        raise Problem(409, "DuplicateMessage", str(error), errors=taken[:100]) from error
    return [_stored(each.message, repeat=bool(old)) for each in sent]


async def _old(call: Call, sent: Sequence[Sent]) -> Sequence[Message | None]:
    """What is stored under the ids of a request."""
    return [
        each
        for start in range(0, len(sent), _AT_ONCE)
        for each in await asyncio.gather(
            *(stored(call.client, one.message.id) for one in sent[start : start + _AT_ONCE])
        )
    ]


async def _each(call: Call, raws: Sequence[msgspec.Raw]) -> list[Result]:
    results: list[Result] = []
    async with changing(call.client, "schedule", messages=len(raws)):
        for start in range(0, len(raws), _AT_ONCE):
            some = enumerate(raws[start : start + _AT_ONCE], start)
            results += await asyncio.gather(*(_one(call, number, raw) for number, raw in some))
    return results


async def _one(call: Call, number: int, raw: msgspec.Raw) -> Result:
    try:
        sent = _read(number, raw)
        repeat = await _store(call, sent)
    except (Problem, DulyError) as error:
        problem = problem_of(error)
        if problem is None:
            raise
        path = call.request.scope["path"]
        return Result(problem.status, problem=problem.document(base_of(call.request), path))
    return _stored(sent.message, repeat=repeat is not None)


def _stored(message: Message, *, repeat: bool = False) -> Result:
    return Result(200 if repeat else 201, message.id, ref_of(message.id), repeat)


def _refused(error: InvalidArgument, said: NewMessage) -> Problem:
    return Problem(422, type(error).__name__, str(error), pointer=pointer_of(error, said))


ENDPOINTS: Final = (
    Endpoint(
        method="POST", path="/messages", right="schedule", handler=schedule, body=NewMessage,
        summary="Schedule a message", answers={201: MessageDocument, 200: MessageDocument},
        problems=(409,),
    ),
    Endpoint(
        method="POST", path="/messages/many", right="schedule", handler=many, body=Many,
        summary="Schedule many messages", answers={200: Results}, problems=(409,),
    ),
)  # fmt: skip
