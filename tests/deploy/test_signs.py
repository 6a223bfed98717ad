"""The incidents are no fiction: a scheduler in trouble shows what its incident says, and no more."""

import asyncio
from typing import Any

import pytest
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    delivering,
    down,
    fail,
    hanging,
    message,
    messages,
)
from tests.core.telemetry_kit import Told
from tests.deploy.test_rules import rules

import duly
from duly.errors import TransportUnavailable
from duly.testing.clock import run_virtually

_MINUTES = 10


def shown(told: Told, name: str) -> Any:
    """The only value of a gauge."""
    (point,) = told.points(name)
    return point.value


def test_the_bound_is_that_of_the_rules() -> None:
    assert rules()["DulyLoopStuck"]["expr"] == "duly_loop_turn_age_seconds > 60"


@pytest.mark.parametrize("fault", [down(), hanging()], ids=["down", "hanging"])
@run_virtually
async def test_a_store_that_is_away(fault: Any) -> None:
    told, store = Told(), WakingStore()
    async with delivering(store, Probed(), **told.options) as running:
        await running.schedule(message())
        await asyncio.sleep(60)
        assert shown(told, "duly.store.up") == 1
        store.faults.append(fault)
        await asyncio.sleep(60)
        for _ in range(_MINUTES * 6):
            await asyncio.sleep(10)
            assert shown(told, "duly.store.up") == 0
            assert shown(told, "duly.transport.up") == 1
            assert shown(told, "duly.loop.turn_age") < 60
        store.faults.clear()
        await asyncio.sleep(60)
        assert shown(told, "duly.store.up") == 1


@run_virtually
async def test_a_transport_that_is_away() -> None:
    told, store, away = Told(), WakingStore(), False

    async def publish(envelope: duly.Envelope) -> None:
        if away:
            raise TransportUnavailable("the broker is gone")

    async with delivering(store, publish, **told.options) as running:
        await asyncio.sleep(60)
        assert shown(told, "duly.transport.up") == 1
        away = True
        await running.schedule_many(messages(50))
        await asyncio.sleep(60)
        for _ in range(_MINUTES * 6):
            await asyncio.sleep(10)
            assert shown(told, "duly.transport.up") == 0
            assert shown(told, "duly.store.up") == 1
            assert shown(told, "duly.loop.turn_age") < 60
            assert shown(told, "duly.messages.dead") == 0
        assert shown(told, "duly.messages.oldest_due_age") > 60
        away = False
        await asyncio.sleep(60)
        assert shown(told, "duly.transport.up") == 1
        assert shown(told, "duly.messages.oldest_due_age") == 0


@run_virtually
async def test_messages_in_back_off() -> None:
    told, store = Told(), WakingStore()
    async with delivering(store, fail, **told.options) as running:
        await running.schedule(message())
        await asyncio.sleep(3600)
        assert shown(told, "duly.messages.oldest_undelivered_age") > 900
        assert shown(told, "duly.messages.oldest_due_age") < 60


@run_virtually
async def test_all_slots_in_use() -> None:
    told, store = Told(), WakingStore()

    async def publish(envelope: duly.Envelope) -> None:
        await asyncio.sleep(2)

    async with delivering(store, publish, max_in_flight=8, **told.options) as running:
        await running.schedule_many(messages(400))
        used = []
        for _ in range(20):
            await asyncio.sleep(3.1)  # not when publishes end
            used.append(shown(told, "duly.slots.used"))
            assert shown(told, "duly.loop.turn_age") < 60
        assert shown(told, "duly.slots.limit") == 8
        assert sum(used) / len(used) >= 0.9 * 8
