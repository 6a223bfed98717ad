"""What the cases of series that are ensured share."""

from datetime import timedelta
from typing import Any

from duly.message import Message
from duly.recurrence import Every
from duly.store import (
    Batch,
    Counters,
    Ensured,
    Release,
    Reschedule,
    SupportsEnsure,
)
from duly.testing.stores.bench import LEASE, Bench
from duly.testing.stores.situations import DAY, HOUR, MINUTE, retry

OTHER = Every(20 * MINUTE)
"""A rule that is not that of :func:`wanted`."""


def wanted(desk: Bench, payload: bytes = b"one", **more: Any) -> Message:
    """A series of every hour, first due an hour after the start."""
    more.setdefault("recurrence", Every(HOUR, anchor=desk.start))
    return Message(more.pop("event_name", "event"), payload, id=more.pop("id", "a"), **more)


async def ensure(desk: Bench, message: Message) -> Ensured | type[Exception]:
    """What comes of it."""
    store = desk.store
    assert isinstance(store, SupportsEnsure)
    (outcome,) = await store.ensure([message])
    return type(outcome) if isinstance(outcome, Exception) else outcome


async def standing(desk: Bench, id: str = "a") -> tuple[bytes, timedelta, int]:
    """Of what is stored: the payload, when its next fire is, and how many were taken up."""
    found = await desk.store.get(id)
    assert found is not None
    return found.payload, found.scheduled_at - desk.start, found.occurrence_count


def following(message: Message, after: timedelta = HOUR) -> Reschedule:
    """What a holder tells when this fire was delivered."""
    fire = message.scheduled_at + after
    return Reschedule(fire, Counters(fire, occurrence_count=message.occurrence_count + 1))


async def begun(desk: Bench, situation: str, **more: Any) -> Batch | None:
    """Bring the first fire into a situation; the batch that it is in."""
    await ensure(desk, wanted(desk, **more))
    await desk.pass_time(HOUR)
    if situation == "due":
        return None
    batch = await desk.claim(lease=LEASE if situation == "lapsed" else DAY)
    message = batch.claims[0].message
    if situation == "retrying":
        await desk.settle(batch, {"a": retry(message, 10 * MINUTE)})
    elif situation == "put back":
        await desk.settle(batch, {"a": Release(desk.start + HOUR)})
    elif situation == "lapsed":
        await desk.pass_time(LEASE)
    else:
        return batch
    return None
