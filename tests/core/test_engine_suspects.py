"""After a crash: what was held is due again, and what kills its schedulers is found and buried."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    Witness,
    delivering,
    down,
    emptied,
    fail,
    hanging,
    kill,
    message,
    messages,
    now,
    scheduler,
    sleeping,
    until,
)

from duly import (
    Backoff,
    Bury,
    Discard,
    Envelope,
    Failure,
    Filter,
    Retry,
    Scheduler,
    State,
    Verdict,
)
from duly.store import SUSPECT_LAPSES
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)
LEASE: dict[str, Any] = {"stuck_duration": SECOND * 3}


async def killed(victim: Scheduler, when: asyncio.Event | None = None, after: float = 0) -> None:
    """Start a scheduler and kill it when something happened, or after some seconds."""
    start = asyncio.create_task(victim.start())
    if when is None:
        await asyncio.sleep(after)
    else:
        await when.wait()
        when.clear()
    await kill(victim)
    await asyncio.wait([start])


@run_virtually
async def test_all_that_a_killed_scheduler_held_is_due_again_when_its_lease_has_lapsed() -> None:
    store, first, second = WakingStore(), Probed(sleeping(1000)), Probed()
    client = scheduler(store, first)
    await client.schedule_many(messages(2000))
    options: dict[str, Any] = {**LEASE, "batch_size": 1000, "max_in_flight": 1000}
    await killed(scheduler(store, first, **options), after=0.05)
    assert (await client.stats()).claimed == 2000
    async with delivering(store, second, **options):
        await asyncio.sleep(2.9)
        assert not second.begun
        await emptied(store, within=0.2)  # at full speed
    assert sorted(second.ids) == sorted(f"event-{number}" for number in range(2000))
    assert {each.attempt for _, each in second.ended} == {2}


@run_virtually
async def test_a_crash_is_no_failed_attempt() -> None:
    store, witness = WakingStore(), Witness()
    await scheduler(store, fail).schedule(message(id="x"))
    await killed(scheduler(store, sleeping(1000), **LEASE), after=0.5)
    async with delivering(store, Probed(), plugins=[witness], recovery=Backoff(max_retries=0)):
        await emptied(store)
    assert not witness.failed
    assert [each.message.retry_count for each in witness.delivered[0]] == [0]


@run_virtually
async def test_poison_among_50_innocents_after_five_kills_all_are_delivered_and_it_is_buried() -> (
    None
):
    store, dying, delivered = WakingStore(), asyncio.Event(), list[str]()

    async def publish(envelope: Envelope) -> None:
        if envelope.event_name == "poison":
            dying.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0.01)
        delivered.append(envelope.message_id)

    innocents = messages(50)
    client = scheduler(store, publish)
    await client.schedule_many([*innocents[:25], message("poison", id="p"), *innocents[25:]])
    for _ in range(5):
        await killed(scheduler(store, publish, **LEASE), dying)
    async with delivering(store, publish, **LEASE):
        await emptied(store)
    assert {*delivered} == {each.id for each in innocents}
    (dead,) = await client.list()
    assert (dead.id, dead.state) == ("p", State.DEAD)
    assert dead.last_error == "claimed 5 times by schedulers that died before they settled it"
    assert not dying.is_set()


@run_virtually
async def test_suspects_are_published_one_at_a_time() -> None:
    store = WakingStore()
    client = scheduler(store, fail)
    await client.schedule_many(messages(20))
    for _ in range(SUSPECT_LAPSES):
        await killed(scheduler(store, sleeping(1000), **LEASE), after=0.1)
        await asyncio.sleep(3.1)
    transport, witness = Probed(sleeping(0.5)), Witness()
    async with delivering(store, transport, plugins=[witness], **LEASE) as running:
        await running.schedule_many(messages(100, "new", due=0))
        await until(lambda: len([id for id in transport.ids if id.startswith("new")]) == 100)
        await emptied(store)
    running_suspects = most = 0
    for _, change in sorted(
        [(time, 1) for time, each in transport.begun if each.event_name == "event"]
        + [(time, -1) for time, each in transport.ended if each.event_name == "event"]
    ):
        running_suspects += change
        most = max(most, running_suspects)
    assert most == 1
    assert len(transport.ended) == 120
    # While a suspect is out, the others flow.
    new = [time for time, each in transport.begun if each.event_name == "new"]
    assert max(new) - min(new) < 2
    assert all(len(batch) == 1 for batch in witness.claimed if batch[0].event_name == "event")


@run_virtually
async def test_settling_a_suspect_brings_the_next_one_at_once() -> None:
    store = WakingStore()
    await scheduler(store, fail).schedule_many(messages(10))
    for _ in range(SUSPECT_LAPSES):
        await killed(scheduler(store, sleeping(1000), **LEASE), after=0.1)
        await asyncio.sleep(3.1)
    transport, begun = Probed(sleeping(0.5)), now()
    async with delivering(store, transport):
        await emptied(store)
    assert [time - begun for time, _ in transport.begun] == pytest.approx(
        [0.5 * number for number in range(10)], abs=0.05
    )


@pytest.mark.parametrize("how", ["delivery of a series", "retry", "replay"])
@run_virtually
async def test_what_sets_the_lapses_back(how: str) -> None:
    from tests.core.engine_kit import at

    from duly import Every

    store, dying = WakingStore(), asyncio.Event()
    mode = "die"

    async def publish(envelope: Envelope) -> None:
        if mode == "die":
            dying.set()
            await asyncio.Event().wait()
        if mode == "fail":
            raise ValueError

    every = Every(SECOND * 20) if how.startswith("delivery") else None
    client = scheduler(store, publish)
    await client.schedule(message(id="x", recurrence=every, due=0))
    failures: list[Failure] = []

    def policy(failure: Failure) -> Verdict:
        failures.append(failure)
        if mode == "bury":
            return Bury("for now")
        return Retry() if failure.error is None else Retry(SECOND)

    options: dict[str, Any] = {**LEASE, "recovery": policy}
    for _ in range(4):
        await killed(scheduler(store, publish, **options), dying)
    if how == "replay":
        mode = "bury"
        async with delivering(store, publish, **options):
            await emptied(store)
        await client.replay("x")
    else:
        mode = "fail" if how == "retry" else "deliver"
        async with delivering(store, publish, **options) as running:
            await asyncio.sleep(3.5)
            assert (await running.get("x")).state is State.SCHEDULED
    mode = "die"
    failures.clear()
    for _ in range(2):
        await killed(scheduler(store, publish, **options), dying)
    assert [each.lapses for each in failures] == [1]
    assert at(0) <= (await client.get("x")).scheduled_at


@run_virtually
async def test_deciders_are_asked_about_each_lapsed_claim() -> None:
    store, dying, failures = WakingStore(), asyncio.Event(), list[Failure]()

    async def publish(envelope: Envelope) -> None:
        dying.set()
        await asyncio.Event().wait()

    def policy(failure: Failure) -> Verdict:
        failures.append(failure)
        return Retry() if failure.lapses < 2 else Retry(SECOND * 100)

    client = scheduler(store, publish)
    await client.schedule(message(id="x"))
    for _ in range(2):
        await killed(scheduler(store, publish, recovery=policy, **LEASE), dying)
    witness = Witness()
    async with delivering(store, publish, recovery=policy, plugins=[witness], **LEASE):
        await until(lambda: witness.failed)
    assert [(each.error, each.lapses, each.attempt) for each in failures] == [
        (None, 1, 1),
        (None, 2, 2),
    ]
    # Put off, it is a retry: counted, and its lapses begin anew.
    waiting = await client.get("x")
    assert (waiting.retry_count, waiting.state, waiting.last_error) == (1, State.SCHEDULED, None)
    assert [each.lapses for each in witness.failed[0]] == [2]


@run_virtually
async def test_recovery_may_discard_what_lapsed() -> None:
    store, dying = WakingStore(), asyncio.Event()

    async def publish(envelope: Envelope) -> None:
        dying.set()
        await asyncio.Event().wait()

    client = scheduler(store, publish)
    await client.schedule(message(id="x"))
    await killed(scheduler(store, publish, **LEASE), dying)
    async with delivering(store, publish, recovery=lambda _: Discard(), **LEASE):
        await emptied(store)
    assert await client.list() == []
    assert not dying.is_set()


@pytest.mark.parametrize("fault", [down(), hanging()], ids=["down", "hangs"])
@run_virtually
async def test_store_outages_longer_than_the_lease_bury_nobody(fault: Any) -> None:
    """Eight of them, each at a moment when messages are in hand."""
    store = WakingStore()
    transport, witness = Probed(sleeping(0.3)), Witness()
    options: dict[str, Any] = {**LEASE, "max_in_flight": 4, "store_timeout": SECOND}
    async with delivering(store, transport, plugins=[witness], **options) as running:
        await running.schedule_many(messages(300))
        for _ in range(8):
            await asyncio.sleep(1.05)
            assert (await store.inner.stats()).claimed
            store.faults.append(fault)
            await asyncio.sleep(20)
            store.faults.clear()
        await emptied(store, within=300)
        assert await running.list(Filter(state=State.DEAD)) == []
    assert {*transport.ids} == {f"event-{number}" for number in range(300)}
    assert not witness.failed


@run_virtually
async def test_a_suspect_that_is_released_does_not_lose_its_lapses() -> None:
    """Stopping a scheduler does not clear what its predecessors died of."""
    store, dying = WakingStore(), asyncio.Event()

    async def publish(envelope: Envelope) -> None:
        dying.set()
        await asyncio.Event().wait()

    client = scheduler(store, publish)
    await client.schedule(message(id="x"))
    for _ in range(5):
        await killed(scheduler(store, publish, **LEASE), dying)
        await asyncio.sleep(3.1)
        drained = scheduler(store, sleeping(1000), recovery=lambda _: Retry())
        start = asyncio.create_task(drained.start())
        await asyncio.sleep(0.5)
        assert (await client.get("x")).state is State.CLAIMED
        await drained.stop(timedelta(0))
        await start
        assert (await client.get("x")).state is State.SCHEDULED
    async with delivering(store, publish, **LEASE):
        await emptied(store)
    assert (await client.get("x")).state is State.DEAD
