"""Delivering what is due, and then stopping."""

import asyncio
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import freezegun
import pytest
import time_machine

import duly
import duly.sync
from duly import Envelope, InvalidArgument, Message, SchedulerStateError, State
from duly.errors import StoreUnavailable, TransportUnavailable
from duly.testing import FakeStore

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def store() -> FakeStore:
    return FakeStore(now=NOON)


class Handler:
    """Notes what it is given, and fails as often as it is told."""

    def __init__(self, store: FakeStore, *errors: BaseException) -> None:
        self.store = store
        self.errors = list(errors)
        self.calls: list[tuple[str, timedelta]] = []

    async def __call__(self, envelope: Envelope) -> None:
        self.calls.append((envelope.message_id, self.store.now - NOON))
        if self.errors:
            raise self.errors.pop(0)


def scheduler(store: duly.store.Store, handler, **options) -> duly.Scheduler:
    return duly.Scheduler(store, handler, load_plugins=False, **options)


def due(id: str | None = None, at: datetime = NOON, **more) -> Message:
    return Message("event", scheduled_at=at, id=id, **more)


class TestWhatIsDue:
    async def test_it_is_delivered_and_told(self, store: FakeStore) -> None:
        handler = Handler(store)
        drained = scheduler(store, handler)
        await drained.schedule_many([due("a", NOON - HOUR), due("b"), due("c", NOON + SECOND)])
        done = await drained.drain()
        assert sorted(each.message.id for each in done) == ["a", "b"]
        assert {each.message.id: each.lateness for each in done} == {"a": HOUR, "b": 0 * HOUR}
        assert [each.id for each in await drained.list()] == ["c"]
        assert store.now == NOON

    async def test_nothing_is_due(self, store: FakeStore) -> None:
        drained = scheduler(store, Handler(store))
        assert list(await drained.drain()) == []
        await drained.schedule(due("a", NOON + DAY))
        assert list(await drained.drain()) == []

    async def test_what_a_handler_schedules_for_now_is_delivered_too(
        self, store: FakeStore
    ) -> None:
        async def chain(envelope: Envelope) -> None:
            if envelope.message_id != "5":
                await drained.schedule(due(str(int(envelope.message_id) + 1)))
                await other.schedule(due(f"{envelope.message_id}-later", NOON + HOUR))

        drained, other = scheduler(store, chain), duly.Client(store)
        await drained.schedule(due("0"))
        assert sorted(each.message.id for each in await drained.drain()) == list("012345")
        assert len(await other.list()) == 5

    async def test_a_series_ends_it_at_its_next_fire(self, store: FakeStore) -> None:
        handler = Handler(store)
        drained = scheduler(store, handler)
        await drained.schedule(due("a", recurrence=duly.Every(HOUR)))
        assert len(await drained.drain()) == 1
        assert (await drained.get("a")).scheduled_at == NOON + HOUR

    @pytest.mark.parametrize("url", ["memory://", "sqlite:///"])
    async def test_all_of_many_that_wait_for_a_thread(self, url: str, tmp_path: Path) -> None:
        """None is put back for a moment, in which the drain would end."""
        threads = Counter[str]()

        def plain(envelope: Envelope) -> None:
            threads[threading.current_thread().name] += 1
            time.sleep(0.001)

        if url != "memory://":
            url += f"/{tmp_path}/orders.db"
        async with duly.Scheduler(
            url, plain, max_in_flight=4, batch_size=7, load_plugins=["sqlite"]
        ) as drained:
            await drained.schedule_many([due(at=duly.after()) for _ in range(300)])
            assert len(await drained.drain()) == threads.total() == 300

    async def test_a_handler_may_wait_for_what_another_delivers(self, store: FakeStore) -> None:
        came = asyncio.Event()

        async def handler(envelope: Envelope) -> None:
            if envelope.message_id == "second":
                came.set()
            else:
                await drained.schedule(due("second"))
                await came.wait()

        drained = scheduler(store, handler)
        await drained.schedule(due("first"))
        assert len(await drained.drain()) == 2

    async def test_what_another_scheduler_holds_is_not_waited_for(self, store: FakeStore) -> None:
        drained = scheduler(store, Handler(store))
        await drained.schedule(due("held"))
        await store.claim(limit=1, lease=HOUR, owner="another")
        await drained.schedule(due("a"))
        assert [each.message.id for each in await drained.drain()] == ["a"]
        assert (await drained.get("held")).state is State.CLAIMED

    async def test_observers_are_told_as_ever(self, store: FakeStore) -> None:
        class Observer:
            @duly.hookimpl
            def duly_delivered(self, deliveries) -> None:
                told.extend(deliveries)

        told: list[duly.Delivery] = []
        drained = scheduler(store, Handler(store), plugins=[Observer()])
        await drained.schedule(due())
        assert list(await drained.drain()) == told


