"""A store whose clock tests move: what time it is, and what becomes of what is under way."""

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from tests.core.engine_kit import kill

import duly
import duly.sync
from duly import Envelope, InvalidArgument, Message, State
from duly.testing import FakeStore, fake_store

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
MICROSECOND, SECOND = timedelta(microseconds=1), timedelta(seconds=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def store() -> FakeStore:
    return FakeStore(now=NOON)


class Handler:
    """Notes what it is given, and when."""

    def __init__(self, store: FakeStore, *errors: BaseException) -> None:
        self.store = store
        self.errors = list(errors)
        self.calls: list[tuple[str, timedelta]] = []

    async def __call__(self, envelope: Envelope) -> None:
        self.calls.append((envelope.message_id, self.store.now - NOON))
        if self.errors:
            raise self.errors.pop(0)


def scheduler(store: FakeStore, handler, **options) -> duly.Scheduler:
    return duly.Scheduler(store, handler, load_plugins=False, **options)


def due(id: str, at: datetime = NOON, **more) -> Message:
    return Message("event", scheduled_at=at, id=id, **more)


class TestClock:
    async def test_it_stands_still_where_it_is_told_to_begin(self, store: FakeStore) -> None:
        assert store.now == store.now == NOON
        assert await store.advance(hours=1, seconds=1) == store.now == NOON + HOUR + SECOND
        assert store.after(minutes=-1) == store.now - timedelta(minutes=1)
        assert await store.advance() == NOON + HOUR + SECOND
        there = datetime(2030, 1, 3, 12, tzinfo=timezone(2 * HOUR))
        assert (await store.advance_to(there)).tzinfo is UTC
        assert store.now == there

    async def test_it_goes_with_the_clock_of_the_host(self) -> None:
        store = FakeStore()
        before, shown, after = datetime.now(UTC), store.now, datetime.now(UTC)
        assert before <= shown <= after
        await store.advance(days=1)
        assert before + DAY <= store.now <= datetime.now(UTC) + DAY

    async def test_what_a_service_schedules_by_the_host_is_due_when_it_was_advanced(self) -> None:
        store = FakeStore()
        handler = Handler(store)
        drained = scheduler(store, handler)
        await drained.schedule(due("a", duly.after(hours=1)))
        await store.advance(hours=1)
        assert len(await drained.drain()) == 1

    async def test_what_is_scheduled_by_the_store_counts_from_where_it_was_moved(self) -> None:
        store = FakeStore()
        await store.advance(days=2)
        drained = scheduler(store, Handler(store))
        await drained.schedule(due("by the host", duly.after(days=1)))
        await drained.schedule(due("by the store", store.after(days=1)))
        assert [each.message.id for each in await drained.drain()] == ["by the host"]

    async def test_it_does_not_go_back(self, store: FakeStore) -> None:
        await store.advance(hours=1)
        for back in (store.advance(seconds=-1), store.advance_to(NOON)):
            with pytest.raises(InvalidArgument, match="does not go back"):
                await back
        assert store.now == NOON + HOUR

    async def test_time_that_passed_by_itself_is_no_way_back(self) -> None:
        store = FakeStore()
        there = store.now
        await asyncio.sleep(0.001)
        assert await store.advance_to(there) > there

    async def test_nonsense_is_refused(self, store: FakeStore) -> None:
        for arguments in (
            {"fortnights": 1},
            {"days": "1"},
            {"days": 10**9},
            {"days": float("nan")},
        ):
            with pytest.raises(InvalidArgument):
                await store.advance(**arguments)
            with pytest.raises(InvalidArgument):
                store.after(**arguments)
        unnamed: tuple[Any, ...] = (60, DAY)
        for wrong in unnamed:
            with pytest.raises(InvalidArgument, match=r"as in store\.advance\(seconds=60\)"):
                await store.advance(wrong)
            with pytest.raises(InvalidArgument, match=r"as in store\.after\(seconds=60\)"):
                store.after(wrong)
        far = datetime.max.replace(tzinfo=UTC)
        moments: tuple[Any, ...] = ("tomorrow", NOON.replace(tzinfo=None), far)
        for moment in moments:
            with pytest.raises(InvalidArgument):
                await store.advance_to(moment)
        with pytest.raises(InvalidArgument):
            FakeStore(now=NOON.replace(tzinfo=None))
        assert store.now == NOON

    async def test_clients_go_by_it(self, store: FakeStore) -> None:
        client = duly.Client(store)
        await client.schedule(due("a", NOON + HOUR))
        waiting = duly.Filter(phase=duly.Phase.SCHEDULED)
        assert len(await client.list(waiting)) == 1
        await store.advance(hours=2)
        assert len(await client.list(waiting)) == 0

    async def test_health_finds_nothing_odd_about_it(self, store: FakeStore) -> None:
        async with scheduler(store, Handler(store)).running() as running:
            await store.advance(days=2)
            health = await running.health()
        assert health.status is duly.Status.HEALTHY, health


class TestTheOtherClock:
    """What a service schedules by the host's, for a store whose clock shows something else."""

    async def test_what_is_past_or_far_away_is_logged_once(self, caplog) -> None:
        store, told = FakeStore(), "by this host's clock that is soon, by the FakeStore's, which"
        client = duly.Client(store)
        await store.advance(days=2)
        await client.schedule(due("a", duly.after(days=1)))
        await client.schedule(due("b", duly.after(days=1)))
        (line,) = caplog.messages
        assert line.startswith("'a' is scheduled for ")
        assert told in line
        assert "it is past" in line
        caplog.clear()
        client = duly.Client(FakeStore(now=datetime(2000, 1, 1, tzinfo=UTC)))
        await client.schedule(due("a", datetime(2000, 1, 2, tzinfo=UTC)))
        assert caplog.messages == []
        await client.reschedule("a", duly.after(days=1))
        (line,) = caplog.messages
        assert "it is far away" in line

    @pytest.mark.parametrize("ahead", [0, 2, 5000])
    async def test_what_may_be_meant_so_is_not(self, caplog, ahead: int) -> None:
        store = FakeStore()
        await store.advance(days=ahead)
        client = duly.Client(store)
        for moment in (
            duly.after(),  # at once, by either clock
            duly.after(days=-1),
            store.after(days=1),
            store.after(days=400),
            store.now,
        ):
            await client.schedule(due(str(moment), moment))
        assert caplog.messages == []

    async def test_it_is_no_warning_which_may_be_an_error(self, recwarn) -> None:
        client = duly.Client(FakeStore(now=datetime(2000, 1, 1, tzinfo=UTC)))
        await client.schedule(due("a", duly.after(days=1)))
        assert not recwarn.list


class TestAdvancing:
    async def test_a_running_scheduler_has_delivered_when_it_returns(
        self, store: FakeStore
    ) -> None:
        handler = Handler(store)
        async with scheduler(store, handler).running() as running:
            await running.schedule_many([due("now"), due("then", NOON + DAY)])
            await store.advance(days=1)
            assert handler.calls == [("now", 0 * DAY), ("then", DAY)]
            assert await running.list() == []

    async def test_each_fire_of_a_series_comes_in_its_turn(self, store: FakeStore) -> None:
        handler = Handler(store)
        async with scheduler(store, handler).running() as running:
            await running.schedule(due("a", NOON + HOUR, recurrence=duly.Every(DAY)))
            await store.advance(days=3)
        assert handler.calls == [("a", HOUR), ("a", HOUR + DAY), ("a", HOUR + 2 * DAY)]

    async def test_without_a_scheduler_it_is_a_downtime(self, store: FakeStore) -> None:
        handler = Handler(store)
        drained = scheduler(store, handler)
        await drained.schedule(due("a", NOON + HOUR, recurrence=duly.Every(DAY)))
        await store.advance(days=3)
        done = await drained.drain()
        assert [each.message.scheduled_at for each in done] == [NOON + HOUR + 2 * DAY]

    async def test_retries_and_what_handlers_schedule(self, store: FakeStore) -> None:
        errors = [ValueError("once"), ValueError("twice")]
        handler = Handler(store, *errors)
        follow_ups: list[str] = []

        async def both(envelope: Envelope) -> None:
            await handler(envelope)
            if envelope.message_id != "follow-up":
                follow_ups.append(await running.schedule(due("follow-up", store.after(hours=5))))

        backoff = duly.Backoff(initial=HOUR, maximum=DAY, jitter=0)
        async with scheduler(store, both, recovery=backoff).running() as running:
            await running.schedule(due("a"))
            await store.advance(days=1)
        assert handler.calls == [
            ("a", 0 * HOUR), ("a", HOUR), ("a", 3 * HOUR), ("follow-up", 8 * HOUR),
        ]  # fmt: skip

    async def test_several_schedulers(self, store: FakeStore) -> None:
        handlers = [Handler(store), Handler(store)]
        async with (
            scheduler(store, handlers[0]).running() as one,
            scheduler(store, handlers[1]).running(),
        ):
            await one.schedule(due("a", NOON + HOUR, recurrence=duly.Every(DAY)))
            await store.advance(days=9)
        times = [time for each in handlers for _, time in each.calls]
        assert sorted(times) == [HOUR + number * DAY for number in range(9)]

    async def test_many_series(self, store: FakeStore) -> None:
        handler = Handler(store)
        async with scheduler(store, handler).running() as running:
            for number in range(50):
                await running.schedule(due(str(number), NOON + HOUR, recurrence=duly.Every(HOUR)))
            await store.advance(hours=20)
        assert len(handler.calls) == 50 * 20

    async def test_plain_handlers_in_threads(self, store: FakeStore) -> None:
        times: list[timedelta] = []

        def handler(envelope: Envelope) -> None:
            threading.Event().wait(0.01)
            times.append(store.now - NOON)

        async with scheduler(store, handler).running() as running:
            await running.schedule(due("a", NOON + HOUR, recurrence=duly.Every(DAY)))
            await store.advance(days=3)
        assert times == [HOUR, HOUR + DAY, HOUR + 2 * DAY]

    def test_a_scheduler_in_a_thread_of_its_own(self, store: FakeStore) -> None:
        times: list[timedelta] = []
        with (
            duly.sync.Scheduler(store, lambda _: times.append(store.now - NOON)) as blocking,
            blocking.running(),
        ):
            blocking.schedule(due("a", NOON + HOUR, recurrence=duly.Every(DAY)))
            asyncio.run(store.advance(days=3))
        assert times == [HOUR, HOUR + DAY, HOUR + 2 * DAY]

    def test_one_on_an_event_loop_in_another_thread(self, store: FakeStore) -> None:
        """As under a TestClient, in which an application has its loop."""
        handler, ready, over = Handler(store), threading.Event(), threading.Event()

        async def serve() -> None:
            async with scheduler(store, handler).running() as running:
                await running.schedule(due("a", NOON + HOUR, recurrence=duly.Every(DAY)))
                ready.set()
                await asyncio.to_thread(over.wait)

        with ThreadPoolExecutor(1) as elsewhere:
            served = elsewhere.submit(asyncio.run, serve())
            ready.wait(10)
            asyncio.run(store.advance(days=3))
            over.set()
            served.result()
        assert [time for _, time in handler.calls] == [HOUR, HOUR + DAY, HOUR + 2 * DAY]

    async def test_a_series_that_fires_all_the_time_does_not_keep_it(self, monkeypatch) -> None:
        """On a clock that runs, its next fire is always due."""
        monkeypatch.setattr(fake_store, "_LOOKS", 50)
        store = FakeStore()
        fires: list[datetime] = []
        async with scheduler(store, lambda each: fires.append(each.scheduled_at)).running() as busy:
            tick = duly.Every(timedelta(milliseconds=1))
            await busy.schedule(due("a", store.now, recurrence=tick))
            start = store.now
            assert await store.advance(milliseconds=200) >= start + timedelta(milliseconds=200)
        assert fires


class TestInHand:
    async def test_what_is_in_hand_ends_first(self, store: FakeStore) -> None:
        times: list[timedelta] = []

        async def handler(envelope: Envelope) -> None:
            for _ in range(10):
                await asyncio.sleep(0)
            times.append(store.now - NOON)

        async with scheduler(store, handler).running() as running:
            await running.schedule(due("a"))
            await store.advance(days=1)
        assert times == [0 * DAY]

    async def test_a_handler_that_hangs_keeps_its_claim(self, store: FakeStore) -> None:
        begun, goes_on = asyncio.Event(), asyncio.Event()
        attempts: list[int] = []

        async def handler(envelope: Envelope) -> None:
            attempts.append(envelope.attempt)
            begun.set()
            await goes_on.wait()

        async with scheduler(store, handler).running() as running:
            await running.schedule(due("a"))
            await running.schedule(due("other", NOON + HOUR, recurrence=duly.Every(HOUR)))
            await begun.wait()
            assert await store.advance(days=1) == NOON + DAY
            where = await running.where("a")
            assert where is not None
            assert where.lease_ends_at is not None
            assert where.state is State.CLAIMED
            assert where.lease_ends_at > NOON + DAY
            goes_on.set()
            await store.advance(days=1)
            assert [each.id for each in await running.list()] == ["other"]
        assert set(attempts) == {1}

    async def test_a_handler_may_advance_it(self, store: FakeStore) -> None:
        times: list[timedelta] = []
        advanced = asyncio.Event()

        async def handler(envelope: Envelope) -> None:
            await store.advance(days=1)
            times.append(store.now - NOON)
            advanced.set()

        async with scheduler(store, handler).running() as running:
            await running.schedule(due("a"))
            await advanced.wait()
            await store.advance()
            assert await running.list() == []
        assert times == [DAY]
        await (drained := scheduler(store, handler)).schedule(due("b"))
        assert len(await drained.drain()) == 1
        assert times == [DAY, 2 * DAY]

    async def test_the_claims_of_a_dead_scheduler_lapse(self, store: FakeStore) -> None:
        begun = asyncio.Event()

        async def hang(envelope: Envelope) -> None:
            begun.set()
            await asyncio.Event().wait()

        victim = scheduler(store, hang)
        running = asyncio.create_task(victim.start())
        await victim.schedule(due("a"))
        await begun.wait()
        await kill(victim)
        with pytest.raises(duly.SchedulerStateError, match="cancelled"):
            await running
        handler = Handler(store)
        async with scheduler(store, handler).running():
            await store.advance(hours=1)
        assert handler.calls == [("a", timedelta(minutes=5))]

    async def test_cancelled_while_it_waits(self, store: FakeStore) -> None:
        async with scheduler(store, lambda _: asyncio.Event().wait()).running() as running:
            await running.schedule(due("a"))
            advancing = asyncio.create_task(store.advance(days=1))
            for _ in range(300):
                await asyncio.sleep(0)
            advancing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await advancing
            assert store.now == NOON
            await running.stop(timedelta(0))


def test_it_needs_no_pytest_and_loads_no_kit() -> None:
    code = """
        import asyncio, sys
        import duly
        from duly.testing import FakeStore, assert_not_scheduled, assert_scheduled
        async def main():
            store = FakeStore()
            drained = duly.Scheduler(store, lambda _: None, load_plugins=False)
            await drained.schedule(duly.Message("event", scheduled_at=store.now))
            assert_scheduled(await drained.list(), "event")
            assert len(await drained.drain()) == 1
            assert_not_scheduled(await drained.list(), "event")
        asyncio.run(main())
        print(*sys.modules)
    """
    run = subprocess.run(
        [sys.executable, "-c", "\n".join(line[8:] for line in code.splitlines())],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = set(run.stdout.split())
    assert not {"pytest", "hypothesis", "sqlalchemy", "duly.testing.stores"} & loaded
    assert not {"duly.testing.clock", "duly.testing.gate"} & loaded
