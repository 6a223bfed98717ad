"""The situations a message can be in, and how it gets there."""

import enum
from collections.abc import Callable, Mapping
from datetime import timedelta

from duly.message import Message, State
from duly.store import Batch, Bury, Counters, Release, Reschedule, Settlement
from duly.testing.stores.bench import LEASE, Bench

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


class Situation(enum.Enum):
    """The columns of the table of states; a lapsed message is still CLAIMED for the caller."""

    SCHEDULED = State.SCHEDULED
    CLAIMED = State.CLAIMED
    LAPSED = "claimed, but its lease has lapsed"
    DEAD = State.DEAD
    UNKNOWN = None

    @property
    def state(self) -> State | None:
        """What the store calls it."""
        return self.value if isinstance(self.value, State | None) else State.CLAIMED


async def arrange(desk: Bench, situation: Situation, message: str | Message = "a") -> Batch | None:
    """Bring one message, the only one due, into a situation; the batch it was claimed in."""
    if situation is Situation.UNKNOWN:
        return None
    await desk.put(message)
    if situation is Situation.SCHEDULED:
        return None
    batch = await desk.claim()
    assert len(batch.claims) == 1
    if situation is Situation.LAPSED:
        await desk.pass_time(LEASE)
    if situation is Situation.DEAD:
        assert await desk.settle(batch, {batch.claims[0].message.id: Bury("broken")})
    return batch


async def make_suspect(desk: Bench, *ids: str, lease: timedelta = LEASE) -> None:
    """Let stored messages, the only ones due, lapse twice."""
    for _ in range(2):
        batch = await desk.claim(lease=lease)
        assert {claim.message.id for claim in batch.claims} == set(ids)
        await desk.pass_time(lease)


def retry(message: Message, at: timedelta = HOUR, *, error: str = "broken") -> Reschedule:
    """A retry so long after the message was scheduled."""
    counters = Counters(
        scheduled_at=message.scheduled_at,
        retry_count=message.retry_count + 1,
        occurrence_count=message.occurrence_count,
        last_error=error,
    )
    return Reschedule(message.scheduled_at + at, counters)


def next_fire(message: Message, at: timedelta = HOUR) -> Reschedule:
    """The next fire of a series, so long after this one."""
    fire = message.scheduled_at + at
    return Reschedule(
        fire, Counters(scheduled_at=fire, occurrence_count=message.occurrence_count + 1)
    )


def _delivered(_: Message) -> None:
    return None


def _released(message: Message) -> Settlement:
    return Release(message.scheduled_at)


def _buried(_: Message) -> Settlement:
    return Bury("broken")


def _buried_with_next(message: Message) -> Settlement:
    return Bury("broken", next_fire(message))


SETTLEMENTS: Mapping[str, Callable[[Message], Settlement | None]] = {
    "delivered": _delivered,
    "retried": retry,
    "next fire": next_fire,
    "released": _released,
    "buried": _buried,
    "buried with next": _buried_with_next,
}
"""Every way to settle a message, None for delivered."""
