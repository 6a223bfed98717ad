"""Looking at many messages: bounded searches, counts, what will fire, and in whose hands one is."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.core.engine_kit import Probed, WakingStore, WatchedStore, at, delivering, message, now
from tests.core.test_filters import fill, letter, retrying

import duly
from duly import (
    Client,
    Count,
    CountKind,
    Cron,
    Every,
    Filter,
    InvalidArgument,
    Message,
    MessageNotFound,
    State,
    Unsupported,
)
from duly.memory import MemoryStore
from duly.message import with_changes
from duly.testing.clock import HandClock, run_virtually

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(clock=HandClock())


@pytest.fixture
async def client(store: MemoryStore) -> AsyncIterator[Client]:
    async with Client(store, load_plugins=False) as client:
        client._now = lambda: at(0)  # type: ignore[method-assign]  # the store's
        yield client


class TestSearch:
    async def test_it_looks_at_so_many_and_goes_on_where_it_ended(
        self, client: Client, store: MemoryStore
    ) -> None:
        odd = [f"{n:03}" for n in range(1, 100, 2)]
        await fill(
            store, *(message(id=f"{n:03}", metadata={"odd": str(n % 2)}) for n in range(100))
        )
        wanted, found, key = Filter(metadata={"odd": "1"}), list[str](), None
        for looked_at in (40, 40, 20):
            some = await client.search(wanted, look_at=40, from_key=key)
            assert some.looked_at == looked_at
            found += [each.id for each in some.messages]
            key = some.from_key
        assert some.complete
        assert some.from_key is None
        assert found == odd

    async def test_a_limit_ends_it_and_the_next_begins_behind(
        self, client: Client, store: MemoryStore
    ) -> None:
        await fill(
            store, *(message(id=f"{n:03}", metadata={"odd": str(n % 2)}) for n in range(100))
        )
        first = await client.search(Filter(metadata={"odd": "1"}, limit=3))
        assert [each.id for each in first.messages] == ["001", "003", "005"]
        assert not first.complete
        wanted = Filter(metadata={"odd": "1"}, limit=3)
        second = await client.search(wanted, from_key=first.from_key, payload=False)
        assert [each.id for each in second.messages] == ["007", "009", "011"]

    async def test_in_an_order_a_limit_leaves_some_too(
        self, client: Client, store: MemoryStore
    ) -> None:
        await fill(store, *(message(id=f"{n}") for n in range(5)))
        for limit, complete in ((4, False), (5, True), (6, True)):
            found = await client.search(Filter(order="-created_at", limit=limit))
            assert (len(found.messages), found.complete) == (min(limit, 5), complete)
            found = await client.search(Filter(order="-created_at", limit=limit - 1, offset=1))
            assert (len(found.messages), found.complete) == (min(limit, 5) - 1, complete)

    async def test_a_key_that_went_through_json(self, client: Client, store: MemoryStore) -> None:
        await fill(store, message(id="a"), message(id="b"))
        found = await client.search(from_key=[at(0), "a"])  # type: ignore[arg-type]  # as a list
        assert [each.id for each in found.messages] == ["b"]

    async def test_nothing_there(self, client: Client) -> None:
        found = await client.search()
        assert (found.messages, found.looked_at, found.complete) == ([], 0, True)

    @pytest.mark.parametrize(
        ("asked", "told"),
        [
            ({"look_at": 0}, "look_at must be from 1"),
            ({"look_at": "5"}, "look_at must be a whole number"),
            ({"filter": "a"}, "a filter is a duly.Filter"),
            ({"filter": Filter(order="died_at"), "from_key": (at(0), "a")}, "leave the order out"),
            ({"filter": Filter(offset=2), "from_key": (at(0), "a")}, "leave the offset out"),
            ({"from_key": "a"}, "from_key must be the from_key of an earlier search, not 'a'"),
            ({"from_key": ("2030", "a")}, "from_key must be the from_key"),
            ({"from_key": (datetime(2030, 1, 1), "a")}, "from_key is naive"),
            ({"from_key": (at(0), 5)}, "a message id is text"),
            ({"from_key": (at(0), "\ud800")}, "cannot be encoded"),
            ({"payload": 1}, "payload must be True or False"),
        ],
        ids=str,
    )
    async def test_refused(self, client: Client, asked: dict[str, Any], told: str) -> None:
        with pytest.raises(InvalidArgument, match=told):
            await client.search(**asked)


class TestCount:
    async def test_states_are_counted_by_the_store(self) -> None:
        store = WatchedStore()
        async with Client(store, load_plugins=False) as client:
            await fill(store.inner, *(message(id=f"{n}") for n in range(5)), letter(id="dead"))  # type: ignore[arg-type]  # a memory store
            assert await client.count() == Count(6, CountKind.EXACT)
            assert await client.count(Filter(state=State.DEAD)) == Count(1, CountKind.EXACT)
            assert await client.count(Filter(state=State.SCHEDULED)) == Count(5, CountKind.EXACT)
            assert await client.count(Filter(state=State.CLAIMED)) == Count(0, CountKind.EXACT)
            assert not store.count("list")

    async def test_others_are_looked_at(self, client: Client, store: MemoryStore) -> None:
        await fill(store, *(message("a", id=f"{n}") for n in range(700)), message("b", id="b"))
        assert await client.count(Filter(event_name="a")) == Count(700, CountKind.EXACT)
        assert await client.count(Filter(id_prefix="69")) == Count(11, CountKind.EXACT)
        assert await client.count(Filter(event_name="a", limit=7)) == Count(7, CountKind.EXACT)
        assert await client.count(Filter(ids=["1", "x"])) == Count(1, CountKind.EXACT)
        assert await client.count(Filter(event_name="a", order="died_at")) == Count(
            700, CountKind.EXACT
        )

    async def test_of_very_many_it_is_a_lower_bound(
        self, client: Client, store: MemoryStore
    ) -> None:
        await fill(store, *(message("a", id=f"{n}") for n in range(10_000)))
        assert await client.count(Filter(event_name="a")) == Count(10_000, CountKind.EXACT)
        assert await client.count(Filter(event_name="b.*")) == Count(0, CountKind.EXACT)
        await fill(store, message("a", id="one more"))
        assert await client.count(Filter(event_name="a")) == Count(10_000, CountKind.AT_LEAST)
        found = await client.count(Filter(event_name="b.*"))
        assert found == Count(0, CountKind.AT_LEAST)


class TestWhere:
    async def test_it_is_asked_of_the_store(self, client: Client, store: MemoryStore) -> None:
        await client.schedule(message(id="a"))
        await store.claim(limit=1, lease=HOUR, owner="host:1:x")
        found = await client.where("a")
        assert (found.state, found.owner) == (State.CLAIMED, "host:1:x")
        with pytest.raises(MessageNotFound, match="'b'"):
            await client.where("b")
        with pytest.raises(InvalidArgument):
            await client.where(5)  # type: ignore[arg-type]  # what is refused

    async def test_a_store_that_cannot_tell(self) -> None:
        async with Client(WatchedStore(), load_plugins=False) as client:
            with pytest.raises(Unsupported, match="cannot tell where"):
                await client.where("a")


class TestUpcoming:
    async def told(self, client: Client, until: float, **more: Any) -> list[tuple[str, float]]:
        found = await client.upcoming(at(until), **more)
        return [(each.message.id, (each.at - at(0)).total_seconds()) for each in found]

    async def test_what_waits_and_each_fire_of_the_series(
        self, client: Client, store: MemoryStore
    ) -> None:
        await fill(
            store,
            message(id="a", due=90),
            message(id="late", due=-5),
            retrying("r", -60, 150),
            message(id="s", due=30, recurrence=Every(MINUTE)),
            letter(id="dead", due=20),
        )
        assert await self.told(client, 150) == [
            ("late", 0), ("s", 30), ("a", 90), ("s", 90), ("r", 150), ("s", 150)
        ]  # fmt: skip
        assert await self.told(client, 150, since=at(90), limit=3) == [
            ("a", 90), ("s", 90), ("r", 150)
        ]  # fmt: skip
        assert await self.told(client, 150, filter=Filter(id_prefix="a")) == [("a", 90)]
        assert await self.told(client, -9) == []

    async def test_a_series_ends_where_it_ends(self, client: Client, store: MemoryStore) -> None:
        await fill(
            store,
            message(id="n", due=10, recurrence=Every(MINUTE, max_occurrences=2)),
            message(id="u", due=10, recurrence=Every(MINUTE, until=at(70))),
            message(id="c", due=0, recurrence=Cron("* * * * *", until=at(60))),
        )
        assert await self.told(client, 9999) == [
            ("c", 0), ("n", 10), ("u", 10), ("c", 60), ("n", 70), ("u", 70)
        ]  # fmt: skip

    async def test_of_what_is_claimed_only_what_follows(
        self, client: Client, store: MemoryStore
    ) -> None:
        await fill(store, message(id="a"), message(id="s", recurrence=Every(MINUTE)))
        await store.claim(limit=9, lease=HOUR, owner="x")
        assert await self.told(client, 120) == [("s", 60), ("s", 120)]

    async def test_what_is_missed_is_not_made_up_for_unless_all_is(
        self, client: Client, store: MemoryStore
    ) -> None:
        await fill(
            store,
            message(id="once", due=-170, recurrence=Every(MINUTE)),  # that of -50 is in time
            message(id="all", due=-170, recurrence=Every(MINUTE, missed="all")),
            message(id="skip", due=-170, recurrence=Every(MINUTE, missed="skip")),
        )
        assert await self.told(client, 10) == [
            ("all", 0), ("all", 0), ("all", 0), ("once", 0), ("once", 0), ("skip", 0),
            ("all", 10), ("once", 10), ("skip", 10),
        ]  # fmt: skip

    async def test_jitter_is_in_it(self, client: Client, store: MemoryStore) -> None:
        series = message(id="s", due=60, recurrence=Every(MINUTE, jitter=MINUTE))
        await fill(store, series)
        recurrence = series.recurrence
        assert recurrence is not None
        fires = [recurrence.due("s", at(60 * n)) for n in range(1, 9)]
        found = await client.upcoming(at(540))
        assert [each.at for each in found] == fires
        late = await client.upcoming(at(540), since=fires[4])
        assert [each.at for each in late] == fires[4:]

    async def test_what_is_missed_uses_up_no_occurrences(
        self, client: Client, store: MemoryStore
    ) -> None:
        three = Every(MINUTE, max_occurrences=3)
        await fill(store, message(id="s", due=-1010, recurrence=three))
        assert await self.told(client, 999) == [("s", 0), ("s", 0), ("s", 10)]

    async def test_a_series_waits_for_its_retry(self, client: Client, store: MemoryStore) -> None:
        series = message(id="s", due=-10, recurrence=Every(MINUTE, missed="all"))
        await fill(store, with_changes(series, retry_count=1, next_attempt_at=at(120)))
        assert await self.told(client, 100) == []
        fires = [("s", 120), ("s", 120), ("s", 120), ("s", 170)]
        assert await self.told(client, 170) == fires
        assert await self.told(client, 170, limit=2) == fires[:2]

    async def test_a_fire_that_is_over_may_be_due_by_its_jitter(
        self, client: Client, store: MemoryStore
    ) -> None:
        hourly = Every(HOUR, jitter=HOUR)
        late, soon = at(-5400), at(-1800)
        id = next(
            id for id in map(str, range(999)) if hourly.due(id, late) < at(0) < hourly.due(id, soon)
        )
        await fill(store, message(id=id, due=-5400, recurrence=hourly))
        found = await client.upcoming(at(1800))
        assert [each.at for each in found] == [at(0), hourly.due(id, soon)]

    @pytest.mark.parametrize("missed", ["once", "all"])
    async def test_a_window_far_away_is_counted_up_to(
        self, client: Client, store: MemoryStore, missed: Any
    ) -> None:
        tick = timedelta(milliseconds=1)
        await fill(
            store, message(id="s", recurrence=Every(tick, missed=missed, max_occurrences=10**12))
        )
        await fill(store, message(id="few", recurrence=Every(tick, max_occurrences=10**9)))
        yearly = Cron("0 12 1 1 *", max_occurrences=11)  # from 2030 on
        await fill(store, message(id="c", recurrence=yearly))
        far = at(0) + timedelta(days=3652)
        found = await client.upcoming(far + tick, since=far - tick)
        assert [(each.message.id, (each.at - far) // tick) for each in found] == [
            ("s", -1), ("c", 0), ("s", 0), ("s", 1)
        ]  # fmt: skip

    async def test_a_window_far_away_is_not_walked_to(
        self, client: Client, store: MemoryStore
    ) -> None:
        await fill(store, message(id="s", recurrence=Every(timedelta(milliseconds=1))))
        far = at(0) + timedelta(days=3650)
        found = await client.upcoming(far + timedelta(milliseconds=2), since=far)
        assert [each.at - far for each in found] == [timedelta(milliseconds=n) for n in range(3)]

    async def test_no_more_than_asked_for_and_no_payloads(
        self, client: Client, store: MemoryStore
    ) -> None:
        await fill(store, *(message(id=f"{n:04}", due=n + 1) for n in range(600)))
        await fill(store, message(id="s", due=0.5, recurrence=Every(timedelta(seconds=1))))
        found = await client.upcoming(at(9999), limit=5)
        assert [each.message.id for each in found] == ["s", "0000", "s", "0001", "s"]
        with pytest.raises(duly.InvalidMessage, match="without its payload"):
            found[0].message.payload  # noqa: B018  # it is enough to ask

    @pytest.mark.parametrize("seed", range(40))
    @run_virtually
    async def test_they_are_what_a_scheduler_delivers_that_starts_now(self, seed: int) -> None:
        dice, store, transport = random.Random(seed), WakingStore(), Probed()
        seconds = dice.randint(20, 200)
        series = message(
            id=f"s{seed}",
            due=-dice.randint(5, 2000) + 0.5,
            recurrence=Every(
                timedelta(seconds=seconds),
                jitter=timedelta(seconds=dice.choice([0, seconds, dice.randint(1, seconds)])),
                missed=dice.choice(["once", "all", "skip"]),
                max_occurrences=dice.choice([None, dice.randint(1, 12)]),
                until=dice.choice([None, at(dice.randint(0, 1500))]),
                grace=timedelta(seconds=dice.choice([0, 1, 30])),
            ),
        )
        async with Client(store, load_plugins=False) as client:
            client._now = lambda: at(now())  # type: ignore[method-assign]  # the store's
            await client.schedule(series)
            told = await client.upcoming(at(2000))
        async with delivering(store, transport):
            await asyncio.sleep(2000)
        times = transport.times(series.id)
        assert len(times) == len(told)
        for time, each in zip(times, told, strict=True):
            assert time == pytest.approx((each.at - at(0)).total_seconds(), abs=0.5)

    @pytest.mark.parametrize("limit", [1, 7, 40, 1000])
    async def test_they_are_those_that_come_first_of_all(
        self, client: Client, store: MemoryStore, limit: int
    ) -> None:
        dice = random.Random(limit)
        await fill(
            store,
            *(
                message(
                    id=f"{n}",
                    due=dice.randint(-99, 99),
                    recurrence=dice.choice([None, Every(timedelta(seconds=dice.randint(1, 50)))]),
                )
                for n in range(60)
            ),
        )
        every = await client.upcoming(at(120), since=at(3), limit=100_000)
        assert every == sorted(every, key=lambda each: (each.at, each.message.id))
        one_by_one = [
            each
            for n in range(60)
            for each in await client.upcoming(at(120), since=at(3), filter=Filter(ids=[f"{n}"]))
        ]
        assert len(every) == len(one_by_one)
        assert {(each.at, each.message.id) for each in every} == {
            (each.at, each.message.id) for each in one_by_one
        }
        first = await client.upcoming(at(120), since=at(3), limit=limit)
        assert [each.at for each in first] == [each.at for each in every[:limit]]

    async def test_what_comes_twice_because_it_was_moved(self) -> None:
        class Moving(MemoryStore):
            async def list(self, filter: Filter, **more: Any) -> Sequence[Message]:
                return 2 * list(await super().list(filter, **more))

        store = Moving(clock=HandClock())
        await fill(store, message(id="a", due=9, recurrence=Every(MINUTE)))
        async with Client(store, load_plugins=False) as client:
            client._now = lambda: at(0)  # type: ignore[method-assign]  # the store's
            assert await self.told(client, 69) == [("a", 9), ("a", 9), ("a", 69), ("a", 69)]

    async def test_others_have_their_turn_meanwhile(
        self, client: Client, store: MemoryStore
    ) -> None:
        await fill(store, message(id="s", recurrence=Every(timedelta(milliseconds=1))))
        asked = asyncio.create_task(client.upcoming(at(9999), limit=100_000))
        turns = 0
        while not asked.done():
            await asyncio.sleep(0)
            turns += 1
        assert len(await asked) == 100_000
        assert turns > 500

    @pytest.mark.parametrize(
        ("asked", "told"),
        [
            ({"until": 5}, "until must be a datetime"),
            ({"until": datetime(2030, 1, 1)}, "until is naive"),
            ({"until": at(1), "since": "x"}, "since must be a datetime"),
            ({"until": at(1), "limit": 0}, "limit must be from 1"),
            ({"until": at(1), "filter": Filter(limit=5)}, "its own limit"),
            ({"until": at(1), "filter": Filter(order="died_at")}, "its own limit"),
        ],
        ids=str,
    )
    async def test_refused(self, client: Client, asked: dict[str, Any], told: str) -> None:
        with pytest.raises(InvalidArgument, match=told):
            await client.upcoming(**asked)


async def test_blocking_code_has_all_of_it(tmp_path: Any) -> None:
    def blocking() -> tuple[Sequence[Message], Count, int, str]:
        with duly.sync.Client("memory://", load_plugins=False) as client:
            client.schedule_many(
                [Message("a", id=id, scheduled_at=duly.after(hours=1)) for id in "ab"]
            )
            client.schedule(Message("t", id="s", recurrence=Every(MINUTE)))
            found = client.search(Filter(id_prefix="a")).messages
            assert client.where("a").state is State.SCHEDULED
            fired = client.fire("s")
            fires = len(client.upcoming(duly.after(minutes=5), filter=Filter(ids=["s"])))
            return found, client.count(), fires, fired

    found, count, fires, fired = await asyncio.to_thread(blocking)
    assert [each.id for each in found] == ["a"]
    assert count == Count(4, CountKind.EXACT)
    assert fires in (4, 5)
    assert fired != "s"


async def test_an_unreadable_one_is_found_by_what_it_is_listed_as(
    client: Client, store: MemoryStore
) -> None:
    odd = with_changes(message(id="odd"), event_name=duly.message.UNREADABLE, state=State.DEAD)
    await fill(store, odd)
    assert [each.id for each in await client.list(Filter(event_name="duly.*"))] == ["odd"]
