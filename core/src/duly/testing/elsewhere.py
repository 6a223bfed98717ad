"""Stores that live on an event loop where time is real, called from one where it is virtual.

What a driver does with sockets, threads and timers of its own then takes the time that it takes,
as in production; time on the virtual loop passes likewise while one of its calls is under way, and
jumps when none is.
"""

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, cast

from duly.store import Store
from duly.testing.clock import VirtualTimeLoop

__all__ = ["Home"]

P = ParamSpec("P")
T = TypeVar("T")

_UNTIMED = frozenset({"wait_for_change"})  # what is called to wait, however long


class Home:
    """The event loop that stores live on: the running one."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._left: set[asyncio.Future[Any]] = set()

    async def run_virtually(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run something on a :class:`VirtualTimeLoop` in a thread of its own.

        It calls what lives here by :meth:`call` and :meth:`store`.
        """

        def run() -> T:
            with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
                return runner.run(work())

        done: asyncio.Future[T] = self._loop.create_future()
        # No thread of the loop's executor, which the store may need; an aborted test leaves it.
        threading.Thread(target=self._answer, args=(done, run), daemon=True).start()
        return await done

    async def call(self, method: Callable[P, Awaitable[T]], *args: P.args, **more: P.kwargs) -> T:
        """Call something that lives here, from a virtual loop; its answer.

        What is under way for somebody who was killed is carried out first.
        """
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop), "called on the loop where it lives"
        with loop.outside():
            while self._left:
                await asyncio.wait(self._left)
            answer = self._send(method, *args, **more)
            try:
                # The caller may be killed while it waits: a server carries its call out anyway.
                return await asyncio.shield(answer)
            except asyncio.CancelledError:
                if not answer.done():
                    self._left.add(answer)
                    answer.add_done_callback(self._left.discard)
                raise

    def store(self, store: Store) -> Store:
        """A store that lives here, to be used on a virtual loop."""
        return cast(Store, _Away(self, store))

    def _send(
        self, method: Callable[P, Awaitable[T]], *args: P.args, **more: P.kwargs
    ) -> "asyncio.Future[T]":
        async def call() -> T:
            return await method(*args, **more)

        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(), self._loop))

    def _answer(self, done: "asyncio.Future[T]", run: Callable[[], T]) -> None:
        try:
            answer = run()
        except BaseException as error:  # noqa: BLE001  # raised where it is waited for
            finish = functools.partial(_fail, done, error)
        else:
            finish = functools.partial(_finish, done, answer)
        self._loop.call_soon_threadsafe(finish)


class _Away:
    """Sends each call of a store's method home; it has the methods that the store has."""

    def __init__(self, home: Home, store: Store) -> None:
        self._home = home
        self._store = store

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if not callable(method):  # what it says that it can do
            return method
        send = self._home._send if name in _UNTIMED else self._home.call  # noqa: SLF001  # its own
        return functools.partial(send, method)


def _finish(done: "asyncio.Future[T]", answer: T) -> None:
    if not done.done():
        done.set_result(answer)


def _fail(done: "asyncio.Future[Any]", error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)
