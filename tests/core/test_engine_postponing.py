"""``raise duly.Postpone(...)``: put back uncounted, for as long as was asked, a hundred times."""

import itertools
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    Witness,
    at,
    delivering,
    emptied,
    message,
    now,
    until,
)
from tests.core.telemetry_kit import Told

from duly import Backoff, Envelope, Every, Filter, Postpone, State, TransportUnavailable
from duly._engine.verdicts import MOST_POSTPONED
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)


def postponing(times: int, after: timedelta, error: Exception | None = None) -> Probed:
    """Puts off each delivery so many times; then it raises, or delivers."""

    async def publish(envelope: Envelope) -> None:
        if envelope.postpone_count < times:
            raise Postpone(after)
        if error is not None:
            raise error

    return Probed(publish)


@run_virtually
async def test_it_comes_again_when_it_asked_to_and_nothing_is_counted() -> None:
    store, transport, witness, told = WakingStore(), postponing(3, 10 * SECOND), Witness(), Told()
    async with delivering(store, transport, plugins=[witness], **told.options) as running:
        await running.schedule(message(id="a"))
        await emptied(store)
    assert [round(begun, 3) for begun, _ in transport.begun] == [0, 10, 20, 30]
    assert [each.postpone_count for _, each in transport.begun] == [0, 1, 2, 3]
    assert {each.attempt for _, each in transport.begun} == {1}
    assert len({each.delivery_id for _, each in transport.begun}) == 1
    assert not witness.failed
    assert told.counts("duly.messages.postponed") == {"event": 3}
    assert told.counts("duly.messages.delivered") == {"event": 1}
    for name in ("failed", "rescheduled", "released"):
        assert not told.points(f"duly.messages.{name}")


@run_virtually
async def test_the_count_is_kept_with_the_message() -> None:
    store = WakingStore()
    async with delivering(store, postponing(9, 10 * SECOND)) as running:
        await running.schedule(message(id="a"))
        await until(lambda: now() > 25)
        waiting = await running.get("a")
        assert (waiting.state, waiting.postpone_count) == (State.SCHEDULED, 3)
        assert (waiting.retry_count, waiting.last_error) == (0, None)
        assert waiting.scheduled_at == at(0)


@run_virtually
async def test_a_retry_keeps_the_count_and_the_next_fire_begins_anew() -> None:
    store, seen = WakingStore(), list[tuple[int, int, int]]()

    async def publish(envelope: Envelope) -> None:
        seen.append((envelope.occurrence, envelope.attempt, envelope.postpone_count))
        if envelope.postpone_count < 1:
            raise Postpone(SECOND)
        if envelope.attempt < 2:
            raise ValueError("broken")

    policy = Backoff(initial=SECOND, jitter=0)
    async with delivering(store, Probed(publish), recovery=policy) as running:
        await running.schedule(message(id="a", recurrence=Every(60 * SECOND, max_occurrences=2)))
        await emptied(store, within=200)
    assert seen == [(0, 1, 0), (0, 1, 1), (0, 2, 1), (1, 1, 0), (1, 1, 1), (1, 2, 1)]


@pytest.mark.parametrize("jitter", [timedelta(0), 5 * SECOND])
@pytest.mark.parametrize("missed", ["skip", "once"])
@run_virtually
async def test_a_fire_that_was_postponed_beyond_its_grace_is_not_missed(
    missed: Any, jitter: timedelta
) -> None:
    store, transport, witness = WakingStore(), postponing(1, 20 * SECOND), Witness()
    series = Every(300 * SECOND, missed=missed, grace=SECOND, max_occurrences=2, jitter=jitter)
    async with delivering(store, transport, plugins=[witness]) as running:
        await running.schedule(message(id="a", recurrence=series))
        await emptied(store, within=900)
    assert len(transport.ended) == 2
    assert [each.occurrence for _, each in transport.begun] == [0, 0, 1, 1]
    assert witness.missed == []


@run_virtually
async def test_for_ever_is_a_failed_attempt() -> None:
    store, transport, witness = WakingStore(), postponing(10**9, SECOND), Witness()
    policy = Backoff(max_retries=1, initial=SECOND, jitter=0)
    async with delivering(store, transport, plugins=[witness], recovery=policy) as running:
        await running.schedule(message(id="a"))
        await until(lambda: len(witness.failed) == 2, within=1000)
        (dead,) = await running.list(Filter(state=State.DEAD))
    assert [each.attempt for _, each in transport.begun] == [1] * (MOST_POSTPONED + 1) + [2]
    assert dead.last_error == "Postpone: not before 0:00:01 from now"
    assert (dead.error_class, dead.postpone_count) == ("Postpone", MOST_POSTPONED)


@run_virtually
async def test_no_wait_is_a_short_one() -> None:
    store, transport = WakingStore(), postponing(5, timedelta(0))
    async with delivering(store, transport) as running:
        await running.schedule(message(id="a"))
        await emptied(store)
    pauses = [
        later - before
        for before, later in itertools.pairwise([when for when, _ in transport.begun])
    ]
    assert all(pause >= 0.009 for pause in pauses)
    assert [when for when, _ in transport.begun][-1] < 2


@run_virtually
async def test_a_batch_may_postpone_some() -> None:
    store = WakingStore()

    class Batched(Probed):
        async def publish_many(self, envelopes: Any) -> list[Any]:
            return [
                Postpone(SECOND) if each.message_id == "b" and not each.postpone_count else None
                for each in envelopes
            ]

    async with delivering(store, Batched()) as running:
        await running.schedule_many([message(id=id) for id in "abc"])
        await until(lambda: now() > 0.5)
        assert [each.id for each in await running.list()] == ["b"]
        await emptied(store)


@run_virtually
async def test_a_probe_that_is_postponed_ends_the_outage() -> None:
    """Whoever answers is there."""
    store, errors = WakingStore(), [TransportUnavailable("gone"), Postpone(SECOND)]

    async def publish(envelope: Envelope) -> None:
        if errors:
            raise errors.pop(0)

    async with delivering(store, Probed(publish)) as running:
        await running.schedule(message(id="a"))
        await emptied(store)
        health = await running.health()
    assert health.reason is None or "transport" not in health.reason


@run_virtually
async def test_it_may_expire_meanwhile() -> None:
    store, transport, witness = WakingStore(), postponing(9, 10 * SECOND), Witness()
    async with delivering(store, transport, plugins=[witness]) as running:
        await running.schedule(message(id="a", expires_at=at(5)))
        await until(lambda: witness.failed)
        assert (await running.get("a")).state is State.DEAD
    assert len(transport.begun) == 1
