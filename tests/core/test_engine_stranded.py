"""What waits for something that does not come strands nobody: neither itself nor others."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    MICROSECOND,
    ManyProbed,
    Probed,
    WakingStore,
    WatchedStore,
    at,
    delivering,
    message,
    messages,
    now,
    sleeping,
    until,
)

from duly import Backoff, Envelope, Message, TransportUnavailable
from duly._values.publishing import StillRunning
from duly.store import Group
from duly.testing.clock import run_virtually
from duly.transport import Limits

HOUR = timedelta(hours=1)
AT_ONCE = Backoff(initial=timedelta(milliseconds=10))


class Limited(Probed):
    """Has limits, which may change."""

    limit = Limits()

    def limits(self) -> Limits:
        return self.limit


async def hang(envelope: Envelope) -> None:
    if envelope.event_name.startswith("hang"):
        await asyncio.sleep(1e6)


async def ignore(envelope: Envelope) -> None:
    """Hangs for a minute, whoever cancels it."""
    end = now() + 60
    while envelope.event_name.startswith("hang") and now() < end:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(end - now())


def late(transport: Probed, name: str) -> list[float]:
    return [
        (at(time) - envelope.scheduled_at).total_seconds()
        for time, envelope in transport.ended
        if envelope.event_name == name
    ]


@pytest.mark.parametrize("publish", [hang, ignore])
@pytest.mark.parametrize(
    ("names", "slots", "batch"), [(20, 8, 10), pytest.param(60, 40, 10, marks=pytest.mark.slow)]
)
@run_virtually
async def test_names_that_are_cut_short_again_and_again_are_slow_ones(
    publish: Any, names: int, slots: int, batch: int
) -> None:
    store, transport = WakingStore(), Probed(publish)
    async with delivering(store, transport, max_in_flight=slots, batch_size=batch) as running:
        first = at(-60)
        await running.schedule_many(
            Message(f"hang-{n % names}", scheduled_at=first + MICROSECOND * n)
            for n in range(10 * names)
        )
        await running.schedule_many(message("other", 900 + 30.0 * n) for n in range(20))
        await asyncio.sleep(1600)
        waited = late(transport, "other")
        await running.stop(timedelta(0))
    assert len(waited) == 20
    assert max(waited) < 60, "no longer than until the next of those in flight is cut short"


@pytest.mark.parametrize(
    ("limits", "slots"),
    [
        (Limits(by_name={f"t.{n}": 0 for n in range(250)}), 100),
        (Limits(by_name={"t.*": 1}), 100),
        (Limits(together=[([f"t.{n}" for n in range(250)], 1)]), 40),
    ],
    ids=["each", "prefix", "together"],
)
@run_virtually
async def test_many_names_that_wait_for_a_limit_take_no_room_from_others(
    limits: Limits, slots: int
) -> None:
    store, transport = WatchedStore(), Limited(sleeping(10, only=[f"t.{n}" for n in range(250)]))
    transport.limit = limits
    async with delivering(store, transport, max_in_flight=slots, publish_timeout=HOUR) as running:
        first = at(-60)
        await running.schedule_many(
            Message(f"t.{n}", scheduled_at=first + MICROSECOND * n) for n in range(250)
        )
        await asyncio.sleep(30)
        await running.schedule_many(messages(1, "other", due=now()))
        await until(lambda: "other-0" in transport.ids, within=10)
        await running.stop(timedelta(0))


@run_virtually
async def test_a_suspect_that_waits_for_a_limit_lets_other_suspects_pass() -> None:
    store, transport = WatchedStore(), Limited()
    transport.limit = Limits(by_name={"x": 0})
    await store.put([Group([message("x", -2.0, id="x"), message("y", -1.0, id="y")])])
    for _ in range(2):
        await store.inner.claim(limit=10, lease=timedelta(seconds=1), owner="dies")
        await asyncio.sleep(1.5)
    async with delivering(store, transport):
        await until(lambda: "y" in transport.ids, within=60)
    assert transport.ids == ["y"]


@run_virtually
async def test_what_waits_for_a_limit_expires_in_time() -> None:
    store, transport = WakingStore(), Limited()
    transport.limit = Limits(by_name={"x": 0})
    async with delivering(store, transport) as running:
        await running.schedule_many(
            message("x", 0.0, id=f"x{n}", expires_at=at(10)) for n in range(60)
        )
        await asyncio.sleep(120)
        assert (await running.stats()).dead == 60


@run_virtually
async def test_what_waits_for_a_limit_is_there_for_others() -> None:
    store, limited, other = WakingStore(), Limited(), Probed()
    limited.limit = Limits(by_name={"x": 0})
    async with delivering(store, limited) as running:
        await running.schedule_many(messages(60, "x", due=now()))
        await asyncio.sleep(1)
        async with delivering(store, other):
            await until(lambda: len(other.ids) == 60, within=120)


@run_virtually
async def test_limits_that_rise_are_taken_up_though_nothing_ends_well() -> None:
    store, transport = WakingStore(), Limited(hang)
    transport.limit = Limits(in_all=1)
    short = timedelta(seconds=5)
    async with delivering(store, transport, max_in_flight=3, publish_timeout=short) as running:
        await running.schedule_many(messages(100, "hang"))
        await asyncio.sleep(1)
        transport.limit = Limits(in_all=3)
        await until(lambda: transport.most == 3, within=20)
        await running.stop(timedelta(0))


@run_virtually
async def test_limits_that_come_later_hold_for_what_waits_already() -> None:
    store, transport = WakingStore(), Limited(sleeping(1))
    async with delivering(store, transport, max_in_flight=3) as running:
        await running.schedule_many(messages(12, "a"))
        await until(lambda: len(transport.begun) == 3)
        transport.limit = Limits(by_name={"a": 1})
        await asyncio.sleep(3)
        transport.most = 0
        begun = len(transport.begun)
        await asyncio.sleep(4)
        assert 3 <= len(transport.begun) - begun <= 5, "one a second"


class Lingering:
    """What its mode says: it is down, or up, or works on when it is cancelled."""

    own_tasks = True

    def __init__(self) -> None:
        self.mode = "down"
        self.ids: list[str] = []
        self.works_on: list[asyncio.Future[None]] = []

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def publish(self, envelope: Envelope) -> None:
        mode = self.mode
        if mode == "down":
            raise TransportUnavailable("down")
        if mode == "linger":
            future = asyncio.get_running_loop().create_future()
            self.works_on.append(future)
            try:
                await asyncio.sleep(1e6)
            except asyncio.CancelledError:
                raise StillRunning(future) from None
        self.ids.append(envelope.message_id)


@pytest.mark.parametrize("ends_well", [True, False])
@run_virtually
async def test_a_probe_of_an_earlier_outage_says_nothing_of_this_one(*, ends_well: bool) -> None:
    store, transport = WatchedStore(), Lingering()
    slow = asyncio.Event()

    async def claim_slowly(verb: str, done: bool) -> None:
        if slow.is_set() and verb == "claim" and not done:
            await asyncio.sleep(0.05)

    store.faults.append(claim_slowly)
    second = timedelta(seconds=1)
    async with delivering(store, transport, publish_timeout=second) as running:
        await running.schedule_many(messages(3))
        await asyncio.sleep(0.15)
        transport.mode = "linger"
        await until(lambda: transport.works_on, within=30)
        await asyncio.sleep(0.5)
        transport.mode = "up"
        await until(lambda: transport.ids, within=60)
        await asyncio.sleep(2)
        engine = running._engine
        assert engine is not None
        assert not engine.outage.active
        slow.set()
        transport.mode = "down"
        await running.schedule_many(messages(1, "x", due=now()))
        await running.schedule_many(messages(1, "y", due=now() + 0.01))
        await until(lambda: engine.outage.active)
        (old,) = transport.works_on
        if ends_well:
            old.set_result(None)
        else:
            old.set_exception(ValueError("after all"))
        await asyncio.sleep(0.001)
        transport.mode = "up"
        await running.schedule_many(messages(5, "z", due=now()))
        await until(lambda: {f"z-{n}" for n in range(5)} <= {*transport.ids}, within=30)
        assert not engine.workers._held


@run_virtually
async def test_large_ones_that_linger_keep_nobody_from_being_claimed() -> None:
    store, transport = WatchedStore(), Lingering()
    transport.mode = "linger"
    async with delivering(
        store, transport, publish_timeout=timedelta(seconds=5), max_bytes_in_flight=2**20
    ) as running:
        await running.schedule_many([message("large", -1.0, payload=b"x" * 2**20)])
        await until(lambda: transport.works_on)
        transport.mode = "up"
        await running.schedule_many(messages(5, "small", due=now()))
        await until(lambda: len(transport.ids) == 5, within=20)
        await running.stop(timedelta(0))


@run_virtually
async def test_probes_claim_no_more_bytes_than_there_may_be() -> None:
    away = asyncio.Event()
    away.set()

    async def publish(envelope: Envelope) -> None:
        if away.is_set():
            raise TransportUnavailable("down")

    store, transport = WatchedStore(), Probed(publish)
    async with delivering(store, transport, max_bytes_in_flight=4000, batch_size=20) as running:
        await running.schedule_many(message(due=-1.0, payload=b"x" * 1000) for _ in range(200))
        await asyncio.sleep(10)
        del store.limits[:]
        await asyncio.sleep(60)
        assert {*store.limits} == {1, 2, 3, 4}
        away.clear()
        await until(lambda: len({*transport.ids}) == 200, within=60)


@pytest.mark.parametrize("verb", ["claim", "settle"])
@run_virtually
async def test_a_store_that_swallows_cancellations_does_not_keep_stop_from_returning(
    verb: str,
) -> None:
    store, transport, stubborn = WatchedStore(), Probed(sleeping(1)), asyncio.Event()

    async def swallow(called: str, done: bool) -> None:
        while stubborn.is_set() and called == verb and not done:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)

    store.faults.append(swallow)
    async with delivering(store, transport) as running:
        await running.schedule_many(messages(3, due=now()))
        await asyncio.sleep(0.5)
        stubborn.set()
        await running.schedule_many(messages(3, "more", due=now()))
        await asyncio.sleep(30)
        begun = now()
        await running.stop(timedelta(seconds=1))
        assert now() - begun < 60
        stubborn.clear()


@run_virtually
async def test_a_short_lease_is_renewed_in_time_though_the_store_is_far() -> None:
    store, transport = WatchedStore(), Probed(sleeping(0.4))

    async def trip(verb: str, done: bool) -> None:
        await asyncio.sleep(0.05)

    store.faults.append(trip)
    async with delivering(store, transport, stuck_duration=timedelta(seconds=0.5)) as running:
        await running.schedule_many(messages(20, due=now() + 1))
        await asyncio.sleep(30)
    assert len(transport.ended) == 20
    assert len(transport.begun) < 60


@pytest.mark.parametrize(
    ("receipt", "many"), [(None, False), ("it was there after all", False), (None, True)]
)
@run_virtually
async def test_who_answers_nothing_when_its_time_is_over_has_not_accepted(
    *, receipt: str | None, many: bool
) -> None:
    async def swallow(envelope: Envelope) -> str | None:
        if len(transport.begun) == 1:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1e6)
        return receipt

    store, transport = WatchedStore(), (ManyProbed if many else Probed)(swallow)
    short = timedelta(seconds=1)
    async with delivering(store, transport, publish_timeout=short, recovery=AT_ONCE) as running:
        await running.schedule_many(messages(1, due=now()))
        await asyncio.sleep(10)
        assert (await running.stats()).scheduled == 0
    assert len(transport.begun) == (2 if receipt is None else 1)
