"""The clocks of ``duly.testing``: one to turn by hand, and a loop whose time jumps."""

import asyncio
import inspect
import socket
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from duly.errors import InvalidArgument
from duly.testing.clock import START, HandClock, VirtualTimeLoop, run_virtually, virtual_clock

MICROSECOND = timedelta(microseconds=1)
YEAR = timedelta(days=365)


def test_a_hand_clock_stands_still_until_it_is_turned() -> None:
    clock = HandClock()
    assert clock() == clock() == START
    assert clock.advance(MICROSECOND) == START + MICROSECOND
    assert clock.advance(timedelta(hours=1), minutes=2, microseconds=-1) == clock()
    assert clock() == START + timedelta(hours=1, minutes=2)


def test_a_hand_clock_is_set_to_any_moment_and_tells_it_in_utc() -> None:
    clock = HandClock(datetime(2031, 7, 1, 12, tzinfo=timezone(timedelta(hours=2))))
    assert clock() == datetime(2031, 7, 1, 10, tzinfo=UTC)
    assert clock().tzinfo is UTC
    clock.set(START - YEAR)
    assert clock() == START - YEAR


def test_a_hand_clock_refuses_a_naive_moment() -> None:
    naive = START.replace(tzinfo=None)
    with pytest.raises(InvalidArgument, match="naive"):
        HandClock(naive)
    with pytest.raises(InvalidArgument, match="naive"):
        HandClock().set(naive)


@run_virtually
async def test_a_year_passes_at_once_and_exactly() -> None:
    loop = asyncio.get_running_loop()
    clock = virtual_clock(loop)
    await asyncio.sleep(YEAR.total_seconds())
    assert clock() == START + YEAR
    await asyncio.sleep(0.000001)
    assert clock() == START + YEAR + MICROSECOND
    assert loop.time() == (YEAR + MICROSECOND).total_seconds()


@run_virtually
async def test_sums_of_seconds_do_not_drift() -> None:
    clock = virtual_clock(asyncio.get_running_loop())
    for _ in range(1000):
        await asyncio.sleep(0.1)
    assert clock() == START + timedelta(seconds=100)


@run_virtually
async def test_timers_go_off_in_their_order() -> None:
    loop = asyncio.get_running_loop()
    heard: list[tuple[float, float]] = []

    async def wait(seconds: float) -> None:
        await asyncio.sleep(seconds)
        heard.append((seconds, loop.time()))

    await asyncio.gather(*(wait(seconds) for seconds in (3, 0.25, 86_400 * 3, 0.5, 3)))
    assert heard == [(each, each) for each in (0.25, 0.5, 3, 3, 86_400 * 3)]


@run_virtually
async def test_time_stands_still_while_tasks_run() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(1000):
        await asyncio.sleep(0)
    assert loop.time() == 0


@run_virtually
async def test_a_timeout_needs_no_waiting() -> None:
    started = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3600):
            await asyncio.Event().wait()
    assert asyncio.get_running_loop().time() - started == 3600


@run_virtually
async def test_time_does_not_run_away_from_a_thread_at_work() -> None:
    loop = asyncio.get_running_loop()
    go_on = threading.Event()

    def work_slowly() -> bool:
        told = go_on.wait()
        time.sleep(0.01)
        return told

    work = asyncio.create_task(asyncio.to_thread(work_slowly))
    ticks = 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            while True:
                await asyncio.sleep(0.005)
                ticks += 1
    assert ticks <= 4
    assert loop.time() == pytest.approx(0.02)
    go_on.set()
    async with asyncio.timeout(3600):
        assert await work
    assert loop.time() == pytest.approx(0.02)
    await asyncio.sleep(3600)  # ... and jumps again


@run_virtually
async def test_a_thread_that_only_waits_for_a_timer_gets_it() -> None:
    loop = asyncio.get_running_loop()

    def ask() -> float:
        return asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01, 1.5), loop).result()

    assert await loop.run_in_executor(None, ask) == 1.5


@run_virtually
async def test_a_thread_that_keeps_calling_does_not_hold_up_the_timers() -> None:
    loop = asyncio.get_running_loop()
    done = threading.Event()

    def call() -> None:
        while not done.wait(0.002):
            loop.call_soon_threadsafe(lambda: None)

    work = loop.run_in_executor(None, call)
    await asyncio.sleep(0.02)
    done.set()
    await work


@run_virtually
async def test_a_socket_is_waited_for() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    timer = threading.Timer(0.02, theirs.sendall, [b"hello\n"])
    timer.start()
    async with asyncio.timeout(10):
        assert await reader.readline() == b"hello\n"
    writer.close()
    await writer.wait_closed()
    theirs.close()
    timer.join()


@run_virtually
async def test_a_thread_nobody_told_of_is_given_a_moment() -> None:
    loop = asyncio.get_running_loop()
    heard = loop.create_future()
    timer = threading.Timer(0.02, loop.call_soon_threadsafe, [heard.set_result, "heard"])
    timer.start()
    assert await heard == "heard"
    timer.join()


@run_virtually
async def test_what_is_announced_is_waited_for_though_there_are_timers() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    heard = loop.create_future()
    timer = threading.Timer(0.02, loop.call_soon_threadsafe, [heard.set_result, "heard"])
    timer.start()
    async with asyncio.timeout(10):
        with loop.outside():
            assert await heard == "heard"
    timer.join()


def test_who_would_wait_forever_is_told_so() -> None:
    @run_virtually
    async def stuck() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.Event().wait())
            await asyncio.sleep(5)

    with pytest.raises(RuntimeError, match=r"wait forever: .*Event\.wait"):
        stuck()


def test_an_error_in_a_test_comes_out() -> None:
    @run_virtually
    async def fails() -> None:
        await asyncio.sleep(3600)
        raise KeyError("this one")

    with pytest.raises(KeyError, match="this one"):
        fails()


@pytest.mark.parametrize("number", [1, 2])
@run_virtually
async def test_fixtures_and_parameters_reach_the_test(tmp_path: Path, number: int) -> None:
    await asyncio.sleep(number)
    assert tmp_path.name.startswith("test_fixtures")
    assert asyncio.get_running_loop().time() == number


def test_what_is_decorated_is_no_coroutine_function() -> None:
    assert not inspect.iscoroutinefunction(test_sums_of_seconds_do_not_drift)


def test_a_virtual_clock_follows_any_loop() -> None:
    async def main() -> None:
        clock = virtual_clock(asyncio.get_running_loop(), START + YEAR)
        first = clock()
        await asyncio.to_thread(time.sleep, 0.001)
        assert START + YEAR <= first < clock() < START + YEAR + timedelta(minutes=1)

    asyncio.run(main())
