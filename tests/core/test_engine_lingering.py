"""Plain functions: waiting for a thread is not publishing, and what cannot be stopped goes on."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    Witness,
    delivering,
    emptied,
    message,
    messages,
    now,
    scheduler,
    sleeping,
    until,
)

import duly
from duly import Backoff, Envelope, LocalTransport, Message, Scheduler, State, after
from duly.errors import TransportUnavailable
from duly.health import Status
from duly.memory import MemoryStore
from duly.testing.clock import run_virtually
from duly.transport import Limits, waiting

TENTH = timedelta(seconds=0.1)


def due(name: str = "event", id: str | None = None) -> Message:
    """A message that is due now, by the clock of this host."""
    return Message(name, id=id, scheduled_at=after())


async def happens(holds: Callable[[], object]) -> None:
    """Let real time pass until it holds."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110  # threads bring it about
            await asyncio.sleep(0.005)


async def noticed(running: Scheduler) -> None:
    """Let real time pass until health tells of something."""
    async with asyncio.timeout(20):
        while (await running.health()).status is Status.HEALTHY:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.01)


class Blocking:
    """A plain function that blocks until it may go on; counts who called it, and how many at once."""

    def __init__(self) -> None:
        self.calls = Counter[str]()
        self.running = 0
        self.most = 0
        self.go_on = threading.Event()
        self.error: Exception | None = None
        self._lock = threading.Lock()

    def __call__(self, envelope: Envelope) -> None:
        with self._lock:
            self.calls[envelope.message_id] += 1
            self.running += 1
            self.most = max(self.most, self.running)
        self.go_on.wait(30)
        with self._lock:
            self.running -= 1
        if self.error is not None:
            raise self.error

    async def called(self, times: int) -> None:
        await happens(lambda: self.calls.total() >= times)


async def gone(store: MemoryStore) -> None:
    async with asyncio.timeout(20):
        while (stats := await store.stats()).scheduled or stats.claimed:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.005)


@run_virtually
async def test_the_timeout_counts_from_when_the_work_begins() -> None:
    store, witness = WakingStore(), Witness()

    async def publish(envelope: Envelope) -> None:
        with waiting():
            await asyncio.sleep(5)
        await asyncio.sleep(0.9)

    transport = Probed(publish)
    options = {"publish_timeout": timedelta(seconds=1), "plugins": [witness]}
    async with delivering(store, transport, **options) as running:
        await running.schedule(message())
        await emptied(store)
    assert len(transport.begun) == 1
    assert not witness.failed


async def test_waiting_for_a_thread_is_not_publishing() -> None:
    store, blocking, witness = MemoryStore(), Blocking(), Witness()
    blocking.go_on.set()

    def briefly(envelope: Envelope) -> None:
        time.sleep(0.1)
        blocking(envelope)

    options = {"publish_timeout": timedelta(seconds=2), "plugins": [witness]}
    async with delivering(store, briefly, **options) as running:
        await running.schedule_many([due(f"name {n % 50}", id=f"m{n}") for n in range(1000)])
        await gone(store)  # 32 at a time take them more than three seconds
    assert not witness.failed
    assert set(blocking.calls.values()) == {1}


async def test_a_function_that_outlives_its_timeout_is_not_run_beside_itself_and_counts() -> None:
    store, blocking, witness = MemoryStore(), Blocking(), Witness()
    options = {"publish_timeout": TENTH, "max_in_flight": 1, "plugins": [witness]}
    transport = LocalTransport()
    transport.on("blocks")(blocking)
    others = []
    transport.on("other")(lambda envelope: others.append(envelope.message_id))
    async with delivering(store, transport, **options) as running:
        await running.schedule(due("blocks", id="x"))
        await blocking.called(1)
        await running.schedule(due("other", id="y"))  # which finds the one slot given back
        await happens(lambda: others)
        health = await running.health()
        assert health.status is Status.DEGRADED
        assert "a function for 'blocks' has outlived its publish_timeout" in health.reason
        assert (await running.get("x")).state is State.CLAIMED
        blocking.go_on.set()
        await gone(store)
        assert (await running.health()).status is Status.HEALTHY
    assert blocking.calls == {"x": 1}
    assert not witness.failed


