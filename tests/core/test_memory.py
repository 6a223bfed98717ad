"""What only the memory store has: its URL, its clock, its bounds, and that one object is shared."""

import asyncio
import gc
import random
import tracemalloc
from bisect import bisect_left, insort
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import duly._memory.clock
from duly._memory.agenda import Agenda
from duly.errors import InvalidArgument, Unsupported
from duly.memory import MemoryStore, duly_stores
from duly.message import Filter, Message, State
from duly.store import (
    Bury,
    Counters,
    Group,
    Key,
    Release,
    Reschedule,
    Settle,
    Settlement,
    SupportsMigration,
    SupportsTransactions,
    SupportsWakeups,
)
from duly.testing.clock import START, HandClock

HOUR = timedelta(hours=1)

NOTHING = 200_000
"""Bytes: what is in the store anyway may be made anew; what was left behind would be a million."""


def message(id: str, after: timedelta = timedelta(0), event_name: str = "event") -> Message:
    return Message(event_name, id=id, scheduled_at=START + after, created_at=START)


async def turns() -> None:
    """Let every task go on until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def store(clock: HandClock) -> MemoryStore:
    return MemoryStore(clock=clock)


class TestURL:
    def test_each_url_makes_a_store_of_its_own(self) -> None:
        factory = duly_stores()["memory"]
        first, second = factory("memory://"), factory("memory://")
        assert isinstance(first, MemoryStore)
        assert first is not second

    @pytest.mark.parametrize(
        ("url", "match"),
        [
            ("memory://host", "no host, path or user"),
            ("memory:///path", "no host, path or user"),
            ("memory://user:secret@", r"memory://user:\*\*\*@"),
            ("memory://?shards=2", "unknown option 'shards'; known: none"),
        ],
    )
    def test_what_it_does_not_take_is_refused(self, url: str, match: str) -> None:
        with pytest.raises(InvalidArgument, match=match):
            duly_stores()["memory"](url)

    def test_all_it_exports(self) -> None:
        assert duly.memory.__all__ == ["MemoryStore", "duly_stores"]


class TestAbilities:
    async def test_it_has_no_transactions(self, store: MemoryStore) -> None:
        assert not isinstance(store, SupportsTransactions)
        await store.put([Group([message("a", HOUR)])])
        before = await store.get("a")
        calls: list[Awaitable[object]] = [
            store.put([Group([message("b")])], within=object()),
            store.cancel(["a"], within=object()),
            store.reschedule("a", START, of_state=State.SCHEDULED, within=object()),
        ]
        for call in calls:
            with pytest.raises(Unsupported, match="no transactions"):
                await call
        assert await store.get("a") is before
        assert await store.get("b") is None

    def test_it_can_wake_and_has_no_schema(self, store: MemoryStore) -> None:
        assert isinstance(store, SupportsWakeups)
        assert not isinstance(store, SupportsMigration)

    async def test_what_it_holds_outlives_close(self, store: MemoryStore) -> None:
        await store.open()
        await store.put([Group([message("a")])])
        await store.close()
        await store.close()
        await store.open()
        assert await store.get("a") == message("a")


class TestClock:
    async def test_its_own_clock_is_this_host_s(self) -> None:
        before = datetime.now(UTC)
        now = (await MemoryStore().claim(limit=1, lease=HOUR, owner="o")).now
        assert before <= now <= datetime.now(UTC)

    async def test_its_own_clock_never_runs_backwards(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        moments = [START, START + 2 * HOUR, START + HOUR, START + 3 * HOUR]

        stepping = SimpleNamespace(now=lambda _: moments.pop(0))
        monkeypatch.setattr(duly._memory.clock, "datetime", stepping)
        store = MemoryStore()
        told = [(await store.claim(limit=1, lease=HOUR, owner="o")).now for _ in range(3)]
        assert told == [START + 2 * HOUR, START + 2 * HOUR, START + 3 * HOUR]


class TestEndOfTheCalendar:
    async def test_what_can_be_made_no_newer_keeps_its_moment(self, store: MemoryStore) -> None:
        last = datetime.max.replace(tzinfo=UTC)
        stored = Message("event", id="a", scheduled_at=START, created_at=last)
        await store.put([Group([stored])])
        for created_at in (last, START):
            newer = Message("event", id="a", scheduled_at=START, created_at=created_at)
            groups = [Group([message("b")]), Group([newer], replace=True)]
            assert (await store.put(groups))[1] is None
            assert await store.get("a") == newer

    async def test_a_lease_beyond_it_takes_nothing(self, store: MemoryStore) -> None:
        await store.put([Group([message("a"), message("b")])])
        batch = await store.claim(limit=1, lease=HOUR, owner="o")
        assert batch.token is not None
        settle = [Settle(batch.token)]
        with pytest.raises(OverflowError):
            await store.claim(limit=9, lease=timedelta.max, owner="o", settle=settle)
        batch = await store.claim(limit=9, lease=HOUR, owner="o", settle=settle)
        assert list(batch.settled) == [True]
        assert [claim.message.id for claim in batch.claims] == ["b"]


class TestSharing:
    def test_from_one_event_loop_to_the_next(self, store: MemoryStore) -> None:
        asyncio.run(self._put(store, "a"))
        token = asyncio.run(self._claim(store))
        assert asyncio.run(store.settle([Settle(token)])) == [True]
        assert asyncio.run(store.get("a")) is None

    async def test_a_change_on_another_loop_wakes(self, store: MemoryStore) -> None:
        waiting = asyncio.create_task(store.wait_for_change())
        await asyncio.sleep(0)
        await asyncio.to_thread(asyncio.run, self._put(store, "a"))
        await waiting

    def test_a_loop_that_ended_while_somebody_waited_is_forgotten(self, store: MemoryStore) -> None:
        loop = asyncio.new_event_loop()
        waiting = loop.create_task(store.wait_for_change())
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()
        asyncio.run(self._put(store, "a"))
        assert not waiting.done()
        waiting.get_coro().close()
        waiting._log_destroy_pending = False  # type: ignore[attr-defined]  # on purpose

    async def test_threads_do_not_disturb_each_other(self, store: MemoryStore) -> None:
        async def many(name: str) -> int:
            claimed = 0
            for number in range(100):
                await store.put([Group([message(f"{name}{number}-{each}") for each in range(5)])])
                batch = await store.claim(limit=7, lease=HOUR, owner=name)
                claimed += len(batch.claims)
                if batch.token is not None:
                    assert await store.settle([Settle(batch.token)]) == [True]
            return claimed

        threads = [asyncio.to_thread(asyncio.run, many(name)) for name in "abcd"]
        claimed = sum(await asyncio.gather(*threads))
        stats = await store.stats()
        assert (claimed + stats.scheduled, stats.claimed) == (4 * 100 * 5, 0)

    @staticmethod
    async def _put(store: MemoryStore, id: str) -> None:
        await store.put([Group([message(id)])])

    @staticmethod
    async def _claim(store: MemoryStore) -> str:
        batch = await store.claim(limit=1, lease=HOUR, owner="o")
        assert batch.token is not None
        return batch.token


class TestWakeups:
    async def test_each_of_several_tasks_learns_of_each_change(self, store: MemoryStore) -> None:
        heard = [0, 0, 0]

        async def listen(number: int) -> None:
            while True:
                await store.wait_for_change()
                heard[number] += 1

        tasks = [asyncio.create_task(listen(number)) for number in range(3)]
        for number in range(5):
            await turns()
            assert heard == [number] * 3
            await store.put([Group([message(str(number))])])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def test_a_task_that_was_busy_learns_of_it_when_it_comes_back(
        self, store: MemoryStore
    ) -> None:
        steps: asyncio.Queue[None] = asyncio.Queue()
        heard: list[str] = []

        async def listen(name: str, *, busy: bool) -> None:
            for _ in range(3):
                await store.wait_for_change()
                heard.append(name)
                if busy:
                    await steps.get()

        tasks = [
            asyncio.create_task(listen("busy", busy=True)),
            asyncio.create_task(listen("idle", busy=False)),
        ]
        for number in range(3):
            await turns()
            await store.put([Group([message(str(number))])])
        await tasks[1]
        assert heard.count("busy") == 1
        for _ in range(2):
            steps.put_nowait(None)
        await turns()
        assert heard.count("busy") == 2
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def test_a_wait_that_is_cancelled_just_when_it_ends_tells_the_next(
        self, store: MemoryStore
    ) -> None:
        waiting = asyncio.create_task(store.wait_for_change())
        await asyncio.sleep(0)
        await store.put([Group([message("a")])])
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.create_task(store.wait_for_change())


class TestBounds:
    """However much passes through, what is gone takes no room."""

    async def test_moving_and_cancelling(self, store: MemoryStore) -> None:
        await store.put([Group([message(str(number), HOUR) for number in range(100)])])

        async def work() -> None:
            for number in range(5000):
                id, at = str(number % 100), START + HOUR + timedelta(seconds=number)
                await store.reschedule(id, at, of_state=State.SCHEDULED)
                await store.put([Group([message("more", 2 * HOUR)])])
                await store.cancel(["more"])

        assert await growth(work) < NOTHING

    async def test_claiming_renewing_and_putting_back(
        self, store: MemoryStore, clock: HandClock
    ) -> None:
        await store.put([Group([message(str(number)) for number in range(100)])])

        async def work() -> None:
            for _ in range(1000):
                batch = await store.claim(limit=10, lease=HOUR, owner="o")
                assert batch.token is not None
                await store.renew([batch.token], 2 * HOUR)
                outcomes: dict[Key, Settlement] = {
                    claim.key: Release(clock()) for claim in batch.claims
                }
                outcomes[batch.claims[0].key] = Reschedule(clock(), Counters(START))
                assert await store.settle([Settle(batch.token, outcomes)]) == [True]
                clock.advance(milliseconds=1)

        assert await growth(work) < NOTHING

    async def test_leases_that_lapse(self, store: MemoryStore, clock: HandClock) -> None:
        async def work() -> None:
            for number in range(2000):
                await store.put([Group([message(str(number))])])
                await store.claim(limit=10, lease=HOUR, owner="o")
                await store.cancel([str(number)])
                clock.advance(minutes=1)

        assert await growth(work) < NOTHING

    async def test_event_names_and_listings(self, store: MemoryStore) -> None:
        async def work() -> None:
            for number in range(2000):
                name = f"event-{number}"
                await store.put([Group([message(str(number), event_name=name)])])
                assert len(await store.list(Filter(event_name=name))) == 1
                batch = await store.claim(limit=10, lease=HOUR, owner="o")
                assert batch.token is not None
                await store.settle([Settle(batch.token)])

        assert await growth(work) < NOTHING

    async def test_waiting(self, store: MemoryStore) -> None:
        async def work() -> None:
            for _ in range(2000):
                waiting = asyncio.create_task(store.wait_for_change())
                await asyncio.sleep(0)
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)

        assert await growth(work) < NOTHING


async def growth(work: Callable[[], Awaitable[None]]) -> int:
    """The bytes that are left after the second time of doing something."""
    await work()
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        await work()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return after - before


class TestListing:
    async def test_pages_while_things_come_and_go(self, store: MemoryStore) -> None:
        """What is there all the time is listed once, whatever happens between two pages."""
        chance = random.Random(5)
        stays = {f"stays{number:03}" for number in range(200)}
        await store.put([Group([message(id, chance.randrange(50) * HOUR) for id in stays])])
        listed: list[str] = []
        key, number = None, 0
        while page := await store.list(Filter(limit=7), from_key=key):
            key = (page[-1].scheduled_at, page[-1].id)
            listed += [found.id for found in page]
            number += 1
            await store.put([Group([message(f"new{number}", chance.randrange(50) * HOUR)])])
            await store.cancel([f"new{chance.randrange(1, number + 1)}"])
        assert sorted(each for each in listed if each in stays) == sorted(stays)

    async def test_a_series_that_goes_on_moves_in_the_listing(
        self, store: MemoryStore, clock: HandClock
    ) -> None:
        await store.put([Group([message("a"), message("b", HOUR), message("c", 3 * HOUR)])])
        assert [each.id for each in await store.list(Filter())] == ["a", "b", "c"]
        batch = await store.claim(limit=1, lease=HOUR, owner="o")
        assert batch.token is not None
        later = Reschedule(START + 2 * HOUR, Counters(START + 2 * HOUR))
        await store.settle([Settle(batch.token, {batch.claims[0].key: later})])
        assert [each.id for each in await store.list(Filter())] == ["b", "a", "c"]
        clock.advance(hours=2)
        batch = await store.claim(limit=1, lease=HOUR, owner="o")
        assert batch.token is not None
        await store.settle([Settle(batch.token, {batch.claims[0].key: Bury("why")})])
        dead = Filter(state=State.DEAD)
        assert [each.id for each in await store.list(dead)] == ["b"]
        assert await store.list(Filter(event_name="other", state=State.DEAD)) == []


class TestAgenda:
    """The sorted line beneath it, against a sorted list."""

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(-50, 50)), max_size=200))
    def test_small(self, steps: list[tuple[int, int]]) -> None:
        agenda: Agenda[str] = Agenda()
        model: list[int] = []
        for kind, number in steps:
            self._step(agenda, model, kind, number)

    def test_large(self) -> None:
        agenda: Agenda[str] = Agenda()
        model: list[int] = []
        chance = random.Random(7)
        for _ in range(30_000):
            kind = chance.choices(range(4), [70, 25, 1, 4])[0]
            self._step(agenda, model, kind, chance.randrange(10**6), check=False)
        assert len(model) > 5000
        assert list(agenda) == [str(number) for number in model]
        assert agenda.take(10**6 + 1) == [str(number) for number in model]
        assert (len(agenda), agenda.first(), agenda.first(0)) == (0, None, None)

    def _step(
        self, agenda: Agenda[str], model: list[int], kind: int, number: int, *, check: bool = True
    ) -> None:
        at = bisect_left(model, number)
        if kind == 0 and model[at : at + 1] != [number]:
            agenda.add(number, str(number))
            insort(model, number)
        elif kind == 1 and model:
            gone = model.pop(number % len(model))
            agenda.remove(gone)
        elif kind == 2:
            limit = number % 7
            expected = model[:at][:limit]
            assert agenda.take(number, limit) == [str(each) for each in expected]
            del model[: len(expected)]
        elif kind == 3:
            assert agenda.first(number) == (model[at] if at < len(model) else None)
            assert agenda.first() == (model[0] if model else None)
            end = bisect_left(model, 2 * number)
            expected = model[at:end]
            assert list(agenda.between(number, 2 * number)) == [str(each) for each in expected]
        if check:
            assert list(agenda) == [str(each) for each in model]
            assert len(agenda) == len(model)