class TestUntil:
    async def test_the_clock_goes_from_one_due_time_to_the_next(self, store: FakeStore) -> None:
        handler = Handler(store)
        drained = scheduler(store, handler)
        await drained.schedule(due("series", NOON + HOUR, recurrence=duly.Every(DAY)))
        await drained.schedule(due("once", NOON + 25 * HOUR + SECOND))
        await drained.schedule(due("later", NOON + 3 * DAY + timedelta(microseconds=1)))
        done = await drained.drain(until=NOON + 3 * DAY)
        assert handler.calls == [
            ("series", HOUR),
            ("series", 25 * HOUR),
            ("once", 25 * HOUR + SECOND),
            ("series", 49 * HOUR),
        ]
        assert [each.lateness for each in done] == [0 * HOUR] * 4
        assert store.now == NOON + 3 * DAY
        assert len(await drained.list()) == 2

    async def test_it_is_inclusive(self, store: FakeStore) -> None:
        drained = scheduler(store, Handler(store))
        await drained.schedule(due("a", NOON + DAY))
        assert len(await drained.drain(until=NOON + DAY)) == 1

    async def test_a_retry_comes_in_its_turn(self, store: FakeStore) -> None:
        handler = Handler(store, ValueError("once"), ValueError("twice"))
        backoff = duly.Backoff(initial=HOUR, maximum=DAY, jitter=0)
        drained = scheduler(store, handler, recovery=backoff)
        await drained.schedule(due("a"))
        with pytest.raises(ExceptionGroup, match=r"2 deliveries failed: 'event' \(a, attempt 1\)"):
            await drained.drain(until=NOON + DAY)
        assert handler.calls == [("a", 0 * HOUR), ("a", HOUR), ("a", 3 * HOUR)]
        assert not await drained.list()

    async def test_a_moment_that_is_past_moves_nothing(self, store: FakeStore) -> None:
        drained = scheduler(store, Handler(store))
        await drained.schedule(due())
        assert len(await drained.drain(until=NOON - DAY)) == 1
        assert store.now == NOON

    async def test_a_clock_that_runs(self) -> None:
        store = FakeStore()
        fires: list[datetime] = []
        drained = scheduler(store, lambda envelope: fires.append(envelope.scheduled_at))
        start = store.after(hours=1)
        await drained.schedule(due(at=start, recurrence=duly.Every(HOUR)))
        await drained.drain(until=store.after(hours=4, minutes=30))
        assert fires == [start + number * HOUR for number in range(4)]

    @pytest.mark.parametrize("url", ["memory://", duly.MemoryStore()])
    async def test_other_stores_have_no_clock_to_move(self, url) -> None:
        drained = scheduler(url, print)
        with pytest.raises(InvalidArgument, match=r"clock.*MemoryStore.*duly\.testing\.FakeStore"):
            await drained.drain(until=duly.after(days=1))

    async def test_nonsense_is_refused(self, store: FakeStore) -> None:
        drained = scheduler(store, print)
        for arguments in (
            {"until": "tomorrow"},
            {"until": NOON.replace(tzinfo=None)},
            {"raise_failures": 1},
            {"limit": 0},
            {"limit": None},
            {"until": datetime.max.replace(tzinfo=UTC)},
        ):
            with pytest.raises(InvalidArgument):
                await drained.drain(**arguments)
        with pytest.raises(InvalidArgument, match=r"drain\(until=store\.after\(days=1\)\)"):
            await drained.drain(DAY)  # type: ignore[arg-type]  # as people do


