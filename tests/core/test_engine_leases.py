"""Leases live as long as their holder, and no publish outlives one."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    SOON,
    ManyProbed,
    Probed,
    WakingStore,
    WatchedStore,
    Witness,
    at,
    delivering,
    down,
    emptied,
    hanging,
    message,
    messages,
    now,
    scheduler,
    sleeping,
    until,
)

from duly import Cancellation, Envelope
from duly.memory import MemoryStore
from duly.store import Release
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)
LONG = timedelta(hours=1)


class Ledgered(Probed):
    """Notes for every publish when it began and when it ended, however it ended."""

    def __init__(self, publish: Callable[[Envelope], Awaitable[Any]] | None = None) -> None:
        super().__init__(publish)
        self.spans: list[tuple[str, float, float]] = []

    async def publish(self, envelope: Envelope) -> Any:
        begun = now()
        try:
            return await super().publish(envelope)
        finally:
            self.spans.append((envelope.message_id, begun, now()))


@pytest.mark.parametrize("kind", [Probed, ManyProbed])
@run_virtually
async def test_a_publish_longer_than_the_lease_is_delivered_once(kind: type[Probed]) -> None:
    store, transport, other = WakingStore(), kind(sleeping(60)), Probed()
    options = {"stuck_duration": SECOND, "publish_timeout": LONG}
    async with delivering(store, transport, **options) as running:
        await running.schedule(message(id="x"))
        await until(lambda: transport.begun)
        async with delivering(store, other, **options):
            await emptied(store, within=70)
    assert transport.ids == ["x"]
    assert len(transport.begun) == 1
    assert not other.begun


@run_virtually
async def test_what_waits_for_a_slot_longer_than_the_lease_is_kept_too() -> None:
    store, transport, other = WakingStore(), Probed(sleeping(2)), Probed(sleeping(2))
    options: dict[str, Any] = {"stuck_duration": SECOND, "max_in_flight": 1}
    async with delivering(store, transport, **options) as running:
        await running.schedule_many(messages(20))
        await until(lambda: transport.begun)
        async with delivering(store, other, **options):
            await emptied(store)
    assert transport.ids == [f"event-{number}" for number in range(20)]
    assert not other.begun


@run_virtually
async def test_one_timer_renews_all_that_a_scheduler_holds() -> None:
    store, transport = WakingStore(), Probed(sleeping(100))
    tokens: list[int] = []
    renew = store.renew

    async def counted(some: Sequence[str], lease: timedelta) -> Any:
        tokens.append(len(some))
        return await renew(some, lease)

    store.renew = counted  # type: ignore[method-assign, assignment]  # to see what it is called with
    options = {"stuck_duration": SECOND * 30, "publish_timeout": LONG, "batch_size": 5}
    async with delivering(store, transport, **options) as running:
        await running.schedule_many(messages(50))
        await emptied(store, within=120)
    assert max(tokens) == 10
    assert store.count("renew") <= 11  # every ten seconds


@pytest.mark.parametrize("fault", [down("renew"), hanging("renew")], ids=["fails", "hangs"])
@pytest.mark.parametrize("lease", [0.5, 0.73, 1, 10.01])
@run_virtually
async def test_without_renewals_no_publish_starts_or_lasts_beyond_the_lease_less_its_margin(
    fault: Callable[[str, bool], Awaitable[None]], lease: float
) -> None:
    store = WakingStore()
    store.faults.append(fault)
    transport, other = Ledgered(sleeping(lease / 7)), Ledgered(sleeping(lease / 7))
    transport._publish = sleeping(lease * 3)
    options: dict[str, Any] = {
        "stuck_duration": timedelta(seconds=lease),
        "publish_timeout": LONG,
        "store_timeout": SECOND,
        "max_in_flight": 3,
    }
    running = scheduler(store, transport, **options)
    async with running.running():
        await running.schedule_many(messages(10))
        await until(lambda: store.count("claim") and transport.begun)
        certain = now() + lease - max(lease / 5, 0.2)
        await until(lambda: len(transport.spans) == 3, within=lease)
        assert all(end <= certain + SOON for _, _, end in transport.spans)
        assert not transport.ended
        store.faults.clear()
        transport._publish = sleeping(lease / 7)
        async with delivering(store, other, **options):
            await emptied(store)
    spans = sorted([*transport.spans, *other.spans])
    for (id, _, end), (next_id, begun, _) in itertools.pairwise(spans):
        assert id != next_id or begun >= end
    assert {*transport.ids, *other.ids} == {f"event-{number}" for number in range(10)}


@run_virtually
async def test_what_waits_does_not_start_while_renewals_fail() -> None:
    """Not even at a free slot, with time left on its lease."""
    store, transport = WakingStore(), Probed(sleeping(3))
    options: dict[str, Any] = {"stuck_duration": SECOND * 30, "max_in_flight": 1}
    async with delivering(store, transport, **options) as running:
        await running.schedule_many(messages(10))
        await asyncio.sleep(9)
        store.faults.append(down("renew"))
        await asyncio.sleep(1.5)  # the first renewal has failed
        begun = len(transport.begun)
        await asyncio.sleep(10)
        assert len(transport.begun) == begun == 4
        store.faults.clear()
        await emptied(store)
    assert len(transport.begun) == 10


@run_virtually
async def test_a_lease_is_certain_from_when_its_renewal_was_sent() -> None:
    """An answer that took long to come says nothing of the time it took."""
    store = WatchedStore()
    sent: list[float] = []

    async def slow(verb: str, done: bool) -> None:
        if verb == "renew":
            if not done:
                sent.append(now())
                if len(sent) > 2:
                    await asyncio.Event().wait()
            else:
                await asyncio.sleep(1)

    store.faults.append(slow)
    transport = Ledgered(sleeping(1000))
    options: dict[str, Any] = {"stuck_duration": SECOND * 5, "publish_timeout": LONG}
    async with delivering(store, transport, **options) as running:
        await running.schedule(message())
        await until(lambda: transport.spans, within=60)
        ((_, _, end),) = transport.spans
        assert sent[1] + 4 - 0.06 <= end <= sent[1] + 4 + SOON
        await running.stop(timedelta(0))


@run_virtually
async def test_when_a_lease_is_lost_nothing_of_it_is_published_any_more() -> None:
    """The store's clock jumps ahead, another scheduler takes over."""
    store, jump = WakingStore(), 0.0
    loop = asyncio.get_running_loop()
    store.inner = MemoryStore(clock=lambda: at(loop.time() + jump))
    transport, other = Ledgered(sleeping(1000)), Probed()
    options: dict[str, Any] = {"stuck_duration": SECOND * 3, "publish_timeout": LONG}
    witness = Witness()
    async with delivering(store, transport, max_in_flight=2, plugins=[witness], **options) as one:
        await one.schedule_many(messages(6))
        await until(lambda: transport.begun)
        jump = 100
        async with delivering(store, other, **options):
            await emptied(store)
            lost_at = now()
            await asyncio.sleep(1.1)
    assert max(end for _, _, end in transport.spans) <= lost_at + 1.1  # at the next renewal
    assert len(transport.begun) == 2
    assert sorted(other.ids) == sorted(f"event-{number}" for number in range(6))
    assert not witness.failed
    assert not witness.delivered


