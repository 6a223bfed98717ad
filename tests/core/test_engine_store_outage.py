"""A store that is gone, hangs or loses its answers: the loop waits and goes on by itself."""

import asyncio
import itertools
import logging
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    WatchedStore,
    Witness,
    delivering,
    down,
    emptied,
    fail,
    hanging,
    logged,
    lost_answer,
    message,
    messages,
    now,
    scheduler,
    sleeping,
    until,
)

from duly import Envelope, State, Status, StoreError, StoreUnavailable, TransportUnavailable
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)


async def gone(envelope: Envelope) -> None:
    raise TransportUnavailable("gone")


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable("gone"),
        StoreError("table is missing"),
        ConnectionResetError("bare"),
        asyncio.CancelledError(),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("kind", [WakingStore, WatchedStore])
@run_virtually
async def test_it_goes_on_by_itself_after_any_error(
    kind: type[WatchedStore], error: BaseException
) -> None:
    store, transport = kind(), Probed(sleeping(0.1))
    async with delivering(store, transport) as running:
        await running.schedule_many(messages(100))
        await asyncio.sleep(0.05)
        store.faults.append(down("claim", "settle", "renew", "stats", error=error))
        await asyncio.sleep(120)
        store.faults.clear()
        begun = now()
        await emptied(store, within=120)
        assert now() - begun < 6
    assert {*transport.ids} == {f"event-{number}" for number in range(100)}


@pytest.mark.parametrize(
    ("error", "told", "traced"),
    [
        (StoreUnavailable("gone"), "store_unavailable", False),
        (KeyError("a mistake"), "turn_failed", True),
    ],
    ids=["gone", "mistaken"],
)
@run_virtually
async def test_a_mistake_is_not_told_as_an_outage(
    caplog: pytest.LogCaptureFixture, error: Exception, told: str, traced: bool
) -> None:
    store = WakingStore()
    async with delivering(store, Probed()):
        store.faults.append(down("claim", error=error))
        await asyncio.sleep(10)
        store.faults.clear()
    events = logged(caplog)
    assert [event for event in events if event != "store_back"] == [told]
    assert ("Traceback" in caplog.text) is traced


@pytest.mark.parametrize(
    "fault",
    [down(), down("claim", "settle"), down("settle", "renew", "claim", "put")],
    ids=["all", "what delivers", "what writes"],
)
@pytest.mark.parametrize("due", [0, 1, 5])
@run_virtually
async def test_it_is_told_as_back_once_and_when_it_is(
    caplog: pytest.LogCaptureFixture, fault: Any, due: int
) -> None:
    """Though the transport is away at the same time, and the store is asked for little."""
    caplog.set_level(logging.INFO, logger="duly")
    store, transport = WakingStore(), Probed(gone)
    async with delivering(store, transport) as running:
        await running.schedule_many([message("long"), *messages(due)])
        await asyncio.sleep(5)
        store.faults.append(fault)
        await asyncio.sleep(60)
        store.faults.clear()
        assert logged(caplog) == ["transport_unavailable", "store_unavailable"]
        await asyncio.sleep(5.1)
        assert logged(caplog) == ["transport_unavailable", "store_unavailable", "store_back"]
        assert "the transport is unavailable" in (await running.health()).reason
        assert {each.retry_count for each in await running.list()} == {0}
        transport._publish = None
        await emptied(store)


@run_virtually
async def test_pauses_grow_while_it_is_gone() -> None:
    store = WakingStore()
    async with delivering(store, Probed()):
        await asyncio.sleep(1)
        store.faults.append(down())
        await asyncio.sleep(100)
        times = [time for time, verb in store.calls if verb == "claim" and time > 1]
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert gaps[:6] == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.6], abs=1e-3)
        assert max(gaps) == pytest.approx(5, abs=1e-3)
        store.faults.clear()


@run_virtually
async def test_no_answer_in_time_counts_as_gone() -> None:
    store, transport = WakingStore(), Probed()
    async with delivering(store, transport, store_timeout=SECOND * 2) as running:
        await asyncio.sleep(1)
        store.faults.append(hanging("claim"))
        await running.schedule(message(due=3))
        await until(lambda: running._engine and running._engine.loop.trouble, within=10)
        assert str(running._engine.loop.trouble) == "the store did not answer within 2 s"  # type: ignore[union-attr]  # it runs
        store.faults.clear()
        await emptied(store, within=8)