class TestFailures:
    async def test_what_handlers_raise_is_raised_after_all_else(self, store: FakeStore) -> None:
        errors = [ValueError("a"), KeyError("b")]
        handler = Handler(store, *errors)
        drained = scheduler(store, handler)
        await drained.schedule_many([due(id) for id in "abc"])
        with pytest.raises(ExceptionGroup) as raised:
            await drained.drain()
        assert list(raised.value.exceptions) == errors
        assert len(handler.calls) == 3
        assert (await drained.stats()).scheduled == 2  # in their pause

    async def test_unless_they_are_not_to_be(self, store: FakeStore) -> None:
        drained = scheduler(store, Handler(store, ValueError("a")))
        await drained.schedule_many([due(id) for id in "ab"])
        assert len(await drained.drain(raise_failures=False)) == 1

    async def test_what_is_buried_counts(self, store: FakeStore) -> None:
        drained = scheduler(store, Handler(store, duly.Rejected("never")))
        await drained.schedule(due("a"))
        with pytest.raises(ExceptionGroup) as raised:
            await drained.drain()
        assert isinstance(raised.value.exceptions[0], duly.Rejected)
        assert (await drained.get("a")).state is State.DEAD

    async def test_what_is_postponed_or_expired_does_not(self, store: FakeStore) -> None:
        handler = Handler(store, duly.Postpone(HOUR))
        drained = scheduler(store, handler)
        await drained.schedule(due("postponed"))
        await drained.schedule(due("expired", NOON - DAY, expires_at=NOON - HOUR))
        assert list(await drained.drain()) == []
        assert (await drained.get("postponed")).next_attempt_at == NOON + HOUR
        assert (await drained.get("expired")).state is State.DEAD

    async def test_an_event_without_a_handler_is_a_failure(self, store: FakeStore) -> None:
        drained = scheduler(store, duly.LocalTransport())
        await drained.schedule(due())
        with pytest.raises(ExceptionGroup) as raised:
            await drained.drain()
        assert "no handler is registered for 'event'" in str(raised.value.exceptions[0])

    async def test_a_handler_that_ends_the_process(self, store: FakeStore) -> None:
        drained = scheduler(store, Handler(store, SystemExit(3)))
        await drained.schedule(due())
        with pytest.raises(SystemExit):
            await drained.drain()


class TestItsEnd:
    async def test_a_message_that_schedules_itself_for_now(self, store: FakeStore) -> None:
        async def again(envelope: Envelope) -> None:
            await drained.schedule(due())

        drained = scheduler(store, again)
        await drained.schedule(due())
        with pytest.raises(SchedulerStateError, match="30 deliveries and more .* higher limit="):
            await drained.drain(limit=30)
        assert (await drained.stats()).claimed == 0

    async def test_a_transport_that_is_gone(self, store: FakeStore) -> None:
        drained = scheduler(store, Handler(store, TransportUnavailable("no broker")))
        await drained.schedule(due("a"))
        with pytest.raises(TransportUnavailable, match="no broker"):
            await drained.drain(raise_failures=False)
        assert (await drained.get("a")).retry_count == 0
        assert len(await drained.drain()) == 1

    async def test_a_store_that_is_gone(self) -> None:
        class Gone(FakeStore):
            gone = False

            async def claim(self, **more):
                if self.gone:
                    raise StoreUnavailable("nobody answers")
                return await super().claim(**more)

            async def open(self) -> None:
                if self.gone:
                    raise StoreUnavailable("nobody answers")

        store = Gone()
        drained = scheduler(store, print)
        await drained.open()
        store.gone = True
        for each in (drained, scheduler(store, print)):
            with pytest.raises(StoreUnavailable, match="nobody answers"):
                await each.drain()

    async def test_a_scheduler_that_runs(self, store: FakeStore) -> None:
        async def handler(envelope: Envelope) -> None:
            with pytest.raises(SchedulerStateError, match="runs already"):
                await drained.drain()

        drained = scheduler(store, handler)
        async with drained.running():
            with pytest.raises(SchedulerStateError, match="runs already"):
                await drained.drain()
        await drained.schedule(due())
        assert len(await drained.drain()) == 1

    async def test_it_can_be_run_afterwards(self, store: FakeStore) -> None:
        handler = Handler(store)
        drained = scheduler(store, handler)
        await drained.drain()
        async with drained.running():
            await drained.schedule(due())
            await store.advance()
        assert len(handler.calls) == 1

    async def test_stopped_or_cancelled_from_elsewhere(self, store: FakeStore) -> None:
        begun = asyncio.Event()

        async def hang(envelope: Envelope) -> None:
            begun.set()
            await asyncio.Event().wait()

        drained = scheduler(store, hang)
        await drained.schedule(due("a"))
        for end in ("stop", "cancel"):
            begun.clear()
            task = asyncio.create_task(drained.drain())
            await begun.wait()
            if end == "stop":
                await drained.stop(timedelta(0))
                assert list(await task) == []
            else:
                task.cancel()
                await drained.stop(timedelta(0))
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert (await drained.get("a")).state is State.SCHEDULED