@run_virtually
async def test_one_cancelled_while_it_waits_in_hand_is_left_out_after_a_renewal() -> None:
    store, transport = WakingStore(), Probed(sleeping(5))
    options: dict[str, Any] = {"stuck_duration": SECOND * 3, "max_in_flight": 1}
    async with delivering(store, transport, **options) as running:
        await running.schedule_many([message(id=each, due=-1) for each in "abc"])
        await asyncio.sleep(1)
        assert await running.cancel("b") is Cancellation.TOO_LATE
        await running.schedule(message(id="c", due=20, created_at=at(1)), replace=True)
        await emptied(store)
    assert [(time, each.message_id) for time, each in transport.begun] == [(0, "a"), (20, "c")]


@run_virtually
async def test_what_is_cut_short_because_its_lease_ends_is_not_counted_but_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, transport, witness = WakingStore(), Probed(sleeping(5)), Witness()
    store.faults.append(down("renew"))
    options: dict[str, Any] = {"stuck_duration": SECOND * 3, "plugins": [witness]}
    async with delivering(store, transport, **options) as running:
        await running.schedule(message(id="x"))
        await asyncio.sleep(2.6)
        assert len(transport.begun) == 1
        assert transport.running == 0
        (released,) = (s for _, each in store.settles for s in each.exceptions.values())
        assert isinstance(released, Release)
        assert (await running.get("x")).retry_count == 0
        store.faults.clear()
        await emptied(store)
    assert not witness.failed
    assert "publishes_cut_short count=1" in caplog.text
