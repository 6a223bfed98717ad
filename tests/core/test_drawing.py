"""Permits of stores that answer slowly, of several rules at once, and of rules that come and go."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.core.controls_kit import NotedStoreWithLines, begun, beside, most_in, put
from tests.core.engine_kit import (
    Probed,
    at,
    delivering,
    hanging,
    message,
    messages,
    now,
    scheduler,
    sleeping,
    until,
)

from duly.memory import MemoryStore
from duly.store import Note
from duly.testing.clock import run_virtually


def far(seconds: float, *verbs: str) -> Callable[[str, bool], Awaitable[None]]:
    """A fault: what these verbs ask, or all, takes so long to the store, and as long back."""

    async def fault(verb: str, done: bool) -> None:
        if not verbs or verb in verbs:
            await asyncio.sleep(seconds)

    return fault


def shared() -> MemoryStore:
    """What several store objects stand upon."""
    loop = asyncio.get_running_loop()
    return MemoryStore(clock=lambda: at(loop.time()))


async def note_of(store: NotedStoreWithLines, name: str) -> Note | None:
    return await store._memory.read_note(name)


@pytest.mark.parametrize(("rate", "seconds"), [(0.5, 0.2), (1.0, 0.2), (1.0, 0.4), (20.0, 0.2)])
@run_virtually
async def test_a_rate_is_kept_up_on_a_store_that_is_far_away(rate: float, seconds: float) -> None:
    store, published = NotedStoreWithLines(), Probed()
    await beside(store).limit("a", rate=rate)
    await put(store, messages(300, "a"))
    store.faults.append(far(seconds / 2))
    async with delivering(store, published):
        await asyncio.sleep(30)
        times = begun("a", published)
        await beside(store).pause("*")
    assert most_in(times, 30) <= 30 * rate + max(1, rate)
    assert len(times) >= 0.4 * 30 * rate


@run_virtually
async def test_what_is_given_back_is_not_used_while_the_store_hears_of_it() -> None:
    store, published = NotedStoreWithLines(), Probed(sleeping(5))
    await beside(store).limit("a", in_flight=4)
    await put(store, messages(4, "a"))
    async with delivering(store, published, max_in_flight=16):
        await until(lambda: published.running == 4)
        store.faults.append(far(0.5, "write_note"))
        await until(lambda: not published.running)
        await asyncio.sleep(0.3)
        await put(store, [message("a", due=now(), id=f"late-{n}") for n in range(4)])
        for _ in range(20):
            note = await note_of(store, "permits/in_flight/a")
            held = 0 if note is None else sum(each[0] for each in json.loads(note.value).values())
            assert published.running <= held
            await asyncio.sleep(0.1)
        await until(lambda: len(published.ids) == 8)


@run_virtually
async def test_names_that_wait_under_one_limit_hold_up_no_other() -> None:
    store, published = NotedStoreWithLines(), Probed(sleeping(0.2))
    await beside(store).limit("a.*", in_flight=2)
    await put(store, [each for n in range(1100) for each in messages(1, f"a.{n}")])
    await put(store, messages(50, "b", due=0.0))
    async with delivering(store, published, max_in_flight=20):
        await asyncio.sleep(4)
        assert len(begun("b", published)) == 50
        assert 30 <= len(published.begun) - 50 <= 42
        assert store.count("claim") <= 4 * 60
        await beside(store).pause("*")


@run_virtually
async def test_a_rule_is_fed_while_many_others_are_there() -> None:
    store, published = NotedStoreWithLines(), Probed()
    names = [f"n{n}" for n in range(60)]
    for name in names:
        await beside(store).limit(name, rate=10)
    await put(store, [each for name in names for each in messages(80, name)])
    store.faults.append(far(0.002, "read_note", "write_note"))
    async with delivering(store, published, max_in_flight=100, batch_size=500):
        await asyncio.sleep(2)
        since = now()
        await asyncio.sleep(5)
        counts = [len(begun(name, published, since=since)) for name in names]
        await beside(store).pause("*")
    assert min(counts) >= 40


@run_virtually
async def test_few_slots_lease_no_more_than_they_can_use() -> None:
    inner = shared()
    async with AsyncExitStack() as stack:
        stores = [NotedStoreWithLines(inner) for _ in range(4)]
        transports = [Probed(sleeping(1.0)) for _ in stores]
        await beside(stores[0]).limit("a", in_flight=8)
        for store, transport in zip(stores, transports, strict=True):
            await stack.enter_async_context(delivering(store, transport, max_in_flight=2))
        await put(stores[0], messages(300, "a"))
        await asyncio.sleep(10)
        assert {transport.most for transport in transports} == {2}
        assert len(begun("a", *transports)) >= 0.8 * 10 * 8, "nor is it left to some"
        await beside(stores[0]).pause("*")


@run_virtually
async def test_who_may_have_none_in_flight_draws_no_rate() -> None:
    inner = shared()
    async with AsyncExitStack() as stack:
        stores = [NotedStoreWithLines(inner) for _ in range(3)]
        transports = [Probed(sleeping(0.1)) for _ in stores]
        await beside(stores[0]).limit("a", in_flight=1, rate=1)
        for store, transport in zip(stores, transports, strict=True):
            await stack.enter_async_context(delivering(store, transport, max_in_flight=4))
        await put(stores[0], messages(300, "a"))
        await asyncio.sleep(30)
        assert len(begun("a", *transports)) >= 27
        await beside(stores[0]).pause("*")


@run_virtually
async def test_a_limit_that_comes_back_at_once_holds() -> None:
    running = most = 0

    async def publish(_: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.2)
        running -= 1

    inner = shared()
    async with AsyncExitStack() as stack:
        stores = [NotedStoreWithLines(inner) for _ in range(3)]
        client = beside(stores[0])
        await client.limit("a", in_flight=1)
        for store in stores:
            await stack.enter_async_context(delivering(store, Probed(publish), max_in_flight=8))
        await put(stores[0], messages(300, "a"))
        for _ in range(20):
            await asyncio.sleep(0.99)
            await client.limit("a")
            await client.limit("a", in_flight=1)
        assert most == 1
        await client.pause("*")


@run_virtually
async def test_nothing_is_left_of_a_limit_that_was_taken_off() -> None:
    store, published = NotedStoreWithLines(), Probed(sleeping(0.1))
    client = beside(store)
    await client.limit("b", rate=5, in_flight=2)
    await client.limit("a", rate=5, in_flight=2)
    await put(store, [*messages(300, "a"), *messages(50, "b")])
    async with delivering(store, published):
        await asyncio.sleep(5)
        assert len(await store._memory.notes("permits/")) == 4
        await client.limit("a", rate=7)
        await asyncio.sleep(1)
        await client.limit("a")
        await asyncio.sleep(20)
        await client.limit("b")
        await asyncio.sleep(5)
    await asyncio.sleep(20)
    await client.limit("c", rate=1)
    assert not await store._memory.notes("permits/")


@run_virtually
async def test_a_note_that_nobody_can_read_stops_no_other_rule() -> None:
    store, published = NotedStoreWithLines(), Probed()
    client = beside(store)
    await client.limit("a", rate=5)
    await client.limit("b", rate=20)
    await store._memory.write_note("permits/rate/a", b"[]", None)
    await put(store, [*messages(300, "a"), *messages(300, "b")])
    async with delivering(store, published):
        await asyncio.sleep(10)
        assert len(begun("b", published)) >= 180
        assert not begun("a", published)
        await client.pause("*")


@run_virtually
async def test_its_end_is_soon_though_the_store_does_not_answer() -> None:
    store, published = NotedStoreWithLines(), Probed(sleeping(0.5))
    names = [f"n{n}" for n in range(30)]
    for name in names:
        await beside(store).limit(name, in_flight=1)
    await put(store, [each for name in names for each in messages(2, name)])
    running = scheduler(store, published, max_in_flight=60)
    run = asyncio.create_task(running.start())
    await until(lambda: len(published.begun) >= 30)
    store.faults.append(hanging("write_note", "read_note"))
    asked = now()
    await running.stop()
    await run
    assert now() - asked < 6


@run_virtually
async def test_what_waits_for_a_permit_is_put_back_though_other_rules_change_all_the_time() -> None:
    inner = shared()
    store, other = NotedStoreWithLines(inner), NotedStoreWithLines(inner)
    first, second = Probed(sleeping(0.5)), Probed(sleeping(0.5))
    client = beside(store)
    await client.limit("a", in_flight=1)
    await put(store, messages(60, "a"))
    async with delivering(store, first):
        await until(lambda: first.running)
        async with delivering(other, second):
            for n in range(60):
                await client.limit("b", rate=n + 1)
                await asyncio.sleep(0.5)
            done = {*first.ids, *second.ids}
            await client.pause("*")
    assert {f"a-{n}" for n in range(40)} <= done, "none of the oldest is kept by who may not begin"


@run_virtually
async def test_after_a_slow_rate_a_quicker_one_holds_within_two_seconds() -> None:
    store, published = NotedStoreWithLines(), Probed()
    await beside(store).limit("a", rate=0.01)
    await put(store, messages(200, "a"))
    async with delivering(store, published):
        await until(lambda: len(published.ids) == 1)
        await asyncio.sleep(5)
        await beside(store).limit("a", rate=10)
        await asyncio.sleep(12)
        assert 80 <= len(published.ids) <= 130


@pytest.mark.parametrize("slots", [2, 3, 4])
@run_virtually
async def test_what_runs_when_a_limit_comes_counts_though_there_are_few_slots(slots: int) -> None:
    store, running, most = NotedStoreWithLines(), set[str](), 0

    async def publish(envelope: Any) -> None:
        nonlocal most
        running.add(envelope.message_id)
        if now() > 2:
            most = max(most, len(running))
        await asyncio.sleep(10 if int(envelope.message_id[-1]) % 2 else 3)
        running.discard(envelope.message_id)

    published = Probed(publish)
    await put(store, messages(30, "a"))
    async with delivering(store, published, max_in_flight=slots):
        await asyncio.sleep(1)
        await beside(store).limit("a", in_flight=1)
        await asyncio.sleep(30)
        assert most == 1, "of those that began more than a second later"
        assert len(published.begun) >= slots + 2
        await beside(store).pause("*")