def test_the_blocking_door(store: FakeStore) -> None:
    names: list[str] = []
    with duly.sync.Scheduler(store, lambda envelope: names.append(envelope.message_id)) as drained:
        drained.schedule_many([due("a"), due("b", NOON + DAY)])
        assert [each.message.id for each in drained.drain()] == ["a"]
        assert [each.message.id for each in drained.drain(until=store.after(days=1))] == ["b"]
    assert names == ["a", "b"]


class TestTimeThatStandsStill:
    """Both tools stop this host's clock; freezegun also that of the event loop."""

    async def course(self) -> None:
        store = FakeStore()
        handler = Handler(store, ValueError("once"))
        plain: list[str] = []

        transport = duly.LocalTransport()
        transport.on("event")(handler)
        transport.on("plain")(lambda envelope: plain.append(envelope.message_id))
        drained = scheduler(store, transport)
        await drained.schedule_many(
            [Message("plain", scheduled_at=duly.after()) for _ in range(200)]
        )
        await drained.schedule(due("a", duly.after(hours=1)))
        await drained.schedule(due("b", duly.after(hours=2), recurrence=duly.Every(DAY)))
        assert len(await drained.drain()) == len(plain) == 200
        done = await drained.drain(until=store.after(days=3), raise_failures=False)
        assert Counter(each.message.id for each in done) == {"a": 1, "b": 3}

        async with drained.running():
            await store.advance(days=1)
        assert [id for id, _ in handler.calls] == ["a", "a", "b", "b", "b", "b"]

    async def test_by_freezegun(self) -> None:
        with freezegun.freeze_time("2030-01-01 12:00"):
            await self.course()

    async def test_a_running_scheduler_is_woken_however_often_it_was_in_vain(self) -> None:
        with freezegun.freeze_time("2030-01-01 12:00"):
            store = FakeStore()
            handler, client = Handler(store), duly.Client(store)
            async with scheduler(store, handler).running():
                for number in range(50):
                    await client.schedule(due(str(number), NOON + DAY))
                    await store.advance()
                await store.advance(days=1)
                assert len(handler.calls) == 50

    async def test_by_freezegun_and_moved(self) -> None:
        """A store without a moment of its own goes with the host's clock."""
        with freezegun.freeze_time("2030-01-01 12:00") as frozen:
            drained = scheduler(FakeStore(), print)
            await drained.schedule(due("a", duly.after(days=1)))
            assert not await drained.drain()
            frozen.tick(DAY)
            assert len(await drained.drain()) == 1

    async def test_by_time_machine(self) -> None:
        with time_machine.travel(NOON, tick=False):
            await self.course()

    async def test_by_time_machine_and_moved(self) -> None:
        with time_machine.travel(NOON, tick=False) as traveller:
            store = FakeStore()
            drained = scheduler(store, print)
            await store.advance(days=2)
            await drained.schedule(due("a", duly.after(days=3)))
            assert not await drained.drain()
            traveller.shift(DAY)
            assert store.now == NOON + 3 * DAY
            assert len(await drained.drain()) == 1
