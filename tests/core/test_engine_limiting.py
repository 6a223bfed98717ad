"""Rates and parallelism that people set, for all schedulers together."""

import asyncio
import itertools
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from tests.core.controls_kit import (
    NotedStore,
    NotedStoreWithLines,
    begun,
    beside,
    most_in,
    put,
)
from tests.core.engine_kit import (
    ManyProbed,
    Probed,
    at,
    delivering,
    down,
    emptied,
    hanging,
    kill,
    message,
    messages,
    now,
    scheduler,
    sleeping,
    until,
)

from duly.memory import MemoryStore
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)


async def several(stack: AsyncExitStack, count: int, publish: Any, **options: Any) -> list[Any]:
    """So many schedulers at work on one store, each with a store object and a transport."""
    loop = asyncio.get_running_loop()
    inner = MemoryStore(clock=lambda: at(loop.time()))
    found = []
    for _ in range(count):
        store, published = NotedStoreWithLines(inner), Probed(publish)
        running = await stack.enter_async_context(delivering(store, published, **options))
        found.append((store, published, running))
    return found


@run_virtually
async def test_a_rate_holds_for_all_together() -> None:
    async with AsyncExitStack() as stack:
        all_of = await several(stack, 3, sleeping(0.01), max_in_flight=20)
        (store, _, _), published = all_of[0], [each[1] for each in all_of]
        await beside(store).limit("slow.*", rate=50)
        await asyncio.sleep(1.1)  # whoever asked before may go on for a second
        await put(store, [*messages(300, "slow.a"), *messages(300, "slow.b")])
        await put(store, [message("other", due=n / 10) for n in range(80)])
        await asyncio.sleep(3)
        all_of[1][0].faults.append(hanging())  # cut off from the store for a while
        await asyncio.sleep(3)
        all_of[1][0].faults.clear()
        await asyncio.sleep(3)
        times = sorted(begun("slow.a", *published) + begun("slow.b", *published))
        others = begun("other", *published)
        await beside(store).pause("*")
    for seconds in (1, 5, 9):
        assert most_in(times, seconds) <= 50 * seconds + 50
    assert len(times) >= 0.9 * 50 * 9, "none is wasted"
    assert len(others) >= 75, "it holds up no other"


@run_virtually
async def test_a_slow_rate_among_many() -> None:
    async with AsyncExitStack() as stack:
        all_of = await several(stack, 8, None)
        store, published = all_of[0][0], [each[1] for each in all_of]
        await beside(store).limit("a", rate=0.1)
        await asyncio.sleep(1.1)
        await put(store, messages(100, "a"))
        await asyncio.sleep(60)
        times = begun("a", *published)
        await beside(store).pause("*")
    assert 6 <= len(times) <= 7
    assert all(later - earlier > 9.9 for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize("slots", [2, 20])
@run_virtually
async def test_one_in_flight_of_all(slots: int) -> None:
    running = most = 0

    async def publish(_: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.5)
        running -= 1

    async with AsyncExitStack() as stack:
        all_of = await several(stack, 3, publish, max_in_flight=slots)
        store, published = all_of[0][0], [each[1] for each in all_of]
        await beside(store).limit("a", in_flight=1)
        await asyncio.sleep(1.1)
        await put(store, messages(50, "a"))
        await asyncio.sleep(40)
        assert most == 1
        assert len(begun("a", *published)) == 50


@run_virtually
async def test_what_a_killed_one_has_in_flight_counts_until_its_lease_has_ended() -> None:
    loop = asyncio.get_running_loop()
    inner = MemoryStore(clock=lambda: at(loop.time()))
    store, first, second = NotedStoreWithLines(inner), Probed(sleeping(100)), Probed(sleeping(1))
    await beside(store).limit("a", in_flight=1)
    await put(store, messages(2, "a"))
    doomed = scheduler(store, first, publish_timeout=200 * SECOND, stuck_duration=5 * SECOND)
    run = asyncio.create_task(doomed.start())
    await until(lambda: first.running)
    begun_at = now()
    async with delivering(NotedStoreWithLines(inner), second):
        await asyncio.sleep(1)
        store.faults.append(down())
        await kill(doomed)
        await asyncio.wait([run])
        await until(lambda: begun("a", second))
    assert 13 < begun("a", second)[0] - begun_at < 22


@run_virtually
async def test_at_its_end_a_scheduler_gives_back_what_it_leased() -> None:
    loop = asyncio.get_running_loop()
    inner = MemoryStore(clock=lambda: at(loop.time()))
    store, first, second = NotedStoreWithLines(inner), Probed(sleeping(1)), Probed(sleeping(1))
    await beside(store).limit("a", in_flight=1)
    await put(store, messages(9, "a"))
    async with delivering(store, first):
        await until(lambda: len(begun("a", first)) == 2)
    ended_at = now()
    async with delivering(NotedStoreWithLines(inner), second):
        await until(lambda: begun("a", second))
    assert begun("a", second)[0] - ended_at < 1


@run_virtually
async def test_parallelism_grows_and_shrinks_with_the_rule() -> None:
    store, published = NotedStoreWithLines(), Probed(sleeping(1))
    await put(store, messages(2000, "a"))
    client = beside(store)
    await client.limit("a", in_flight=3)
    async with delivering(store, published, max_in_flight=100):
        await asyncio.sleep(10)
        assert published.most == 3
        await client.limit("a", in_flight=8)
        await asyncio.sleep(5)
        assert published.running == 8
        await client.limit("a", in_flight=2)
        await asyncio.sleep(5)
        assert published.running == 2
        await client.limit("a")
        await asyncio.sleep(20)
        assert published.running > 8
        assert not await client.controls()
        await client.pause("a")


@run_virtually
async def test_a_rate_of_many_at_a_time() -> None:
    store, published = NotedStoreWithLines(), ManyProbed()
    await beside(store).limit("*", rate=1000)
    await put(store, messages(5000, "a"))
    async with delivering(store, published):
        await emptied(store)
    times = begun("a", published)
    assert most_in(times, 1) <= 2000
    assert times[-1] - times[0] >= 4


@run_virtually
async def test_on_a_store_without_sidings() -> None:
    store, published = NotedStore(), Probed()
    await beside(store).limit("a", rate=20)
    await put(store, [*messages(200, "a"), *messages(200, "b")])
    async with delivering(store, published):
        await emptied(store, within=300)
    assert most_in(begun("a", published), 1) <= 40
    assert begun("b", published)[-1] < 2


@run_virtually
async def test_what_has_expired_needs_no_permit() -> None:
    store, published = NotedStoreWithLines(), Probed()
    await beside(store).limit("a", rate=0.1)
    late = [message("a", due=-1, id=f"late-{n}", expires_at=at(3)) for n in range(50)]
    await put(store, [*late, message("a", due=4, id="good")])
    async with delivering(store, published, recovery=lambda _: None):
        await until(lambda: "good" in published.ids, within=60)
    assert published.ids[-1] == "good"
    assert len(published.ids) <= 8


@run_virtually
async def test_without_an_answer_to_its_draws_nothing_limited_begins() -> None:
    store, published = NotedStoreWithLines(), Probed()
    await beside(store).limit("a", rate=5)
    await put(store, [*messages(50, "a"), *messages(50, "b")])
    store.faults.append(down("write_note"))
    async with delivering(store, published):
        await asyncio.sleep(5)
        assert not begun("a", published)
        assert len(begun("b", published)) == 50
        store.faults.clear()
        await emptied(store)
