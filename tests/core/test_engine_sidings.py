"""Names that find no slot stand aside in the store, where it has sidings for them."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    at,
    delivering,
    emptied,
    message,
    messages,
    now,
    sleeping,
    until,
)

from duly import Envelope, Every, Message
from duly._engine import sidings
from duly._engine.lane import Lane
from duly._engine.sidings import HeldBack
from duly.health import Status
from duly.store import PAUSED, Batch, Group, Rooms
from duly.testing.clock import run_virtually
from duly.transport import Limits

SECOND = timedelta(seconds=1)


class LinedStore(WakingStore):
    """A store with sidings; notes what each claim was told, and what it brought and moved."""

    lines = True

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Mapping[str, int]] = []
        self.moved = 0
        self.brought = 0

    async def claim(self, **more: Any) -> Batch:
        self.told.append(more.get("most", {}))
        batch = await super().claim(**more)
        self.moved += batch.moved
        self.brought += len(batch.claims)
        return batch

    async def aside(self) -> int:
        return (await self.inner.stats()).aside


class UnmarkedStore(LinedStore):
    """One of an older version, which moves nothing aside until it is marked."""

    async def claim(self, **more: Any) -> Batch:
        most = more.pop("most", {})
        self.told.append(most)
        batch = await WakingStore.claim(self, **more)
        self.brought += len(batch.claims)
        return batch


class Narrow(Probed):
    """A transport with limits."""

    def __init__(self, limits: Limits, publish: Any = None) -> None:
        super().__init__(publish)
        self._limits = limits

    def limits(self) -> Limits:
        return self._limits


async def put(store: WakingStore, messages: Sequence[Message]) -> None:
    outcomes = await store.put([Group([each]) for each in messages])
    assert list(outcomes) == [None] * len(messages)


def slow(seconds: float) -> Any:
    """A publish that is slow for names that begin so."""

    async def publish(envelope: Envelope) -> None:
        if envelope.event_name.startswith("slow"):
            await asyncio.sleep(seconds)

    return publish


def lateness(transport: Probed, name: str) -> list[float]:
    return [
        time - (envelope.scheduled_at - at(0)).total_seconds()
        for time, envelope in transport.begun
        if envelope.event_name == name
    ]


@pytest.mark.parametrize("names", [1, 4, 100])
@run_virtually
async def test_others_flow_beside_a_backlog_of_slow_names(names: int) -> None:
    store, transport = LinedStore(), Probed(slow(10))
    backlog = [each for n in range(names) for each in messages(5000 // names, f"slow.{n}")]
    await put(store, backlog)
    await put(store, [message("urgent", due=2 + n / 10) for n in range(50)])
    async with delivering(store, transport, max_in_flight=40, publish_timeout=60 * SECOND):
        await until(lambda: len(lateness(transport, "urgent")) == 50, within=60)
    late = sorted(lateness(transport, "urgent"))
    assert late[0] >= 0
    # What nobody has run yet may be quick: of a hundred names, forty are tried at a time.
    assert late[-1] <= (30.1 if names > 40 else 10.1), "it waits for the next free slot at most"
    assert names > 1 or late[-1] < 0.01, "one name leaves slots for others"
    assert store.moved >= 5000 - 2 * 40 - 100


@run_virtually
async def test_names_that_flow_are_told_nothing_of() -> None:
    store, transport = LinedStore(), Probed(sleeping(0.005))
    await put(store, [*messages(1500, "a"), *messages(1500, "b")])
    async with delivering(store, transport):
        await emptied(store)
    assert not any(store.told)
    assert not store.moved


@run_virtually
async def test_what_stands_aside_is_delivered_in_order_and_once() -> None:
    store, transport = LinedStore(), Narrow(Limits(by_name={"slow": 4}), slow(0.1))
    await put(store, messages(600, "slow"))
    async with delivering(store, transport, max_in_flight=40):
        await until(lambda: store.moved > 300)
        assert await store.aside() > 300
        await emptied(store, within=300)
    assert transport.most == 4
    order = [int(envelope.message_id.removeprefix("slow-")) for _, envelope in transport.begun]
    assert sorted(order) == list(range(600))
    # But for what was claimed and put back, before anybody knew that there was no slot for it.
    never_in_hand = [number for number in order if number >= 40 + 100]
    assert never_in_hand == sorted(never_in_hand)
    assert now() < 16, "its slots are never idle: 600 of 0.1 s on 4 of them"


@run_virtually
async def test_a_message_is_claimed_little_more_than_once() -> None:
    store, transport = LinedStore(), Probed(slow(0.2))
    await put(store, messages(20_000, "slow"))
    await put(store, [message("urgent", due=n / 10) for n in range(100)])
    async with delivering(store, transport, max_in_flight=1000):
        await until(lambda: len(transport.ended) == 20_100, within=100)
    assert store.brought < 1.3 * 20_100
    assert store.moved < 1.3 * 20_100


@run_virtually
async def test_names_under_a_prefix_share_their_number() -> None:
    limits = Limits(by_name={"slow.*": 3, "slow.but.quick": 100})
    store, transport = LinedStore(), Narrow(limits, slow(1))
    await put(store, [each for n in range(300) for each in messages(5, f"slow.{n}")])
    await put(store, [message("slow.but.quick", due=2 + n / 10) for n in range(20)])
    async with delivering(store, transport):
        await until(lambda: len(lateness(transport, "slow.but.quick")) == 20, within=60)
        told = store.told[-1]
    assert max(lateness(transport, "slow.but.quick")) < 0.05
    assert [key for key in told if key.endswith("*")] == ["slow.*"]
    assert store.moved > 1000


@run_virtually
async def test_a_fire_that_was_in_time_is_not_missed_although_its_name_is_slow() -> None:
    store, transport = LinedStore(), Narrow(Limits(by_name={"slow": 2}), slow(1))
    await put(store, messages(500, "slow"))
    every = Every(3600 * SECOND, grace=SECOND, missed="skip")
    await put(store, [Message("slow", id="series", scheduled_at=at(5), recurrence=every)])
    async with delivering(store, transport):
        await until(lambda: any(e.message_id == "series" for _, e in transport.begun), within=300)
    (fire,) = [e.scheduled_at for _, e in transport.begun if e.message_id == "series"]
    assert fire == at(5)


@run_virtually
async def test_a_name_that_hangs_gets_its_turn_when_it_is_well_again() -> None:
    well = asyncio.Event()

    async def publish(envelope: Envelope) -> None:
        if envelope.event_name == "sick":
            await well.wait()

    store, transport = LinedStore(), Probed(publish)
    await put(store, messages(400, "sick"))
    async with delivering(store, transport, max_in_flight=8, publish_timeout=3600 * SECOND):
        await asyncio.sleep(60)
        assert await store.aside() > 300
        well.set()
        await until(lambda: len(transport.ended) == 400, within=60)
        await emptied(store)
    assert Counter(e.message_id for _, e in transport.ended).most_common(1)[0][1] == 1


@run_virtually
async def test_the_limit_of_a_name_may_grow() -> None:
    store, transport = LinedStore(), Narrow(Limits(by_name={"slow": 1}), slow(1))
    await put(store, messages(500, "slow"))
    async with delivering(store, transport):
        await until(lambda: store.moved > 300)
        transport._limits = Limits()
        begun = now()
        await until(lambda: len(transport.ended) == 500, within=60)
    assert now() - begun < 10


@run_virtually
async def test_a_store_that_is_not_marked_puts_back_as_one_without_lines() -> None:
    store, transport = UnmarkedStore(), Probed(slow(10))
    await put(store, messages(3000, "slow"))
    await put(store, [message("urgent", due=2 + n) for n in range(10)])
    async with delivering(store, transport, max_in_flight=40, publish_timeout=60 * SECOND):
        await until(lambda: len(lateness(transport, "urgent")) == 10, within=60)
        claims = store.count("claim")
        await asyncio.sleep(10)
        assert store.count("claim") - claims < 3000, "it does not claim the same again at once"


@run_virtually
async def test_two_schedulers_share_what_stands_aside() -> None:
    store, transport = LinedStore(), Narrow(Limits(by_name={"slow": 4}), slow(0.1))
    await put(store, messages(600, "slow"))
    async with delivering(store, transport), delivering(store, transport):
        await emptied(store, within=300)
    assert Counter(e.message_id for _, e in transport.ended) == dict.fromkeys(
        [f"slow-{number}" for number in range(600)], 1
    )
    assert now() < 10


@run_virtually
async def test_with_few_slots_nothing_is_held_back() -> None:
    store, transport = LinedStore(), Probed(slow(1))
    await put(store, messages(50, "slow"))
    async with delivering(store, transport, max_in_flight=3):
        await emptied(store)
    assert not any(store.told)


@run_virtually
async def test_health_tells_what_stands_aside_for_long() -> None:
    store, transport = LinedStore(), Probed(slow(600))
    await put(store, messages(500, "slow"))
    async with delivering(store, transport, max_in_flight=8, publish_timeout=3600 * SECOND) as it:
        await asyncio.sleep(120)
        health = await it.health()
        assert health.status is Status.DEGRADED
        assert "messages of 'slow' stand aside, the oldest for 121 s" in health.reason
        assert health.details["aside"] > 300


@pytest.mark.parametrize("others", [50, 990])
def test_a_claim_is_never_told_of_more_keys_than_it_takes(others: int) -> None:
    limits = Limits(by_name={"slow.*": 1, **{f"slow.but.{n}": 9 for n in range(others)}})
    held_back: HeldBack[Any] = HeldBack(limits, 100)
    held_back.able = True
    for name in ["slow.one", *(f"own.{n}" for n in range(900))]:
        held_back.add(Lane(name, 1, 0.0))
    most = held_back.most(4, 50, 10, 0.0)
    Rooms(most)  # it would refuse more
    assert ("slow.*" in most) == ("slow.but.0" in most) == (others == 50)


def test_more_slow_names_than_a_claim_is_told_of_hide_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sidings, "_NAMES", 5)

    @run_virtually
    async def others_come() -> None:
        store, transport = LinedStore(), Probed(slow(10))
        await put(store, [message(f"slow.{n % 30}", id=f"m{n:04}") for n in range(600)])
        await put(store, [message("urgent", due=1, id="urgent")])
        async with delivering(store, transport, max_in_flight=8, publish_timeout=60 * SECOND):
            await until(lambda: bool(lateness(transport, "urgent")), within=60)
        assert lateness(transport, "urgent")[0] < 10, "it does not wait for all slow names"

    others_come()


@pytest.mark.parametrize("aside", [True, False])
def test_who_runs_low_while_a_claim_is_under_way_is_not_forgotten(aside: bool) -> None:
    held_back: HeldBack[Any] = HeldBack(Limits(), 100)
    held_back.able = True
    lane: Lane[Any] = Lane("slow", 1, 0.0)
    held_back.add(lane)
    woken: list[bool] = []
    held_back.wake = lambda: woken.append(True)
    most = held_back.most(0, 0, 1, 0.0)
    held_back.ran_low(lane)
    assert not woken  # nothing stands aside yet
    held_back.heard(most, Batch(token=None, claims=(), now=at(0), moved=9, aside=aside))
    assert len(woken) == aside
    held_back.heard(
        held_back.most(0, 0, 1, 0.0), Batch(token=None, claims=(), now=at(0), aside=True)
    )
    assert len(woken) == aside  # that claim knew of it


def test_paused_is_less_than_none() -> None:
    assert PAUSED < 0