async def test_its_lease_is_kept_for_as_long_as_it_runs() -> None:
    store, blocking = MemoryStore(), Blocking()
    options = {"publish_timeout": TENTH, "stuck_duration": timedelta(seconds=2)}
    async with delivering(store, blocking, **options) as running, delivering(store, blocking):
        await running.schedule(due(id="x"))
        await blocking.called(1)
        await asyncio.sleep(3)
        assert blocking.calls == {"x": 1}
        blocking.go_on.set()
        await gone(store)
    assert blocking.calls == {"x": 1}


async def test_when_it_fails_in_the_end_that_is_its_answer() -> None:
    store, blocking = MemoryStore(), Blocking()
    blocking.error = ValueError("after all")
    options = {"publish_timeout": TENTH, "recovery": Backoff(max_retries=0)}
    async with delivering(store, blocking, **options) as running:
        await running.schedule(due(id="x"))
        await blocking.called(1)
        await noticed(running)
        blocking.go_on.set()
        await gone(store)
        dead = await running.get("x")
    assert dead.last_error == "ValueError: after all"


async def test_a_stop_puts_it_back_uncounted() -> None:
    store, blocking = MemoryStore(), Blocking()
    running = scheduler(store, blocking, publish_timeout=TENTH)
    async with running.running():
        await running.schedule(due(id="x"))
        await blocking.called(1)
        await noticed(running)
        await running.stop(TENTH)
    left = await running.get("x")
    assert (left.state, left.retry_count) == (State.SCHEDULED, 0)
    async with running.running():  # the same process does not start it beside itself
        await asyncio.sleep(0.3)
        assert blocking.calls == {"x": 1}
        blocking.go_on.set()
        await gone(store)
    assert blocking.calls == {"x": 1}


@pytest.mark.parametrize("names", [1, 3, 12])
async def test_threads_that_hang_are_counted_and_leave_some_for_others(names: int) -> None:
    store, blocking = MemoryStore(), Blocking()
    transport = LocalTransport()
    for number in range(names):
        transport.on(f"hangs {number}")(blocking)
    heard: list[str] = []
    transport.on("async")(Heard(heard))
    async with delivering(store, transport, publish_timeout=TENTH) as running:
        await running.schedule_many([due(f"hangs {n % names}", id=f"h{n}") for n in range(200)])
        await blocking.called(min(12, 8 * names))
        await running.schedule_many([due("async", id=f"a{n}") for n in range(20)])
        await happens(lambda: len(heard) == 20)
        await asyncio.sleep(0.3)
        assert blocking.calls.total() == min(12, 8 * names)
        blocking.go_on.set()
        await gone(store)
    assert set(blocking.calls.values()) == {1}
    assert blocking.most == min(12, 8 * names)


class OneByOne(LocalTransport):
    """Takes many, and hands them to functions one by one."""

    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[None]:
        for each in envelopes:
            await self.publish(each)
        return [None] * len(envelopes)


async def test_of_many_published_together_none_counts_as_delivered_that_was_not() -> None:
    store, blocking, witness = MemoryStore(), Blocking(), Witness()
    transport = OneByOne()
    transport.on("event")(blocking)
    options = {"publish_timeout": TENTH, "plugins": [witness], "recovery": lambda _: duly.Bury("x")}
    async with delivering(store, transport, **options) as running:
        await running.schedule_many([due(id=f"m{n}") for n in range(5)])
        await gone(store)
        assert not witness.delivered
        assert len(await running.list(duly.Filter(state=State.DEAD))) == 5
        blocking.go_on.set()


async def test_a_function_that_hangs_holds_up_no_probe() -> None:
    """A probe that lingers tells nothing of the transport: another one is sent."""
    store, blocking = MemoryStore(), Blocking()
    calls: list[str] = []
    transport = LocalTransport()
    transport.on("blocks")(blocking)

    @transport.on("other")
    async def other(envelope: Envelope) -> None:
        calls.append(envelope.message_id)
        if len(calls) == 1:
            raise TransportUnavailable("gone")

    async with delivering(store, transport, publish_timeout=TENTH) as running:
        await running.schedule(due("other", "first"))
        await happens(lambda: calls)
        await running.schedule_many([due("blocks", "x"), due("other", "second")])
        await happens(lambda: "second" in calls)
        blocking.go_on.set()
        await gone(store)


