"""Loops, threads and processes: who may call, from where, and what the others are told."""

import asyncio
import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.servers.finding import lacking

import duly
import duly.sync
from duly import MemoryStore, Message, SchedulerStateError
from duly._caller.any_loop_lock import AnyLoopLock

URLS = ["memory://", "sqlite:///"]


def later(id: str | None = None) -> Message:
    return Message("event", scheduled_at=duly.after(hours=1), id=id)


def of(url: str, tmp_path: Path) -> str:
    return url if url == "memory://" else f"{url}/{tmp_path}/orders.db"


def in_threads(*mains: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Run each in an event loop of its own, at the same time."""
    errors: list[BaseException] = []

    def run(main: Callable[[], Coroutine[Any, Any, object]]) -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(main,), daemon=True) for main in mains]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads), "one hangs"
    if errors:
        raise errors[0]


class TestLoops:
    @pytest.mark.parametrize("url", URLS)
    def test_several_at_a_time_on_one_client(self, url, tmp_path):
        client = duly.Client(of(url, tmp_path), load_plugins=["sqlite"])

        def work(name: str):
            async def main() -> None:
                for number in range(20):
                    await asyncio.gather(
                        *(client.schedule(later(f"{name}{number}-{each}")) for each in range(3))
                    )

            return main

        in_threads(*(work(name) for name in "abc"))
        assert asyncio.run(client.stats()).scheduled == 180
        asyncio.run(client.close())

    def test_one_after_another_after_contention(self):
        class Down(MemoryStore):
            any_loop = False

            async def open(self):
                await asyncio.sleep(0.01)
                raise duly.StoreUnavailable("connection refused")

        client = duly.Client(Down(), load_plugins=False)

        async def main() -> None:
            calls = (client.schedule(later()) for _ in range(3))
            for outcome in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(outcome, duly.StoreUnavailable)

        asyncio.run(main())
        asyncio.run(main())

    def test_the_second_to_open_a_store_with_connections_is_refused(self):
        entered, opened = threading.Event(), threading.Event()

        class Connected(MemoryStore):
            any_loop = False

            async def open(self):
                entered.set()
                await asyncio.to_thread(opened.wait, 30)

        client = duly.Client(Connected(), load_plugins=False)

        async def second() -> None:
            await asyncio.to_thread(entered.wait, 30)
            asyncio.get_running_loop().call_later(0.05, opened.set)
            with pytest.raises(SchedulerStateError, match="another event loop"):
                await client.stats()

        in_threads(client.open, second)

    def test_a_run_belongs_to_its_loop(self):
        scheduler = duly.Scheduler("memory://", print, load_plugins=False)
        running, done = threading.Event(), threading.Event()

        async def first() -> None:
            async with scheduler.running():
                running.set()
                await asyncio.to_thread(done.wait, 30)
                assert (await scheduler.stats()).scheduled == 1

        async def second() -> None:
            await asyncio.to_thread(running.wait, 30)
            for verb in (scheduler.stop, scheduler.start, scheduler.close):
                with pytest.raises(SchedulerStateError, match="runs on another event loop"):
                    await verb()
            await scheduler.schedule(later())
            done.set()

        in_threads(first, second)

    def test_what_another_loop_schedules_is_expected(self):
        delivered, running = threading.Event(), threading.Event()

        def handle(envelope: duly.Envelope) -> None:
            delivered.set()

        scheduler = duly.Scheduler("memory://", handle, load_plugins=False)

        async def first() -> None:
            async with scheduler.running():
                running.set()
                assert await asyncio.to_thread(delivered.wait, 30)

        async def second() -> None:
            await asyncio.to_thread(running.wait, 30)
            await scheduler.schedule(Message("event", scheduled_at=duly.after(seconds=0.01)))

        in_threads(first, second)

    def test_a_loop_closed_in_the_middle_of_a_run_leaves_the_scheduler_usable(self):
        scheduler = duly.Scheduler("memory://", print, load_plugins=False)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(scheduler._begin())
        left = asyncio.all_tasks(loop)
        loop.close()

        async def again() -> None:
            async with scheduler.running():
                await scheduler.stats()

        asyncio.run(again())
        for task in left:
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # on purpose
            with contextlib.suppress(RuntimeError):
                task.get_coro().close()  # type: ignore[union-attr]  # one is a coroutine


class TestAnyLoopLock:
    async def test_in_the_order_of_asking(self):
        turns, order = AnyLoopLock(), []

        async def take(name: str) -> None:
            async with turns:
                order.append(name)
                await asyncio.sleep(0)
                order.append(name)

        await asyncio.gather(*(take(name) for name in "abc"))
        assert "".join(order) == "aabbcc"

    async def test_who_is_cancelled_holds_up_nobody(self):
        turns = AnyLoopLock()
        async with turns:
            waiting = [asyncio.create_task(turns.__aenter__()) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            await asyncio.sleep(0)
        waiting[1].cancel()  # it was given the turn, and does not know it yet
        await waiting[2]
        assert [task.cancelled() for task in waiting] == [True, True, False]

    def test_a_loop_that_was_closed_leaves_its_turn(self):
        turns = AnyLoopLock()
        asyncio.run(turns.__aenter__())
        asyncio.run(turns.__aenter__())

    def test_between_loops(self):
        turns, inside = AnyLoopLock(), []

        async def work() -> None:
            for _ in range(50):
                async with turns:
                    inside.append(1)
                    assert len(inside) == 1
                    await asyncio.sleep(0)
                    inside.pop()

        in_threads(work, work, work)


class TestRun:
    def test_outside_the_main_thread_it_is_refused_in_words(self):
        scheduler = duly.Scheduler("memory://", print, load_plugins=False)
        told: list[str] = []

        def run() -> None:
            try:
                scheduler.run()
            except SchedulerStateError as error:
                told.append(str(error))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(30)
        assert len(told) == 1
        assert "duly.sync.Scheduler" in told[0]

    def test_signal_handlers_are_as_before(self):
        async def stop(envelope: duly.Envelope) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

        def mine(*_: object) -> None:
            raise AssertionError

        scheduler = duly.Scheduler(MemoryStore(), stop, load_plugins=False)
        asyncio.run(scheduler.schedule(Message("event", scheduled_at=duly.after(hours=-1))))
        before = [signal.signal(number, mine) for number in (signal.SIGINT, signal.SIGTERM)]
        try:
            scheduler.run()
            assert signal.getsignal(signal.SIGINT) is signal.getsignal(signal.SIGTERM) is mine
        finally:
            for number, former in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
                signal.signal(number, former)


class TestRunning:
    async def test_closing_within_keeps_the_error_of_the_block(self):
        scheduler = duly.Scheduler("memory://", print, load_plugins=False)
        with pytest.raises(KeyError, match="mine"):
            async with scheduler.running():
                await scheduler.close()
                raise KeyError("mine")

    async def test_a_run_that_fails_does_not_hide_the_error_of_the_block(self):
        scheduler = duly.Scheduler("memory://", print, load_plugins=False)
        with pytest.raises(KeyError, match="mine") as caught:
            async with scheduler.running():
                assert scheduler._engine is not None
                scheduler._engine.loop.end = _fail  # type: ignore[method-assign]  # at its end
                raise KeyError("mine")
        assert caught.value.__notes__ == [
            "and then the scheduler ended in an error: OSError('the engine broke')"
        ]

    def test_closing_within_of_blocking_code(self):
        scheduler = duly.sync.Scheduler("memory://", print, load_plugins=False)
        with pytest.raises(KeyError, match="mine"), scheduler.running():
            scheduler.close()
            raise KeyError("mine")
        scheduler = duly.sync.Scheduler("memory://", print, load_plugins=False)
        with scheduler.running():
            scheduler.close()
        with pytest.raises(SchedulerStateError, match="closed"):
            scheduler.stats()


async def _fail() -> None:
    raise OSError("the engine broke")


def ran(code: str, *, silent: bool = True, **values: object) -> str:
    """What a program of its own says; none hangs."""
    head = """
        import asyncio, os, signal, sys, threading
        import duly, duly.sync
        def later(): return duly.Message("event", scheduled_at=duly.after(hours=1))
        def say(word): os.write(1, str(word).encode() + bytes([10]))
    """
    for name, value in values.items():
        code = code.replace(name, repr(value))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(head) + textwrap.dedent(code)],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert not (silent and done.stderr), done.stderr
    return done.stdout


class TestForks:
    CHILD = """
        def refused(verb):
            try:
                verb()
            except duly.DulyError as error:
                say(type(error).__name__ + ": " + str(error).split("and")[0])
            else:
                say("not refused")
        def in_child(work):
            if os.fork() == 0:
                signal.alarm(20)  # one that hangs is ended
                try:
                    work()
                finally:
                    os._exit(0)
            assert os.wait()[1] == 0
    """

    @pytest.mark.parametrize("url", URLS)
    def test_a_client_opened_before_is_of_no_use_in_the_child(self, url, tmp_path):
        code = """
        client = duly.Client(URL, load_plugins=["sqlite"])
        unused = duly.Client(URL, load_plugins=["sqlite"])
        def work():
            refused(lambda: asyncio.run(client.schedule(later())))
            refused(lambda: asyncio.run(client.open()))
            asyncio.run(client.close())
            refused(lambda: asyncio.run(client.stats()))
            say(asyncio.run(unused.schedule(later())) != "")
        async def main():
            async with client:
                await client.schedule(later())
                await asyncio.to_thread(in_child, work)
                say((await client.stats()).scheduled)
        asyncio.run(main())
        async def again():
            async with client:
                say((await client.stats()).scheduled)
        in_child(lambda: asyncio.run(again()))  # it was closed before that fork
        """
        told = "SchedulerStateError: opened before this process was forked off, "
        count = "1" if url == "memory://" else "2"
        assert ran(self.CHILD + code, URL=of(url, tmp_path)).splitlines() == [
            told, told, told, "True", count, count,
        ]  # fmt: skip

    @pytest.mark.parametrize("store", ["duly.MemoryStore()", "duly_sqlite.SQLiteStore(PATH)"])
    def test_a_store_opened_before_is_of_no_use_to_another_client(self, store, tmp_path):
        code = f"""
        import duly_sqlite
        store = {store}
        async def main():
            async with duly.Client(store, load_plugins=False) as client:
                await client.schedule(later())
                other = duly.Client(store, load_plugins=False)
                await asyncio.to_thread(in_child, lambda: refused(lambda: asyncio.run(other.stats())))
        asyncio.run(main())
        """
        told = "SchedulerStateError: opened before this process was forked off, \n"
        assert ran(self.CHILD + code, PATH=f"{tmp_path}/a.db") == told

    def test_a_store_used_without_a_client(self, tmp_path):
        code = """
        from duly_sqlite import SQLiteStore
        async def main():
            store = SQLiteStore(PATH)
            await store.open()
            def work():
                for verb in (store.stats, store.open, lambda: store.put([])):
                    refused(lambda: asyncio.run(verb()))
                asyncio.run(store.close())
            await asyncio.to_thread(in_child, work)
            say((await store.stats()).scheduled)
            await store.close()
        asyncio.run(main())
        """
        out = ran(self.CHILD + code, PATH=f"{tmp_path}/a.db").splitlines()
        assert len(out) == 4
        assert all("opened before this process was forked off" in line for line in out[:3])
        assert out[3] == "0"

    def test_leaving_the_blocks_of_the_parent(self, tmp_path):
        code = """
        scheduler = duly.sync.Scheduler(URL, print, load_plugins=["sqlite"])
        with scheduler, scheduler.running():
            if os.fork() == 0:
                sys.exit(5)
            say(os.waitstatus_to_exitcode(os.wait()[1]))
        """
        assert ran(code, URL=of("sqlite:///", tmp_path)) == "5\n"


class TestPatchedThreads:
    @pytest.mark.parametrize("how", ["", "thread=False"])
    def test_those_of_gevent_are_refused_in_words(self, how, tmp_path):
        if importlib.util.find_spec("gevent") is None:
            lacking("gevent", "pip install gevent")
        code = f"""
        from gevent import monkey; monkey.patch_all({how})
        client = duly.sync.Client(URL, load_plugins=["sqlite"])
        for verb in (client.open, client.stats, lambda: client.schedule(later())):
            try:
                verb()
            except duly.SchedulerStateError as error:
                say(str(error)[:50])
        client.close()
        """
        told = "gevent has patched this process's threads and lock\n"
        assert ran(code, URL=of("sqlite:///", tmp_path)) == told * 3


class TestInterruptions:
    """A signal is heard wherever a function begins or one in C returns: each such point in turn."""

    AT_EACH_POINT = """
        import faulthandler, itertools, time
        faulthandler.dump_traceback_later(45, exit=True)  # one that hangs is told
        class Interrupted(BaseException): pass
        def at(point, act):
            left = iter(range(point))
            def look(frame, event, argument):
                if event in ("call", "c_return") and next(left, None) is None:
                    sys.setprofile(None)
                    reached.append(point)
                    act()
            return look
        def each(act):
            store = duly.MemoryStore()
            for point in itertools.count():
                client = duly.sync.Client(store, load_plugins=False)
                reached.clear()
                try:
                    sys.setprofile(at(point, lambda: act(client)))
                    try:
                        client.stats()
                    finally:
                        sys.setprofile(None)
                except Interrupted:
                    pass
                except RuntimeError as error:  # of threading.Thread.start(), torn apart
                    assert isinstance(error.__context__, Interrupted)
                client.stats()  # it works as before
                client.close()
                if not reached:
                    break
            return point
        reached = []
        duly.sync.Client("memory://", load_plugins=False).close()
    """

    @pytest.mark.parametrize(
        "act",
        [
            "def act(client): raise Interrupted",
            "def act(client): client.stats(); raise Interrupted",
        ],
        ids=["raises", "calls and raises"],
    )
    def test_a_signal_handler_at_any_point_hangs_nothing(self, act):
        code = self.AT_EACH_POINT + f"    {act}\n        say(each(act) > 50)"
        assert (
            ran(code, silent=False) == "True\n"
        )  # what is raised while an object is dropped is told
