"""Stopping: what is in flight ends, what is done is settled, the rest is put back; it returns."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    ManyProbed,
    Probed,
    WakingStore,
    Witness,
    delivering,
    down,
    emptied,
    fail,
    hanging,
    message,
    messages,
    now,
    scheduler,
    sleeping,
)

import duly
from duly import (
    Envelope,
    Message,
    Scheduler,
    SchedulerStateError,
    State,
    TransportUnavailable,
    hookimpl,
)
from duly.memory import MemoryStore
from duly.store import Release
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)
NOW = timedelta(0)


async def started(running: Scheduler) -> "asyncio.Task[None]":
    start = asyncio.create_task(running.start())
    await asyncio.sleep(0.01)
    return start


@pytest.mark.parametrize("kind", [Probed, ManyProbed])
@run_virtually
async def test_publishes_in_flight_end_and_are_settled_the_rest_is_put_back_uncounted(
    kind: type[Probed],
) -> None:
    store, transport, witness = WakingStore(), kind(sleeping(5)), Witness()
    running = scheduler(store, transport, max_in_flight=10, plugins=[witness])
    start = await started(running)
    await running.schedule_many(messages(100))
    await asyncio.sleep(1)
    in_flight = transport.running
    assert in_flight > 0
    claims = store.count("claim")
    await running.stop()
    assert now() == pytest.approx(5.01, abs=0.02)
    await start
    assert store.count("claim") == claims
    left = await running.list()
    assert len(left) == 100 - in_flight
    assert {each.state for each in left} == {State.SCHEDULED}
    assert {each.retry_count for each in left} == {0}
    assert {each.next_attempt_at == each.scheduled_at for each in left} == {True}
    assert len([each for batch in witness.delivered for each in batch]) == in_flight
    assert not witness.failed
    assert transport.closed == 1


@run_virtually
async def test_at_the_timeout_they_are_cut_short_and_put_back_uncounted() -> None:
    store, transport, witness = WakingStore(), Probed(sleeping(1000)), Witness()
    running = scheduler(store, transport, publish_timeout=SECOND * 5000, plugins=[witness])
    start = await started(running)
    await running.schedule_many(messages(10))
    await asyncio.sleep(1)
    begun = now()
    await running.stop(SECOND * 3)
    assert now() - begun == pytest.approx(3, abs=0.1)
    await start
    left = await running.list()
    assert [(each.state, each.retry_count) for each in left] == [(State.SCHEDULED, 0)] * 10
    assert transport.running == 0
    assert not witness.failed


@run_virtually
async def test_what_a_publish_makes_of_being_cut_short_is_not_held_against_the_message() -> None:
    store, witness = WakingStore(), Witness()

    async def publish(envelope: Envelope) -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            if envelope.message_id == "event-0":
                return  # made it, just so
            raise ConnectionError("interrupted") from None

    for kind in (Probed, ManyProbed):
        transport = kind(publish)
        running = scheduler(store, transport, plugins=[witness])
        start = await started(running)
        await running.schedule_many(messages(2), replace=True)
        await asyncio.sleep(1)
        await running.stop(NOW)
        await start
        left = await running.list()
        assert [each.id for each in left] == ["event-0", "event-1"][kind is Probed :]
        assert {(each.retry_count, each.last_error) for each in left} == {(0, None)}
    assert not witness.failed


@run_virtually
async def test_what_many_at_a_time_make_of_it_is_not_held_against_them_either() -> None:
    class Thorough(Probed):
        async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                return ["made it", ConnectionError("interrupted")]
            return []

    store, witness = WakingStore(), Witness()
    running = scheduler(store, Thorough(), plugins=[witness])
    start = await started(running)
    await running.schedule_many(messages(2))
    await asyncio.sleep(1)
    await running.stop(NOW)
    await start
    (left,) = await running.list()
    assert (left.id, left.retry_count, left.last_error) == ("event-1", 0, None)
    assert not witness.failed
    assert [each.receipt for each in witness.delivered[0]] == ["made it"]


@pytest.mark.parametrize("kind", [Probed, ManyProbed])
@run_virtually
async def test_it_returns_though_the_transport_never_ends(kind: type[Probed]) -> None:
    store, free = WakingStore(), asyncio.Event()

    async def publish(envelope: Envelope) -> None:
        while not free.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await free.wait()

    running = scheduler(store, kind(publish))
    start = await started(running)
    await running.schedule_many([*messages(5), message("later", due=1000)])
    await asyncio.sleep(1)
    begun = now()
    await running.stop(SECOND)
    assert now() - begun < 1 + 2.1
    await start
    assert {each.state for each in await running.list()} == {State.SCHEDULED}
    free.set()


@pytest.mark.parametrize("fault", [down(), hanging()], ids=["down", "hangs"])
@run_virtually
async def test_it_returns_though_the_store_is_dead(fault: Any) -> None:
    store, transport = WakingStore(), Probed(sleeping(2))
    options: dict[str, Any] = {"store_timeout": SECOND * 2, "stuck_duration": SECOND * 5}
    running = scheduler(store, transport, **options)
    start = await started(running)
    await running.schedule_many(messages(5))
    await asyncio.sleep(1)
    store.faults.append(fault)
    begun = now()
    await running.stop(SECOND * 4)
    assert now() - begun < 4 + 2 + 5 + 2.1
    await start
    store.faults.clear()
    transport._publish = None
    async with delivering(store, transport):
        await emptied(store)


class Reluctant(Probed):
    """Hangs in ``open``, at the tries given, and in ``close``."""

    def __init__(self, *hang_at: int) -> None:
        super().__init__()
        self.hang_at = hang_at

    async def open(self) -> None:
        await super().open()
        if self.opened in self.hang_at:
            await asyncio.Event().wait()
        raise TransportUnavailable("gone")

    async def close(self) -> None:
        await super().close()
        await asyncio.Event().wait()


@pytest.mark.parametrize("hang_at", [1, 2])
@run_virtually
async def test_it_returns_though_the_transport_neither_opens_nor_closes(hang_at: int) -> None:
    store, transport = WakingStore(), Reluctant(hang_at)
    running = scheduler(store, transport)
    start = await started(running)
    await asyncio.sleep(3)
    assert transport.opened == hang_at
    begun = now()
    await running.stop(SECOND)
    assert now() - begun < 5.1
    assert transport.closed == 1
    await start
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@run_virtually
async def test_it_returns_though_the_transports_check_hangs() -> None:
    class Unsure(Probed):
        async def check(self) -> list[str]:
            await asyncio.Event().wait()
            return []

    async def publish(envelope: Envelope) -> None:
        raise TransportUnavailable("gone")

    store, transport = WakingStore(), Unsure(publish)
    running = scheduler(store, transport)
    start = await started(running)
    await running.schedule(message())
    await asyncio.sleep(3)
    begun = now()
    await running.stop(SECOND)
    assert now() - begun < 0.1
    await start
    assert (await running.list())[0].state is State.SCHEDULED


@run_virtually
async def test_a_transport_that_cancels_its_own_closing_harms_nobody() -> None:
    class Odd(Probed):
        async def close(self) -> None:
            raise asyncio.CancelledError

    store = WakingStore()
    async with delivering(store, Odd()) as running:
        await running.schedule(message())
        await emptied(store)


@run_virtually
async def test_before_start_and_after_a_stop_it_returns_at_once() -> None:
    running = scheduler(WakingStore(), fail)
    await running.stop()
    start = await started(running)
    await running.stop()
    await start
    await running.stop()
    assert now() < 0.1


@run_virtually
async def test_twice_at_a_time_both_return_when_it_is_over() -> None:
    store, transport = WakingStore(), Probed(sleeping(5))
    running = scheduler(store, transport)
    start = await started(running)
    await running.schedule(message())
    await asyncio.sleep(1)
    await asyncio.gather(running.stop(), running.stop())
    assert len(transport.ended) == 1
    await start


@run_virtually
async def test_of_several_timeouts_the_shortest_holds() -> None:
    for first, second in ((100, 2), (2, 100)):
        store, transport = WakingStore(), Probed(sleeping(1000))
        running = scheduler(store, transport, publish_timeout=SECOND * 5000)
        start = await started(running)
        await running.schedule(message())
        await asyncio.sleep(1)
        begun = now()
        stop = asyncio.create_task(running.stop(SECOND * first))
        await asyncio.sleep(0.5)
        await running.stop(SECOND * second)
        assert 2 <= now() - begun < 3
        await asyncio.gather(stop, start)


@run_virtually
async def test_a_second_start_is_refused_and_the_first_goes_on() -> None:
    store, transport = WakingStore(), Probed()
    running = scheduler(store, transport)
    start = await started(running)
    with pytest.raises(SchedulerStateError, match="runs already"):
        await running.start()
    with pytest.raises(SchedulerStateError, match="runs already"):
        async with running.running():
            raise AssertionError("it cannot have started")
    await running.schedule(message())
    await emptied(store)
    await running.stop()
    await start


@run_virtually
async def test_stop_then_start_works_again_and_again() -> None:
    store, transport = WakingStore(), Probed()
    running = scheduler(store, transport)
    for _ in range(3):
        start = await started(running)
        await running.schedule(message())
        await emptied(store)
        await running.stop()
        await start
    assert len(transport.ended) == transport.opened == transport.closed == 3


@run_virtually
async def test_cancelling_the_task_that_runs_start_drains() -> None:
    store, transport = WakingStore(), Probed(sleeping(5))
    running = scheduler(store, transport, max_in_flight=2)
    start = await started(running)
    await running.schedule_many(messages(10))
    await asyncio.sleep(1)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert len(transport.ended) == 2
    assert [each.state for each in await running.list()] == [State.SCHEDULED] * 8
    assert transport.closed == 1


@run_virtually
async def test_cancelling_it_at_any_step_of_starting_leaves_nothing_behind() -> None:
    for steps in range(40):
        store, transport = WakingStore(), Probed(sleeping(0.01))
        running = scheduler(store, transport)
        await running.schedule(message(due=now()))
        start = asyncio.create_task(running.start())
        for _ in range(steps):
            await asyncio.sleep(0)
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        assert running._run is None
        assert {each.state for each in await running.list()} <= {State.SCHEDULED}
        assert transport.opened == transport.closed <= 1
        assert transport.running == 0


@run_virtually
async def test_cancelling_it_twice_leaves_no_time_to_publishes() -> None:
    store, transport = WakingStore(), Probed(sleeping(1000))
    running = scheduler(store, transport, publish_timeout=SECOND * 5000)
    start = await started(running)
    await running.schedule_many(messages(2))
    await asyncio.sleep(1)
    start.cancel()
    await asyncio.sleep(1)
    start.cancel()
    await asyncio.wait([start])
    assert start.cancelled()
    begun = now()
    await running.stop()
    assert now() - begun < 0.1
    assert transport.running == 0
    assert [each.state for each in await running.list()] == [State.SCHEDULED] * 2


@run_virtually
async def test_a_publish_that_waits_for_the_stop_is_cut_short_and_the_rest_is_settled() -> None:
    """A handler cannot wait for its own end; nobody else is to suffer from its trying."""
    store = WakingStore()

    async def publish(envelope: Envelope) -> None:
        if envelope.message_id == "stops":
            await running.stop(SECOND * 5)
        await asyncio.sleep(2 if envelope.message_id == "quick" else 1000)

    transport = Probed(publish)
    running = scheduler(store, transport, publish_timeout=SECOND * 5000)
    await running.schedule_many([message(id=each) for each in ("quick", "slow", "stops")])
    async with asyncio.timeout(8):
        await running.start()
    assert transport.ids == ["quick"]
    left = await running.list()
    assert [(each.id, each.state) for each in left] == [
        ("slow", State.SCHEDULED),
        ("stops", State.SCHEDULED),
    ]


@run_virtually
async def test_a_stop_that_is_cancelled_does_not_cancel_others() -> None:
    store, transport = WakingStore(), Probed(sleeping(1000))
    running = scheduler(store, transport, publish_timeout=SECOND * 5000)
    start = await started(running)
    await running.schedule(message())
    await asyncio.sleep(1)
    stops = [asyncio.create_task(running.stop(SECOND * 100)) for _ in range(2)]
    await asyncio.sleep(1)
    stops[0].cancel()
    await asyncio.wait([start, *stops])
    assert stops[0].cancelled()
    assert not start.cancelled()
    assert not stops[1].cancelled()
    start.result()


@run_virtually
async def test_running_drains_when_its_block_raises() -> None:
    store, transport = WakingStore(), Probed(sleeping(2))
    running = scheduler(store, transport)
    with pytest.raises(KeyError, match="mine"):
        async with running.running() as same:
            assert same is running
            await running.schedule(message())
            await asyncio.sleep(1)
            raise KeyError("mine")
    assert len(transport.ended) == 1
    assert running._run is None


@run_virtually
async def test_running_drains_when_its_block_is_cancelled() -> None:
    store, transport = WakingStore(), Probed(sleeping(2))
    running = scheduler(store, transport)

    async def main() -> None:
        async with running.running():
            await running.schedule(message())
            await asyncio.sleep(1000)

    task = asyncio.create_task(main())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(transport.ended) == 1
    assert await running.list() == []


@run_virtually
async def test_while_a_start_is_under_way_stop_ends_it() -> None:
    store, transport = WakingStore(), Probed()

    async def slow(verb: str, done: bool) -> None:
        if verb == "open":
            await asyncio.sleep(1)

    store.faults.append(slow)
    running = scheduler(store, transport)
    start = asyncio.create_task(running.start())
    await asyncio.sleep(0.5)
    await running.stop()
    await start
    assert store.count("claim") == 0


@run_virtually
async def test_a_claim_under_way_is_heard_out_and_put_back() -> None:
    store, transport = WakingStore(), Probed(sleeping(1000))

    async def slow(verb: str, done: bool) -> None:
        if verb == "claim":
            await asyncio.sleep(0.5)

    store.faults.append(slow)
    running = scheduler(store, transport)
    await running.schedule_many(messages(50))
    start = asyncio.create_task(running.start())
    await asyncio.sleep(0.75)
    await running.stop(NOW)
    await start
    assert [each.state for each in await running.list()] == [State.SCHEDULED] * 50


@run_virtually
async def test_a_suspect_and_its_like_go_back_where_they_were() -> None:
    """All that is put back by a stop is due again at once, in its old order."""
    store, transport = WakingStore(), Probed(sleeping(1000))
    running = scheduler(store, transport, max_in_flight=1)
    start = await started(running)
    some = messages(20)
    await running.schedule_many(some)
    await asyncio.sleep(1)
    await running.stop(NOW)
    await start
    released = [s for _, each in store.settles for s in each.exceptions.values()]
    assert len(released) == 20
    assert all(isinstance(each, Release) for each in released)
    transport._publish = None
    async with delivering(store, transport, max_in_flight=1):
        await emptied(store)
    assert transport.ids == [each.id for each in some]


@run_virtually
async def test_observers_hear_of_start_and_stop() -> None:
    heard: list[tuple[str, Scheduler]] = []

    class Plugin:
        @hookimpl
        def duly_started(self, scheduler: Scheduler) -> None:
            heard.append(("started", scheduler))

        @hookimpl
        def duly_stopped(self, scheduler: Scheduler) -> None:
            heard.append(("stopped", scheduler))

    running = scheduler(WakingStore(), fail, plugins=[Plugin()])
    async with running.running():
        assert heard == [("started", running)]
    assert heard == [("started", running), ("stopped", running)]


@run_virtually
async def test_close_stops_it() -> None:
    store, transport = WakingStore(), Probed(sleeping(1))
    running = scheduler(store, transport)
    async with running:
        start = await started(running)
        await running.schedule(message())
        await asyncio.sleep(0.5)
    assert start.done()
    assert len(transport.ended) == 1
    assert store.count("close") == 0  # it was given to it: it is not its own
    with pytest.raises(SchedulerStateError, match="closed"):
        await running.schedule(message())


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGTERM] * 2])
def test_run_ends_at_a_signal_and_at_the_second_without_waiting(signals: list[int]) -> None:
    store = MemoryStore()
    ended: list[str] = []

    async def publish(envelope: Envelope) -> None:
        for each in signals:
            os.kill(os.getpid(), each)
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        ended.append(envelope.message_id)
        if len(signals) == 2:  # pragma: no cover  # it is cut short before
            await asyncio.sleep(100)

    running = scheduler(store, publish)
    asyncio.run(running.schedule(Message("x", id="x", scheduled_at=duly.after())))
    running.run()
    assert ended == (["x"] if len(signals) == 1 else [])
