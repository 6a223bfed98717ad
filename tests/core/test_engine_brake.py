"""A store that is mistaken about what is due, or wakes for nothing, is asked ever more rarely."""

import asyncio
import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import attrs
import pytest
from tests.core.engine_kit import (
    MICROSECOND,
    SOON,
    Probed,
    WakingStore,
    WatchedStore,
    at,
    delivering,
    emptied,
    fail,
    message,
    messages,
    now,
    scheduler,
    sleeping,
    until,
)

from duly import Filter, Scheduler
from duly.store import Batch
from duly.testing.clock import run_virtually

POLL = 0.1
"""Seconds: the default ``poll_interval``."""

Change = Callable[[Batch], Batch]


class Mistaken(WatchedStore):
    """Says of batches what it is told to say."""

    change: Change = staticmethod(lambda batch: batch)

    async def claim(self, **more: Any) -> Batch:
        return self.change(await super().claim(**more))


class MistakenWaking(Mistaken, WakingStore):
    """The same, and it can wake."""


def always_more(batch: Batch) -> Batch:
    """A row is due that somebody else has locked."""
    return attrs.evolve(batch, more=True)


def due_already(batch: Batch) -> Batch:
    return attrs.evolve(batch, next_due=batch.now - timedelta(seconds=3))


def due_now(batch: Batch) -> Batch:
    return attrs.evolve(batch, next_due=batch.now)


def due_very_soon(batch: Batch) -> Batch:
    return attrs.evolve(batch, next_due=batch.now + MICROSECOND)


def claims(store: WatchedStore, since: float = 0.0) -> list[float]:
    return [time for time, verb in store.calls if verb == "claim" and time >= since]


@pytest.mark.parametrize("change", [always_more, due_already, due_now])
@pytest.mark.parametrize("kind", [Mistaken, MistakenWaking])
@run_virtually
async def test_naps_grow_while_claims_bring_nothing(kind: type[Mistaken], change: Change) -> None:
    store = kind()
    store.change = change
    async with delivering(store, fail):
        await asyncio.sleep(10)
        times = claims(store)
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert gaps[:6] == pytest.approx([0, 0, 0.01, 0.02, 0.04, 0.08], abs=SOON)
        assert gaps[6:] == pytest.approx([POLL] * (len(gaps) - 6), abs=SOON)


@run_virtually
async def test_they_grow_to_the_poll_interval_and_no_further() -> None:
    store = Mistaken()
    store.change = always_more
    async with delivering(store, fail, poll_interval=timedelta(seconds=2)):
        await asyncio.sleep(60)
        assert 30 <= len(claims(store)) <= 42
    store = Mistaken()
    store.change = always_more
    async with delivering(store, fail, poll_interval=timedelta(milliseconds=2)):
        begun = now()
        await asyncio.sleep(1)
        assert len(claims(store, begun)) == pytest.approx(500, abs=10)


@run_virtually
async def test_a_due_time_that_is_always_very_near() -> None:
    store = Mistaken()
    store.change = due_very_soon
    async with delivering(store, fail):
        await asyncio.sleep(10)
        assert len(claims(store)) <= 10 / 0.01 + 20


@pytest.mark.parametrize("kind", [Mistaken, MistakenWaking])
@run_virtually
async def test_what_is_scheduled_here_is_not_held_up(kind: type[Mistaken]) -> None:
    store, transport = kind(), Probed()
    store.change = always_more
    async with delivering(store, transport) as running:
        await asyncio.sleep(5.003)
        for number in range(20):
            due = now()
            await running.schedule(message(id=str(number), due=due))
            await until(lambda number=number: transport.times(str(number)), within=1)  # type: ignore[misc]  # mypy knows no default of a lambda
            assert transport.times(str(number)) == [pytest.approx(due, abs=SOON)]
            await asyncio.sleep(0.237)
        assert len(claims(store, 5)) < 20 * (10 + 5)


@run_virtually
async def test_a_due_time_to_come_is_met_all_the_same() -> None:
    """Something is due that nobody gets, and what comes behind it is in time."""
    store, transport = Mistaken(), Probed()
    await scheduler(store, fail).schedule_many(
        [message(id=str(number), due=3.0123 + number * 0.0371) for number in range(10)]
    )
    store.change = always_more
    async with delivering(store, transport):
        await emptied(store)
    late = [time - (3.0123 + int(each.message_id) * 0.0371) for time, each in transport.begun]
    assert late == pytest.approx([0] * 10, abs=SOON)


