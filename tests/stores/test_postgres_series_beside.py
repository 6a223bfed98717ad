"""Series that are declared, beside the version before and beside callers' transactions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from tests.stores import postgres_before as before
from tests.stores.postgres_kit import Place
from tests.stores.postgres_series import HOUR, Timetable, place, series

from duly import Ensured, Every, Filter, Message, State
from duly.record import NewerRecord
from duly.store import Bury, Declared, End, Settlement
from duly_postgres import desk

__all__ = ["place", "series"]


class TestTheVersionBefore:
    """It had a fire in hand when the rule changed, or finds the series."""

    async def test_it_leaves_what_is_followed(self, series: Timetable) -> None:
        plain = Message("tick", b"one", id="s", recurrence=Every(HOUR))
        await series.store.ensure([plain], declared=Declared("billing", 1))
        series.clock.advance(hours=1)
        await series.claim()
        assert (await before.read(series.place, "s", State.CLAIMED)).payload == b"one"
        other = Message("tick", b"two", id="s", recurrence=Every(2 * HOUR))
        assert await series.store.ensure([other]) == [Ensured.FOLLOWS]
        with pytest.raises(NewerRecord):
            await before.read(series.place, "s")

    async def test_what_it_settled_is_over_when_its_old_fire_comes(self, series: Timetable) -> None:
        await series.settle_as_before(await series.follow())
        series.clock.advance(hours=1)
        batch = await series.claim()
        assert not batch.claims
        assert batch.more  # the new rule had a fire half an hour ago
        (claim,) = (await series.claim()).claims
        assert (claim.message.payload, claim.message.scheduled_at, claim.lapses) == (
            b"two", series.start + 1.5 * HOUR, 0,
        )  # fmt: skip
        assert await series.counts() == (0, 1, 0)

    async def test_what_is_over_and_not_yet_due_waits(self, series: Timetable) -> None:
        batch = await series.begin()
        await series.ensure(b"two", every=3.5)
        await series.settle_as_before(batch)
        await series.only_else()
        series.clock.advance(hours=1)
        batch = await series.claim()
        assert [each.message.id for each in batch.claims] == ["else"]
        assert (batch.more, batch.next_due) == (False, series.start + 3.5 * HOUR)
        assert batch.token is not None
        assert await series.store.renew([batch.token], 9 * HOUR) == [[]]
        series.clock.advance(hours=1.5)
        assert [each.message.payload for each in (await series.claim()).claims] == [b"two"]

    async def test_what_is_over_and_has_no_fire_left_is_gone(self, series: Timetable) -> None:
        batch = await series.begin()
        ends = Every(HOUR, anchor=series.start, until=series.start + HOUR)
        message = Message("tick", b"one", id="s", recurrence=ends)
        assert await series.store.ensure([message]) == [Ensured.ENDED]
        await series.settle_as_before(batch)
        series.clock.advance(hours=1)
        assert not (await series.claim()).claims
        assert await series.counts() == (0, 0, 0)

    async def test_changed_after_it_has_settled_it_comes_at_its_own_time(
        self, series: Timetable
    ) -> None:
        await series.settle_as_before(await series.follow())
        await series.ensure(b"three", every=3.5)
        series.clock.advance(hours=1)
        assert not (await series.claim()).claims
        series.clock.advance(hours=1.5)
        (claim,) = (await series.claim()).claims
        assert (claim.message.payload, claim.message.scheduled_at) == (
            b"three", series.start + 3.5 * HOUR,
        )  # fmt: skip

    @pytest.mark.parametrize("payload", [b"two", b"three"], ids=str)
    async def test_buried_by_it_the_series_is_taken_back(
        self, series: Timetable, payload: bytes
    ) -> None:
        """It was to bury a fire of it, and could no longer read it."""
        await series.follow()
        await series.place.fetch(before.BURY, await before.key_of(series.place, "s"), "broken")
        await series.place.execute("DELETE FROM {t}_leases")
        assert await series.counts() == (0, 0, 1)
        outcome = await series.ensure(payload, every=1.5)
        assert outcome is (Ensured.SAME if payload == b"two" else Ensured.FOLLOWS)
        batch = await series.claim()
        (claim,) = batch.claims
        assert (claim.message.scheduled_at, claim.message.last_error) == (series.start + HOUR, None)
        assert await series.tell(batch, series.next(batch))
        (found,) = await series.store.list(Filter())
        assert (found.payload, found.scheduled_at, found.state) == (
            payload, series.start + 1.5 * HOUR, State.SCHEDULED,
        )  # fmt: skip
        assert await series.counts() == (1, 0, 0)

    async def test_moved_by_it_the_series_goes_on_until_it_is_declared(
        self, series: Timetable
    ) -> None:
        batch = await series.follow()
        assert batch.claims
        await series.settle_as_before(batch, due_at=series.start + HOUR)
        await series.place.fetch(before.MOVE, await before.key_of(series.place, "s"))
        found = await series.store.where("s")
        assert found is not None
        assert found.follows is None
        assert await series.ensure(b"two", every=1.5) is Ensured.FOLLOWS
        batch = await series.claim()
        assert await series.tell(batch, series.next(batch))
        (message,) = await series.store.list(Filter())
        assert (message.payload, message.scheduled_at) == (b"two", series.start + 1.5 * HOUR)


class TestNoted:
    """Outcomes of series that somebody's transaction holds."""

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("_BRIEF", "BRIEF"):
            monkeypatch.setattr(desk, name, timedelta(milliseconds=20))

    @asynccontextmanager
    async def held(self, place: Place) -> AsyncIterator[None]:
        async with place.connection() as connection, connection.transaction():
            await connection.execute(f"SELECT FROM {place.table} WHERE id = 's' FOR UPDATE")
            yield

    @pytest.mark.parametrize("told", ["next", "end", "bury", "bury and end"])
    @pytest.mark.parametrize("changed", ["before", "after"])
    async def test_what_follows_takes_the_place_when_it_is_carried_out(
        self, series: Timetable, told: str, changed: str
    ) -> None:
        batch = await series.begin()
        if changed == "before":
            await series.ensure(b"two", every=1.5)
        settlements: dict[str, Settlement] = {
            "next": series.next(batch),
            "end": End(1),
            "bury": Bury("x", series.next(batch)),
            "bury and end": Bury("x", End(1)),
        }
        async with self.held(series.place):
            assert await series.tell(batch, settlements[told])
            if "end" in told or changed == "before":
                assert await series.place.fetch(before.NOTED) == []
        if changed == "after":
            await series.ensure(b"two", every=1.5)
        await series.claim()
        found = await series.store.get("s")
        assert found is not None
        assert (found.payload, found.scheduled_at, found.occurrence_count) == (
            b"two", series.start + 1.5 * HOUR, 1,
        )  # fmt: skip
        assert await series.counts() == (1, 0, int(told.startswith("bury")))

    @pytest.mark.parametrize("told", ["end", "bury and end"])
    async def test_an_end_is_an_end(self, series: Timetable, told: str) -> None:
        batch = await series.begin()
        async with self.held(series.place):
            await series.tell(batch, End(1) if told == "end" else Bury("x", End(1)))
        await series.claim()
        assert await series.store.get("s") is None

    async def test_what_is_over_and_held_stays_and_holds_nobody_up(self, series: Timetable) -> None:
        await series.settle_as_before(await series.follow())
        await series.only_else()
        series.clock.advance(hours=1)
        async with self.held(series.place):
            batch = await series.claim()
            assert [each.message.id for each in batch.claims] == ["else"]
        while not (claims := (await series.claim()).claims):
            pass
        assert [each.message.payload for each in claims] == [b"two"]
