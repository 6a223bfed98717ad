"""A series of which a fire is in hand, and another that follows it, in a test's own table."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from tests.stores.postgres_kit import Place, place

from duly import Ensured, Every, Message
from duly.store import Batch, Counters, Group, Reschedule, Settle, Settlement
from duly.testing.clock import HandClock
from duly_postgres import PostgresStore

__all__ = ["HOUR", "Timetable", "place", "series"]

HOUR = timedelta(hours=1)


class Timetable:
    """A store with a series of which a fire is in hand, and the new rule that follows it."""

    def __init__(self, place: Place, store: PostgresStore, clock: HandClock) -> None:
        self.place, self.store, self.clock = place, store, clock
        self.start: datetime = clock()

    def series(self, payload: bytes = b"one", *, every: float = 1) -> Message:
        rule = Every(every * HOUR, anchor=self.start)
        return Message("tick", payload, id="s", recurrence=rule)

    async def claim(self) -> Batch:
        return await self.store.claim(limit=9, lease=9 * HOUR, owner="me")

    async def ensure(self, payload: bytes = b"one", *, every: float = 1) -> Ensured | Exception:
        (outcome,) = await self.store.ensure([self.series(payload, every=every)])
        return outcome

    async def begin(self) -> Batch:
        await self.ensure()
        self.clock.advance(hours=1)
        return await self.claim()

    async def follow(self) -> Batch:
        batch = await self.begin()
        assert await self.ensure(b"two", every=1.5) is Ensured.FOLLOWS
        return batch

    async def tell(self, batch: Batch, settlement: Settlement) -> bool:
        (claim,) = batch.claims
        assert batch.token is not None
        (done,) = await self.store.settle([Settle(batch.token, {claim.key: settlement})])
        return bool(done)

    def next(self, batch: Batch) -> Reschedule:
        fire = batch.claims[0].message.scheduled_at + HOUR
        return Reschedule(fire, Counters(fire, occurrence_count=1))

    async def settle_as_before(self, batch: Batch, *, due_at: datetime | None = None) -> None:
        """As the version before does it, which knows nothing of what follows."""
        fire = due_at or self.next(batch).next_attempt_at
        await self.place.fetch(
            "UPDATE {t} SET due_at = $1, next_attempt_at = $1, scheduled_at = $1, lapses = 0", fire
        )
        await self.place.execute(
            "DELETE FROM {t}_leases", "INSERT INTO {t}_due SELECT false, due_at, key FROM {t}"
        )

    async def only_else(self) -> None:
        """One plain message that is due."""
        await self.store.put([Group([Message("else", id="else", scheduled_at=self.start)])])

    async def counts(self) -> tuple[int, int, int]:
        stats = await self.store.stats()
        return stats.scheduled, stats.claimed, stats.dead


@pytest.fixture
async def series(place: Place) -> AsyncIterator[Timetable]:
    clock = HandClock()
    async with place.opened(clock=clock) as store:
        yield Timetable(place, store, clock)