async def test_a_suspect_that_hangs_holds_up_no_other() -> None:
    store, blocking = MemoryStore(), Blocking()
    heard: list[str] = []
    transport = LocalTransport()
    transport.on("blocks")(blocking)
    transport.on("other")(Heard(heard))
    client = duly.Client(store, load_plugins=False)
    await client.schedule_many([due("blocks", "x"), due("other", "y"), due("other", "z")])
    for _ in range(2):  # its holder died twice
        await store.claim(limit=10, lease=timedelta(milliseconds=1), owner="ghost")
        await asyncio.sleep(0.01)
    async with delivering(store, transport, publish_timeout=TENTH):
        await happens(lambda: len(heard) == 2)
        blocking.go_on.set()
        await gone(store)


async def test_what_a_plain_function_returned_is_cancelled_at_its_timeout() -> None:
    store, witness = MemoryStore(), Witness()

    async def slow(envelope: Envelope) -> None:
        await asyncio.sleep(30)

    def wrapped(envelope: Envelope) -> object:
        return slow(envelope)

    options = {"publish_timeout": TENTH, "plugins": [witness], "recovery": lambda _: duly.Bury("x")}
    async with delivering(store, wrapped, **options) as running:
        await running.schedule(due())
        await gone(store)
    assert [type(each.error).__name__ for batch in witness.failed for each in batch] == ["TimedOut"]


class Heard:
    """An async function that puts down what it hears."""

    def __init__(self, heard: list[str]) -> None:
        self.heard = heard

    async def __call__(self, envelope: Envelope) -> None:
        self.heard.append(envelope.message_id)


class Narrow(Probed):
    """A transport that says how many it takes; more would wait inside it."""

    def __init__(self, limits: Limits, seconds: float) -> None:
        super().__init__(sleeping(seconds))
        self.said = limits

    def limits(self) -> Limits:
        return self.said


@run_virtually
async def test_no_more_is_started_than_the_transport_can_take() -> None:
    store, transport, witness = WakingStore(), Narrow(Limits(in_all=5), 1), Witness()
    options = {"publish_timeout": timedelta(seconds=2), "plugins": [witness]}
    async with delivering(store, transport, **options) as running:
        await running.schedule_many(messages(50))
        await emptied(store)
    assert transport.most == 5
    assert not witness.failed
    assert now() < 15


@run_virtually
async def test_a_probe_that_finds_no_slot_makes_way_for_another() -> None:
    store, away = WakingStore(), True

    async def publish(envelope: Envelope) -> None:
        if away:
            raise TransportUnavailable("gone")

    transport = Narrow(Limits(by_name={"x": 0}), 0)
    transport._publish = publish
    async with delivering(store, transport) as running:
        await running.schedule(message("y", id="first"))
        await asyncio.sleep(1)
        await running.schedule_many([message("x", due=-1), message("y", id="second")])
        await asyncio.sleep(1)
        away = False
        await until(lambda: "second" in transport.ids, within=30)
        transport.said = Limits()
        await emptied(store)


@run_virtually
async def test_what_may_not_start_for_long_is_asked_for_ever_more_rarely() -> None:
    store, transport = WakingStore(), Narrow(Limits(by_name={"event": 0}), 0)
    async with delivering(store, transport) as running:
        await running.schedule_many(messages(60))
        await asyncio.sleep(300)
        assert store.count(since=now() - 60) < 30 * 60
        transport.said = Limits()
        await emptied(store)


@pytest.mark.parametrize("in_all", [1, 3])
@run_virtually
async def test_with_few_slots_a_name_that_may_not_start_holds_up_nobody(in_all: int) -> None:
    store, transport = WakingStore(), Narrow(Limits(in_all=in_all, by_name={"x": 0}), 0)
    async with delivering(store, transport, batch_size=10) as running:
        await running.schedule_many([*messages(20, "x"), *messages(5, "y")])
        await until(lambda: len(transport.ended) == 5, within=5)
        transport.said = Limits()
        await emptied(store)


@run_virtually
async def test_limits_may_change_while_it_runs() -> None:
    store, transport = WakingStore(), Narrow(Limits(by_name={"event": 0}), 1)
    async with delivering(store, transport) as running:
        await running.schedule_many(messages(20))
        await running.schedule(message("other"))
        await asyncio.sleep(3)
        assert [envelope.event_name for _, envelope in transport.begun] == ["other"]
        transport.said = Limits(by_name={"event": 3})
        await emptied(store)
    assert transport.most == 3
