"""Waiting until a moment: never less long, exact where time is virtual, and others have turns."""

import asyncio

import pytest

from duly._engine.waiting import Alarm, wait
from duly.testing.clock import run_virtually


async def wait_precisely(event, seconds):
    return await Alarm().wait(event, seconds)


WAITS = [wait, wait_precisely]
SECONDS = [0.0, 0.0004, 0.001, 0.0037]


@pytest.mark.parametrize("waiting", WAITS)
@pytest.mark.parametrize("seconds", SECONDS)
async def test_never_less_long(waiting, seconds):
    clock = asyncio.get_running_loop().time
    for _ in range(5):
        before = clock()
        assert not await waiting(asyncio.Event(), seconds)
        assert clock() >= before + seconds - 1e-9  # what event loops take for the same moment


@run_virtually
async def test_exact_where_time_stands_still_meanwhile():
    clock = asyncio.get_running_loop().time
    for waiting in WAITS:
        for seconds in SECONDS:
            before = clock()
            assert not await waiting(asyncio.Event(), seconds)
            assert clock() - before == pytest.approx(seconds, abs=1e-9)


@pytest.mark.parametrize("waiting", WAITS)
@pytest.mark.parametrize("delay", [0, 0.0005, 0.002])
async def test_the_event_ends_it(waiting, delay):
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(delay, event.set)
    async with asyncio.timeout(10):
        assert await waiting(event, 3600 if delay > 0.001 else 0.9 + delay)


@pytest.mark.parametrize("waiting", WAITS)
async def test_an_event_that_was_set_before(waiting):
    event = asyncio.Event()
    event.set()
    assert await waiting(event, 3600)


async def test_others_have_their_turns_in_the_last_millisecond():
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    for _ in range(50):  # a busy machine may let a whole millisecond pass in one turn
        turns = 0
        await wait_precisely(asyncio.Event(), 0.0009)
        if turns > 1:
            break
    task.cancel()
    assert turns > 1


async def test_moments_that_crowd_each_other_are_left_to_timers():
    alarm, turns = Alarm(), 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.0001)

    assert not await alarm.wait(asyncio.Event(), 0.0009)
    task = asyncio.create_task(other())
    loop = asyncio.get_running_loop()
    before = loop.time()
    assert not await alarm.wait(asyncio.Event(), 0.0009)
    assert loop.time() >= before + 0.0009 - 1e-9
    task.cancel()
    # Nobody spins, and a timer is rounded up to a millisecond; a busy machine lets more time pass.
    assert turns < 5 + (loop.time() - before) / 0.0001