@run_virtually
async def test_a_message_that_is_locked_is_delivered_soon_after_it_is_free() -> None:
    store, transport = Mistaken(), Probed()
    locked = True

    async def claim(**more: Any) -> Batch:
        if not locked:
            return await WatchedStore.claim(store, **more)
        store.calls.append((now(), "claim"))
        return Batch(token=None, claims=(), now=at(now()), next_due=at(0), more=True)

    store.claim = claim  # type: ignore[method-assign]  # a row lock, as it looks from here
    async with delivering(store, transport) as running:
        await running.schedule(message())
        await asyncio.sleep(3)
        assert len(claims(store)) <= 40
        locked = False
        await until(lambda: transport.ended, within=POLL + 0.02)


@run_virtually
async def test_outcomes_are_no_empty_claims() -> None:
    """They have a cause, and what follows them is not slowed."""
    store, transport = WakingStore(), Probed(sleeping(0.003))
    async with delivering(store, transport, max_in_flight=1) as running:
        await running.schedule_many(messages(200))
        begun = now()
        await emptied(store)
        assert now() - begun < 200 * 0.003 + 0.05


@run_virtually
async def test_two_schedulers_on_one_store_take_due_times_as_they_come() -> None:
    store, transport = WakingStore(), Probed()
    await scheduler(store, fail).schedule_many(
        [message(id=str(number), due=1 + number * 0.004) for number in range(500)]
    )
    async with delivering(store, transport), delivering(store, transport):
        await emptied(store)
    late = [time - (1 + int(each.message_id) * 0.004) for time, each in transport.begun]
    assert max(late) <= 0.0012  # a millisecond gathers what crowds each other


# --- wake-ups


class Restless(WakingStore):
    """Says at once, again and again, that something has changed."""

    async def wait_for_change(self) -> None:
        self.calls.append((now(), "wait"))


class RestlessAfterATurn(Restless):
    """As above, and lets others have their turn first."""

    async def wait_for_change(self) -> None:
        await super().wait_for_change()
        await asyncio.sleep(0)


@pytest.mark.parametrize("kind", [Restless, RestlessAfterATurn])
@run_virtually
async def test_a_store_that_wakes_for_nothing_is_slowed(kind: type[Restless]) -> None:
    store, transport = kind(), Probed()
    async with delivering(store, transport) as running:
        await asyncio.sleep(10)
        assert store.count("wait") <= 10 + 4 + 10 / POLL + 2
        assert store.count("claim") <= 10 + 4 + 10 / POLL + 4
        due = now()
        await running.schedule(message(id="here", due=due))
        await until(lambda: transport.times("here"))
        assert transport.times("here") == [pytest.approx(due, abs=SOON)]
        due = now()
        await scheduler(store, fail).schedule(message(id="elsewhere", due=due))
        await until(lambda: transport.times("elsewhere"))
        assert transport.times("elsewhere")[0] - due <= POLL + SOON


@run_virtually
async def test_wake_ups_that_lead_to_something_are_not_slowed() -> None:
    store, transport = WakingStore(), Probed()
    async with delivering(store, transport):
        elsewhere = scheduler(store, fail)
        dues = {}
        for number in range(300):
            await asyncio.sleep(0.0007)
            dues[str(number)] = now()
            await elsewhere.schedule(message(id=str(number), due=now()))
        await emptied(store)
    assert {id: transport.times(id) for id in dues} == {
        id: [pytest.approx(due, abs=SOON)] for id, due in dues.items()
    }


@run_virtually
async def test_a_change_during_a_storm_is_not_missed() -> None:
    """Many things come in for later, and then one that is due at once."""
    store, transport = WakingStore(), Probed()
    async with delivering(store, transport):
        elsewhere = scheduler(store, fail)
        for number in range(200):
            await asyncio.sleep(0.001)
            await elsewhere.schedule(message(id=str(number), due=3600 + number))
        assert len(claims(store)) <= 40
        due = now()
        await elsewhere.schedule(message(id="now", due=due))
        await until(lambda: transport.times("now"), within=1)
        assert transport.times("now")[0] - due <= POLL + SOON
        await asyncio.sleep(1)
        due = now()
        await elsewhere.schedule(message(id="calm", due=due))
        await until(lambda: transport.times("calm"), within=1)
        assert transport.times("calm") == [pytest.approx(due, abs=SOON)]
        await elsewhere.cancel_many(Filter(event_name="event"))


@run_virtually
async def test_a_store_that_hangs_is_not_woken_for_in_a_loop() -> None:
    store = Restless()

    async def hang(verb: str, done: bool) -> None:
        if verb == "claim":
            await asyncio.sleep(5)

    store.faults.append(hang)
    async with delivering(store, fail) as running:
        assert isinstance(running, Scheduler)
        await asyncio.sleep(4)
        assert store.count("wait") <= 3
        store.faults.clear()
