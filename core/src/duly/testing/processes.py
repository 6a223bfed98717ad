"""Processes that can be killed: a scheduler whose every call of store and transport is watched.

All share one event loop. What makes one of them a process is that everything it does to the
outside goes through its ``wire``, and that all its tasks end the moment it is killed: nothing is
drained, settled or closed.
"""

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, Final, Protocol, TypeVar

from duly.message import Filter, State
from duly.recovery import Backoff, Failure, Policy, Verdict
from duly.scheduler import Scheduler
from duly.store import Store
from duly.testing.freezing import Frost, Gated
from duly.testing.journal import Journal
from duly.testing.seen_abilities import seen_store
from duly.testing.seen_transport import LimitedTransport, Receive, SeenTransport
from duly.testing.views import Act
from duly.transport import Limits

__all__ = ["Process", "Wire", "adopt_tasks", "emptied", "undisturbed"]

T = TypeVar("T")

_TURNS: Final = 1000  # of the event loop, in which the tasks of a killed process must have ended
_PROCESS: contextvars.ContextVar["Process"] = contextvars.ContextVar("duly_testing_process")


class Wire(Protocol):
    """What lies between a process and the outside: it may delay a call, lose it or its answer."""

    async def __call__(self, process: "Process", verb: str, act: Act[T], /) -> T:
        """Carry one call, and its answer back. ``verb`` is that of the store, or ``publish``."""
        ...


class Process:
    """One life of a scheduler over ``store``, from its start to its end, sudden or not.

    ``limits`` are those of its transport, ``options`` those of :class:`duly.Scheduler`. The event
    loop must :func:`adopt_tasks`.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        receive: Receive,
        wire: Wire,
        journal: Journal,
        *,
        recovery: Policy | None = None,
        limits: Limits | None = None,
        **options: Any,
    ) -> None:
        self.name = name
        self.alive = True
        self.frost = Frost()
        self.dying = asyncio.Event()
        """Set when the process has been killed from within."""
        self._wire = wire
        self._tasks: dict[asyncio.Task[Any], None] = {}  # a set would have no order
        self._context = contextvars.copy_context()
        self._context.run(_PROCESS.set, self)
        self._journal = journal
        self._policy = Backoff() if recovery is None else recovery
        self.store = seen_store(self, store, journal)
        self.scheduler = Scheduler(
            self.store,
            SeenTransport(self, receive, journal)
            if limits is None
            else LimitedTransport(self, receive, journal, limits),
            load_plugins=False,
            recovery=self._decide,
            **options,
        )

    def run(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do something as a part of this process."""
        return asyncio.get_running_loop().create_task(work, context=self._context)

    async def carry(self, verb: str, act: Act[T]) -> T:
        """Call the outside. When the process is dead, nothing happens and it never returns."""
        await self._live()
        answer = await self._wire(self, verb, act)
        await self._live()
        return answer

    def freeze(self) -> None:
        """Stop it: none of its tasks takes a step, while time, store and transport go on."""
        self.frost.begin()
        self._journal.note("frozen", self.name)

    def thaw(self) -> None:
        """Let it go on as if nothing had happened."""
        if self.frost.lasting and self.alive:
            self._journal.note("thawed", self.name)
        self.frost.end()

    async def die(self) -> None:
        """Be killed here and now, in the middle of a call; never returns."""
        self._end()
        self.dying.set()
        await self._live()

    async def kill(self) -> None:
        """End all that this process does, without draining or closing anything.

        Raises:
            AssertionError: some of it goes on although it was cancelled again and again.
        """
        self._end()
        self.frost.end()
        for _ in range(_TURNS):
            for task in list(self._tasks):
                task.cancel()
            await asyncio.sleep(0)
            if not self._tasks:
                return
        raise AssertionError(f"{self.name} cannot be killed: {list(self._tasks)}")

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Take note of a task that is a part of this process."""
        self._tasks[task] = None
        task.add_done_callback(self._forget)

    def _decide(self, failure: Failure) -> Verdict | None:
        verdict = self._policy(failure)
        if self.alive:  # nobody hears what it decides while it dies
            self._journal.note_decided(self.name, failure, verdict)
        return verdict

    def _end(self) -> None:
        if self.alive:
            self.alive = False
            self._journal.note("crashed", self.name)

    async def _live(self) -> None:
        if not self.alive:
            await asyncio.Event().wait()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        del self._tasks[task]
        if not self.alive and not task.cancelled():
            task.exception()  # nobody else will ask for it


async def undisturbed(_process: Process, _verb: str, act: Act[T]) -> T:
    """A wire on which nothing goes wrong."""
    return await act()


def adopt_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Let every process on this event loop know its tasks, those made by its tasks included."""

    def make(
        loop: asyncio.AbstractEventLoop,
        work: Coroutine[Any, Any, Any],
        *,
        context: contextvars.Context | None = None,
        **more: Any,
    ) -> asyncio.Task[Any]:
        process = (contextvars.copy_context() if context is None else context).get(_PROCESS)
        if process is None:
            return asyncio.Task(work, loop=loop, context=context, **more)
        task = asyncio.Task(Gated(work, process.frost), loop=loop, context=context, **more)
        process.adopt(task)
        return task

    loop.set_task_factory(make)  # type: ignore[arg-type]  # typeshed knows no generators any more


async def emptied(store: Store, *, within: float) -> None:
    """Wait until nothing is left in a store but dead letters.

    Raises:
        AssertionError: something still is after ``within`` seconds.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while (stats := await store.stats()).scheduled or stats.claimed:
        if loop.time() >= end:
            left = [each for each in await store.list(Filter()) if each.state is not State.DEAD]
            raise AssertionError(f"R1: not delivered within {within:g} s: {left}")
        await asyncio.sleep(0.1)