@run_virtually
async def test_the_clients_calls_are_limited_too() -> None:
    store = WatchedStore()
    store.faults.append(hanging())
    client = scheduler(store, fail, store_timeout=SECOND * 2)
    for call in (client.open, client.stats, client.list):
        begun = now()
        with pytest.raises(StoreUnavailable, match="did not answer within 2 s"):
            await call()
        assert now() - begun == 2


@pytest.mark.parametrize(
    ("fault", "known"),
    [(down("claim", "settle"), 1.11), (hanging("claim", "settle"), 2.11)],
    ids=["down", "hangs"],
)
@run_virtually
async def test_while_settling_fails_nothing_more_is_published(fault: Any, known: float) -> None:
    store, transport = WakingStore(), Probed(sleeping(0.5))
    options: dict[str, Any] = {"max_in_flight": 2, "batch_size": 10, "store_timeout": SECOND}
    async with delivering(store, transport, **options) as running:
        await running.schedule_many(messages(60))
        await asyncio.sleep(0.75)
        store.faults.append(fault)
        await asyncio.sleep(60)
        assert max(time for time, _ in transport.begun) < known
        store.faults.clear()
        await emptied(store)
    assert len(transport.begun) == 60


@run_virtually
async def test_it_is_not_believed_back_before_it_has_answered() -> None:
    """When there is neither room for a claim nor anything to settle, it is asked all the same."""
    store, transport = WakingStore(), Probed(sleeping(0.5))
    async with delivering(store, transport, max_in_flight=1) as running:
        await running.schedule_many(messages(10))
        await asyncio.sleep(0.2)
        engine = running._engine
        assert engine is not None
        room = engine.workers.lanes.room
        engine.workers.lanes.room = lambda coming=0: 0  # type: ignore[method-assign]  # for this moment
        engine.loop._note(StoreUnavailable("gone"))
        store.faults.append(down())
        engine.loop.wake()
        await asyncio.sleep(0.1)
        assert store.count("stats") == 2
        store.faults.clear()
        assert (await running.health()).status is Status.UNHEALTHY
        assert len(transport.begun) == 1
        store.faults.clear()
        engine.workers.lanes.room = room  # type: ignore[method-assign]  # as it was
        await emptied(store)
    assert len(transport.begun) == 10


@run_virtually
async def test_an_answer_lost_after_settling_does_no_harm() -> None:
    store, transport, witness = WakingStore(), Probed(sleeping(0.2)), Witness()
    async with delivering(store, transport, plugins=[witness]) as running:
        await running.schedule_many(messages(10, due=-1))
        await asyncio.sleep(0.1)
        store.faults.append(lost_answer("claim", "settle"))
        await emptied(store)
        await asyncio.sleep(10)
        assert await running.list() == []
        assert running._engine is not None
        assert running._engine.hands._unanswered == set()
        assert running._engine.hands.held == {}
    assert len(transport.begun) == 10
    assert not witness.failed


@run_virtually
async def test_an_answer_lost_after_settling_a_part_is_told_after_all() -> None:
    store, witness = WakingStore(), Witness()

    async def publish(envelope: Envelope) -> None:
        await asyncio.sleep(5 if envelope.message_id == "event-0" else 0)

    async with delivering(store, publish, plugins=[witness]) as running:
        await running.schedule_many(messages(10))
        await asyncio.sleep(0.04)
        store.faults.append(lost_answer("claim", "settle", times=3))
        await emptied(store)
    assert len([each for batch in witness.delivered for each in batch]) == 10
    parts = [each for _, each in store.settles if each.only is not None]
    assert len(parts) == 4
    assert all(parts[0].only == each.only for each in parts)


@pytest.mark.parametrize("fault", [down(), hanging()], ids=["down", "hangs"])
@run_virtually
async def test_what_failed_is_settled_before_the_rest_of_its_batch(fault: Any) -> None:
    """The last settlement of a batch deletes all that no earlier one has spoken for."""
    store = WakingStore()

    async def publish(envelope: Envelope) -> None:
        await asyncio.sleep(0.5 if envelope.message_id == "slow" else 0.01)
        if envelope.attempt == 1 and envelope.message_id == "fails":
            raise ValueError

    transport = Probed(publish)
    async with delivering(store, transport, store_timeout=SECOND) as running:
        await running.schedule_many([message(id="fails", due=1), message(id="slow", due=1)])
        await asyncio.sleep(1.005)
        store.faults.append(fault)
        await asyncio.sleep(1)
        store.faults.clear()
        await emptied(store)
    assert sorted(transport.ids) == ["fails", "slow"]
    assert any(each.only and each.exceptions for _, each in store.settles)


