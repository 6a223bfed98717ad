"""Processes that can be killed: a scheduler whose every call of store and transport is watched.

All share one event loop. What makes one of them a process is that everything it does to the
outside goes through its ``wire``, and that all its tasks end the moment it is killed: nothing is
drained, settled or closed.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeVar

from duly.message import Filter, Message, State
from duly.scheduler import Scheduler
from duly.store import (
    Batch,
    Group,
    Key,
    Settle,
    Stats,
    Store,
    SupportsPeeking,
    SupportsWakeups,
    Token,
)
from duly.testing.history import History
from duly.transport import Envelope

__all__ = ["Act", "Process", "Receive", "Wire", "adopt_tasks"]

T = TypeVar("T")

Act = Callable[[], Awaitable[T]]
"""What a call does at its other end, once it gets there."""

Receive = Callable[[Envelope], Awaitable[object]]
"""The receiving end of a transport: returns when it has accepted, or raises."""

_TURNS: Final = 1000  # of the event loop, in which the tasks of a killed process must have ended
_PROCESS: contextvars.ContextVar["Process"] = contextvars.ContextVar("duly_testing_process")


class Wire(Protocol):
    """What lies between a process and the outside: it may delay a call, lose it or its answer."""

    async def __call__(self, process: "Process", verb: str, act: Act[T]) -> T:
        """Carry one call, and its answer back. ``verb`` is that of the store, or ``publish``."""
        ...


class Process:
    """One life of a scheduler over ``store``, from its start to its end, sudden or not.

    ``options`` are those of :class:`duly.Scheduler`. The event loop must :func:`adopt_tasks`.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        receive: Receive,
        wire: Wire,
        history: History,
        **options: Any,
    ) -> None:
        self.name = name
        self.alive = True
        self.dying = asyncio.Event()
        """Set when the process has been killed from within."""
        self._wire = wire
        self._tasks: dict[asyncio.Task[Any], None] = {}  # a set would have no order
        self._context = contextvars.copy_context()
        self._context.run(_PROCESS.set, self)
        self._history = history
        self.store = _view(self, store, history)
        self.scheduler = Scheduler(
            self.store, _Transport(self, receive, history), load_plugins=False, **options
        )

    def run(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do something as a part of this process."""
        return asyncio.get_running_loop().create_task(work, context=self._context)

    async def carry(self, verb: str, act: Act[T]) -> T:
        """Call the outside. For a process that is dead nothing happens any more, ever."""
        await self._live()
        answer = await self._wire(self, verb, act)
        await self._live()
        return answer

    async def die(self) -> None:
        """Be killed here and now, in the middle of a call; never returns."""
        self._end()
        self.dying.set()
        await self._live()

    async def kill(self) -> None:
        """End all that this process does, without any farewell.

        Raises:
            AssertionError: some of it goes on although it was cancelled again and again.
        """
        self._end()
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

    def _end(self) -> None:
        if self.alive:
            self.alive = False
            self._history.note("crashed", self.name)

    async def _live(self) -> None:
        if not self.alive:
            await asyncio.Event().wait()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        del self._tasks[task]
        if not self.alive and not task.cancelled():
            task.exception()  # nobody else will ask for it


def adopt_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Let every process on this event loop know its tasks, those made by its tasks included."""

    def make(
        loop: asyncio.AbstractEventLoop,
        work: Coroutine[Any, Any, Any],
        *,
        context: contextvars.Context | None = None,
        **more: Any,
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(work, loop=loop, context=context, **more)
        process = (contextvars.copy_context() if context is None else context).get(_PROCESS)
        if process is not None:
            process.adopt(task)
        return task

    loop.set_task_factory(make)  # type: ignore[arg-type]  # typeshed knows no generators any more


class _Transport:
    """How a process publishes."""

    def __init__(self, process: Process, receive: Receive, history: History) -> None:
        self._process = process
        self._receive = receive
        self._history = history

    async def open(self) -> None:
        """There is nothing to connect to."""

    async def close(self) -> None:
        """There is nothing to give back."""

    async def publish(self, envelope: Envelope) -> None:
        process, history = self._process, self._history

        async def act() -> None:
            await self._receive(envelope)
            history.note_publish("accepted", process.name, envelope)

        if process.alive:
            history.note_publish("begun", process.name, envelope)
        try:
            await process.carry("publish", act)
        finally:
            if process.alive:
                history.note_publish("ended", process.name, envelope)


class _View:
    """A store as one process sees it; the history learns what the store did, answered or not."""

    def __init__(self, process: Process, inner: Store, history: History) -> None:
        self._process = process
        self._inner = inner
        self._history = history

    async def open(self) -> None:
        await self._process.carry("open", self._inner.open)

    async def close(self) -> None:
        """The store outlives its processes."""

    async def put(
        self, groups: Sequence[Group], *, within: Any = None
    ) -> Sequence[Exception | None]:
        async def act() -> Sequence[Exception | None]:
            for group in groups:
                self._history.note_asked(self._process.name, group)
            outcomes = await self._inner.put(groups, within=within)
            for group, outcome in zip(groups, outcomes, strict=True):
                if outcome is None:
                    self._history.note_stored(self._process.name, group)
            return outcomes

        return await self._process.carry("put", act)

    async def cancel(
        self, ids: Sequence[str], *, of_state: State | None = None, within: Any = None
    ) -> Sequence[State | None]:
        async def act() -> Sequence[State | None]:
            for id in ids:
                self._history.note_verb("cancelling", self._process.name, id)
            found = await self._inner.cancel(ids, of_state=of_state, within=within)
            for id, state in zip(ids, found, strict=True):
                what = "too late" if state is State.CLAIMED else state and "cancelled"
                self._history.note_verb(what or "unknown", self._process.name, id)
            return found

        return await self._process.carry("cancel", act)

    async def reschedule(
        self, id: str, at: datetime | None, *, of_state: State, within: Any = None
    ) -> State | None:
        async def act() -> State | None:
            found = await self._inner.reschedule(id, at, of_state=of_state, within=within)
            if found is of_state:
                self._history.note_verb("moved", self._process.name, id, at)
            return found

        return await self._process.carry("reschedule", act)

    async def get(self, id: str) -> Message | None:
        return await self._process.carry("get", lambda: self._inner.get(id))

    async def list(
        self, filter: Filter, *, from_key: tuple[datetime, str] | None = None
    ) -> Sequence[Message]:
        return await self._process.carry(
            "list", lambda: self._inner.list(filter, from_key=from_key)
        )

    async def claim(self, *, settle: Sequence[Settle] = (), **more: Any) -> Batch:
        async def act() -> Batch:
            batch = await self._inner.claim(settle=settle, **more)
            self._history.note_claimed(self._process.name, batch)
            return batch

        # Apart, so that a claim that settles can be told from one that does not.
        return await self._process.carry("settle and claim" if settle else "claim", act)

    async def renew(
        self, tokens: Sequence[Token], lease: timedelta
    ) -> Sequence[Collection[Key] | None]:
        return await self._process.carry("renew", lambda: self._inner.renew(tokens, lease))

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool]:
        return await self._process.carry("settle", lambda: self._inner.settle(settles))

    async def stats(self) -> Stats:
        return await self._process.carry("stats", self._inner.stats)


class _Waking(_View):
    async def wait_for_change(self) -> None:
        assert isinstance(self._inner, SupportsWakeups)
        await self._inner.wait_for_change()


class _Peeking(_View):
    async def changed(self) -> bool:
        assert isinstance(self._inner, SupportsPeeking)
        return await self._process.carry("changed", self._inner.changed)


class _WakingAndPeeking(_Waking, _Peeking):
    pass


def _view(process: Process, inner: Store, history: History) -> Store:
    """What the engine asks of a store by isinstance, the view must have as the store has."""
    kinds = {
        (False, False): _View,
        (True, False): _Waking,
        (False, True): _Peeking,
        (True, True): _WakingAndPeeking,
    }
    kind = kinds[isinstance(inner, SupportsWakeups), isinstance(inner, SupportsPeeking)]
    return kind(process, inner, history)
