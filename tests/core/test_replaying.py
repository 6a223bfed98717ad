"""To have something delivered again, or now: replay of many, fire, and how a move may be missing."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import WatchedStore, at, down, message
from tests.core.test_filters import fill, letter

from duly import (
    Client,
    Every,
    Filter,
    InvalidArgument,
    Message,
    MessageNotFound,
    Phase,
    SchedulerStateError,
    State,
    StoreUnavailable,
    WrongState,
)
from duly.memory import MemoryStore
from duly.message import UNREADABLE, with_changes
from duly.record import unreadable
from duly.store import Bury, Settle
from duly.testing.clock import HandClock

HOUR = timedelta(hours=1)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(clock=HandClock())


@pytest.fixture
async def client(store: MemoryStore) -> AsyncIterator[Client]:
    async with Client(store, load_plugins=False) as client:
        client._now = lambda: at(0)  # type: ignore[method-assign]  # the store's
        yield client


class TestReplayMany:
    async def test_all_that_match(self, client: Client, store: MemoryStore) -> None:
        await fill(store, letter("a.x", id="1"), letter("a.y", id="2"), letter("b", id="3"))
        assert await client.replay_many(Filter(event_name="a.*")) == 2
        assert [each.id for each in await client.list(Filter(state=State.DEAD))] == ["3"]
        for id in "12":
            again = await client.get(id)
            assert (again.state, again.scheduled_at, again.died_at) == (
                State.SCHEDULED,
                at(0),
                None,
            )
        assert await client.replay_many(Filter(event_name="a.*")) == 0

    async def test_a_rate_spreads_them_in_the_store(
        self, client: Client, store: MemoryStore
    ) -> None:
        await fill(store, *(letter(id=f"{n:03}") for n in range(120)))
        assert await client.replay_many(Filter(), at=at(60), rate=2) == 120
        moments = [each.scheduled_at for each in await client.list()]
        assert moments == [at(60 + n / 2) for n in range(120)]

    async def test_a_rate_alone_begins_now(self, client: Client, store: MemoryStore) -> None:
        await fill(store, letter(id="a", due=-60), letter(id="b", due=-50))
        assert await client.replay_many(Filter(), rate=0.1) == 2
        assert [each.scheduled_at for each in await client.list()] == [at(0), at(10)]

    async def test_only_what_died_by_then(self, client: Client, store: MemoryStore) -> None:
        await fill(store, letter(id="a", died=5), letter(id="b", died=6), letter(id="c", died=7))
        await fill(store, with_changes(letter(id="d"), died_at=None))  # of a version before
        assert await client.replay_many(Filter(), as_of=at(6)) == 3
        assert [each.id for each in await client.list(Filter(state=State.DEAD))] == ["c"]

    async def test_what_fails_again_meanwhile_is_taken_once(self) -> None:
        """Each that is replayed dies at once, behind those that are still to be looked at."""

        class Deadly(MemoryStore):
            async def reschedule(self, id: str, at: Any, **more: Any) -> State | None:
                found = await super().reschedule(id, at, **more)
                batch = await self.claim(limit=99, lease=HOUR, owner="x")
                if batch.token is not None:
                    bury = {claim.key: Bury("x") for claim in batch.claims}
                    await self.settle([Settle(batch.token, bury)])
                return found

        store = Deadly(clock=HandClock())
        await fill(store, *(letter(id=f"{n:04}", due=-9) for n in range(1100)))
        async with Client(store, load_plugins=False) as client:
            client._now = lambda: at(0)  # type: ignore[method-assign]  # the store's
            assert await client.replay_many(Filter(), at=at(0)) == 1100

    async def test_left_out_is_what_cannot_be_replayed(
        self, client: Client, store: MemoryStore
    ) -> None:
        over = letter(id="over", due=-9, expires_at=at(-5))
        soon = letter(id="soon", due=-9, expires_at=at(30))
        odd = with_changes(letter(id="odd"), event_name=UNREADABLE)
        await fill(store, over, soon, odd, letter(id="well"))
        assert await client.replay_many(Filter()) == 2
        dead = await client.list(Filter(state=State.DEAD))
        assert {each.id for each in dead} == {"over", "odd"}

    async def test_the_store_goes_away_in_the_middle(self) -> None:
        store = WatchedStore()
        await fill(store.inner, *(letter(id=f"{n:03}") for n in range(120)))  # type: ignore[arg-type]  # a memory store
        async with Client(store, load_plugins=False) as client:
            store.faults.append(down("reschedule"))
            with pytest.raises(StoreUnavailable):
                await client.replay_many(Filter())
            store.faults.clear()
            assert await client.replay_many(Filter()) == 120

    async def test_the_client_is_closed_in_the_middle(self) -> None:
        class Last(MemoryStore):
            async def reschedule(self, id: str, at: Any, **more: Any) -> State | None:
                await closing.close()  # while others wait for their turn
                return await super().reschedule(id, at, **more)

        store = Last(clock=HandClock())
        await fill(store, letter(id="a"), letter(id="b"))
        async with Client(store, load_plugins=False) as closing:
            with pytest.raises(SchedulerStateError, match="closed"):
                await closing.replay_many(Filter())

    @pytest.mark.parametrize("rate", [5e-324, 1e-300])
    async def test_a_rate_next_to_nothing_is_one_a_century(
        self, client: Client, store: MemoryStore, rate: float
    ) -> None:
        await fill(store, letter(id="a"), letter(id="b"))
        assert await client.replay_many(Filter(), at=at(0), rate=rate) == 2
        century = timedelta(days=36525)
        assert [each.scheduled_at - at(0) for each in await client.list()] == [0 * HOUR, century]

    @pytest.mark.parametrize(
        ("asked", "told"),
        [
            ({"filter": Filter(state=State.SCHEDULED)}, "dead letters only"),
            ({"filter": Filter(phase=Phase.RETRYING)}, "dead letters only"),
            ({"filter": Filter(limit=5)}, "no limit"),
            ({"filter": Filter(offset=5)}, "no limit"),
            ({"filter": Filter(), "rate": 0}, "rate must be a number"),
            ({"filter": Filter(), "rate": -1}, "rate must be a number"),
            ({"filter": Filter(), "rate": True}, "rate must be a number"),
            ({"filter": Filter(), "rate": float("nan")}, "rate must be a number"),
            ({"filter": Filter(), "rate": "1/s"}, "rate must be a number"),
            ({"filter": Filter(), "at": 5}, "at must be a datetime"),
            ({"filter": Filter(), "as_of": "now"}, "as_of must be a datetime"),
            ({"filter": None}, "a filter is a duly.Filter"),
        ],
        ids=str,
    )
    async def test_refused(self, client: Client, asked: dict[str, Any], told: str) -> None:
        with pytest.raises(InvalidArgument, match=told):
            await client.replay_many(**asked)


class TestFire:
    async def test_what_waits_is_moved_to_now(self, client: Client, store: MemoryStore) -> None:
        await client.schedule(message(id="a", due=60))
        before = await client.get("a")
        assert await client.fire("a") == "a"
        after = await client.get("a")
        assert (after.scheduled_at, after.delivery_id) == (at(0), before.delivery_id)

    async def test_of_a_series_one_more_goes_beside_it(
        self, client: Client, store: MemoryStore
    ) -> None:
        series = message(
            "tick", 60, id="s", payload=b"x", metadata={"k": "v"}, recurrence=Every(HOUR)
        )
        await client.schedule(series)
        ids = [await client.fire("s") for _ in range(2)]
        assert await client.get("s") == series
        for id in ids:
            one = await client.get(id)
            assert (one.event_name, one.payload, one.metadata) == ("tick", b"x", {"k": "v"})
            assert (one.scheduled_at, one.recurrence) == (at(0), None)
        names = {(await client.get(id)).delivery_id for id in [*ids, "s"]}
        assert len(names) == 3

    async def test_a_series_in_hand(self, client: Client, store: MemoryStore) -> None:
        await client.schedule(message(id="s", recurrence=Every(HOUR)))
        await store.claim(limit=1, lease=HOUR, owner="x")
        id = await client.fire("s")
        assert [each.id for each in await client.list(Filter(state=State.SCHEDULED))] == [id]

    async def test_what_only_a_newer_version_can_read_is_not_moved(self) -> None:
        """It may be a series, which is to go on as before."""

        class Newer(MemoryStore):
            async def get(self, id: str) -> Message | None:
                return unreadable(id, b"", "record format 9 is newer", state=State.SCHEDULED)

        store = Newer(clock=HandClock())
        await fill(store, message(id="s", due=60))
        async with Client(store, load_plugins=False) as client:
            with pytest.raises(WrongState, match="cannot be fired: record format 9 is newer"):
                await client.fire("s")
            assert [each.scheduled_at for each in await client.list()] == [at(60)]

    async def test_what_it_cannot_fire(self, client: Client, store: MemoryStore) -> None:
        await fill(store, letter(id="dead"), message(id="held"))
        await store.claim(limit=1, lease=HOUR, owner="x")
        with pytest.raises(WrongState, match="replay"):
            await client.fire("dead")
        with pytest.raises(WrongState, match="claimed, not scheduled"):
            await client.fire("held")
        with pytest.raises(MessageNotFound):
            await client.fire("unknown")
        await client.schedule(message(id="over", due=-9, expires_at=at(-5)))
        with pytest.raises(InvalidArgument, match="expires at"):
            await client.fire("over")


async def test_a_move_may_find_nothing(client: Client) -> None:
    await client.schedule(message(id="a"))
    assert await client.reschedule("a", at(5)) is True
    assert await client.reschedule("b", at(5), missing_ok=True) is False
    with pytest.raises(MessageNotFound, match="'b'"):
        await client.reschedule("b", at(5))
    with pytest.raises(InvalidArgument, match="missing_ok must be True or False"):
        await client.reschedule("a", at(5), missing_ok=1)  # type: ignore[arg-type]  # what is refused