@run_virtually
async def test_an_answer_lost_after_claiming_is_made_good_when_the_lease_lapses() -> None:
    store, transport = WakingStore(), Probed()
    async with delivering(store, transport, stuck_duration=SECOND * 3) as running:
        await asyncio.sleep(1)
        store.faults.append(lost_answer("claim"))
        await running.schedule_many(messages(10))
        await emptied(store, within=3.2)
    assert len(transport.begun) == 10
    assert {each.attempt for _, each in transport.begun} == {2}


@run_virtually
async def test_health_tells_of_it() -> None:
    store = WakingStore()
    async with delivering(store, Probed()) as running:
        await asyncio.sleep(1)
        store.faults.append(down())
        health = await running.health()
        assert health.status is Status.UNHEALTHY
        assert "the store is unreachable: StoreUnavailable: nobody answers" in health.reason
        store.faults[:] = [down("claim")]
        await running.schedule(message())
        await asyncio.sleep(1)
        health = await running.health()
        assert health.status is Status.UNHEALTHY
        assert "the store fails: StoreUnavailable: nobody answers" in health.reason
        store.faults.clear()
        await emptied(store)
        assert "the store" not in (await running.health()).reason.replace("off the store", "")


@run_virtually
async def test_a_store_that_is_down_at_start_is_an_error_to_who_does_not_wait() -> None:
    store, transport = WakingStore(), Probed()
    store.faults.append(down())
    running = scheduler(store, transport, wait_for_store=False)
    with pytest.raises(StoreUnavailable):
        await running.start()
    with pytest.raises(StoreUnavailable):
        async with running.running():
            raise AssertionError("it cannot have started")
    with pytest.raises(StoreUnavailable):
        async with running:
            raise AssertionError("it cannot have been opened")
    assert now() == 0
    store.faults.clear()
    async with running.running():
        await running.schedule(message())
        await emptied(store)
    assert transport.opened == transport.closed == 1


@run_virtually
async def test_what_was_published_before_the_outage_is_settled_after_it() -> None:
    """As long as its lease lasts it is delivered once."""
    store, transport = WakingStore(), Probed(sleeping(0.5))
    async with delivering(store, transport) as running:
        await running.schedule_many(messages(50))
        await asyncio.sleep(0.3)
        store.faults.append(down())
        await asyncio.sleep(100)
        assert len(transport.ended) == 50
        store.faults.clear()
        await emptied(store)
    assert len(transport.begun) == 50


@run_virtually
async def test_failures_are_settled_after_it_too() -> None:
    store, transport = WakingStore(), Probed(fail)
    async with delivering(store, transport) as running:
        await running.schedule(message(id="x", due=1))
        await asyncio.sleep(0.9)
        store.faults.append(down("settle"))

        async def no_settles(verb: str, done: bool) -> None:
            if verb == "claim" and not done and store.settles and store.settles[-1][0] == now():
                raise StoreUnavailable("gone")

        store.faults.append(no_settles)
        await asyncio.sleep(20)
        assert (await store.inner.get("x")).state is State.CLAIMED  # type: ignore[union-attr]  # it is there
        store.faults.clear()
        await asyncio.sleep(5.2)
        assert (await running.get("x")).retry_count >= 1


@pytest.mark.parametrize("error", [None, StoreUnavailable("gone"), OSError("bare")])
@run_virtually
async def test_a_store_that_cannot_be_asked_for_changes_is_claimed_from_instead(
    error: Exception | None,
) -> None:
    class Peeking(WatchedStore):
        async def changed(self) -> bool:
            if error is None:
                await asyncio.Event().wait()
            raise error or AssertionError

    store, transport = Peeking(), Probed()
    poll = SECOND / 2
    store.wait_for_change = asyncio.Event().wait  # type: ignore[attr-defined]  # makes it SupportsWakeups
    async with delivering(store, transport, store_timeout=SECOND, poll_interval=poll) as running:
        await asyncio.sleep(1)
        async with scheduler(store, transport) as other:
            await other.schedule(message(due=1))
        await until(lambda: transport.ended, within=1.6)
        assert running._engine is not None
        assert running._engine.loop.trouble is None
        assert store.count("claim") <= 8
