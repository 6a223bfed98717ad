"""Stores of one process on one file take turns, so that none of them is passed over."""

import asyncio
import itertools
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.servers.finding import lacking

from duly import Message, StoreUnavailable, after
from duly.store import Group
from duly_sqlite import SQLiteStore, turns
from duly_sqlite.connection import PATIENCE, Call
from duly_sqlite.turns import Turns, turns_on


def waiting(turns: Turns) -> int:
    return len(turns._waiting)


def until(condition: Callable[[], object]) -> None:
    for _ in range(1000):
        if condition():
            return
        threading.Event().wait(0.01)
    pytest.fail("it did not happen")


class Threads:
    """Each takes a turn when it is its turn, and notes it."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.order: list[int] = []
        self.errors: list[Exception] = []
        self.threads: list[threading.Thread] = []

    def start(self, call: Call) -> None:
        number = len(self.threads)

        def run() -> None:
            try:
                with self.turns.taken(call):
                    self.order.append(number)
            except StoreUnavailable as error:
                self.errors.append(error)

        thread = threading.Thread(target=run)
        self.threads.append(thread)
        before = waiting(self.turns)
        thread.start()
        until(lambda: waiting(self.turns) > before or not thread.is_alive())

    def join(self) -> None:
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()


def test_first_come_first_served() -> None:
    turns = Turns()
    threads = Threads(turns)
    with turns.taken(Call()):
        for _ in range(8):
            threads.start(Call())
        assert threads.order == []
    threads.join()
    assert threads.order == [*range(8)]
    with turns.taken(Call()):
        assert waiting(turns) == 0


def test_one_that_fails_makes_way() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="broken"), turns.taken(Call()):
        raise ValueError("broken")
    with turns.taken(Call()):
        pass


def test_whose_caller_has_gone_waits_no_longer_and_makes_way() -> None:
    turns = Turns()
    threads = Threads(turns)
    gone = Call()
    with turns.taken(Call()):
        threads.start(gone)
        threads.start(Call())
        gone.abandoned = True
        until(lambda: threads.errors)
        assert "given up by the caller" in str(threads.errors[0])
    threads.join()
    assert threads.order == [1]


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 0.1)
    taken = Turns()
    threads = Threads(taken)
    with taken.taken(Call()):
        threads.start(Call())
        until(lambda: threads.errors)
    assert "keep the file busy" in str(threads.errors[0])
    assert (threads.order, waiting(taken)) == ([], 0)


class Clock:
    """Stands still until it is turned; counts who looks at it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.looks = 0

    def monotonic(self) -> float:
        self.looks += 1
        return self.now


def test_a_queue_that_moves_is_waited_in(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(turns, "time", clock)
    queue, held, go_on = Turns(), threading.Event(), threading.Event()
    threads = Threads(queue)

    def hold() -> None:
        with queue.taken(Call()):
            held.set()
            go_on.wait(30)

    first = threading.Thread(target=hold)
    with queue.taken(Call()):
        first.start()
        until(lambda: waiting(queue))
        threads.start(Call())  # waits from 0 on, as the last
        clock.now = PATIENCE - 1
    until(held.is_set)
    clock.now = PATIENCE + 1
    looks = clock.looks
    until(lambda: clock.looks > looks + 2)
    assert not threads.errors
    clock.now = 2 * PATIENCE
    until(lambda: threads.errors)
    go_on.set()
    first.join(10)


def test_a_file_has_one_queue_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "a.db")
    stores = [SQLiteStore(tmp_path / name) for name in ("a.db", "link.db", "b.db")]
    queues = [store._writer._turns for store in stores]
    assert queues[0] is queues[1]
    assert queues[0] is not queues[2]


async def test_many_stores_write_in_turn(tmp_path: Path) -> None:
    stores = [SQLiteStore(tmp_path / "a.db") for _ in range(8)]
    order: list[int] = []

    async def write(number: int) -> None:
        for each in range(20):
            message = Message("event", id=f"{number}-{each}", scheduled_at=after(hours=1))
            assert await stores[number].put([Group([message])]) == [None]
            order.append(number)

    for store in stores:
        await store.open()
    await asyncio.gather(*map(write, range(8)))
    assert (await stores[0].stats()).scheduled == 160
    passed = [list(group) for _, group in itertools.groupby(order)]
    assert max(map(len, passed)) < 10, "nobody writes again and again while others wait"
    for store in stores:
        await store.close()


def test_who_was_forked_off_does_not_wait_for_threads_of_the_parent(tmp_path: Path) -> None:
    if not hasattr(os, "fork"):
        lacking("fork", "this system has none")
    mine = turns_on("a file")
    with mine.taken(Call()):
        child = os.fork()
        if not child:  # pragma: no cover  # in the child
            with turns_on("a file").taken(Call()):
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
