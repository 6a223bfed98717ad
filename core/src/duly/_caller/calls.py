"""Every call of a store: it is opened first, and a late or wrong answer is an error."""

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ParamSpec, TypeVar

from duly._caller import store_answers as answers
from duly._caller.any_loop_lock import AnyLoopLock
from duly._caller.forks import forget, refuse_parents, remember
from duly._values.answers import named
from duly._values.error_text import error_text
from duly._values.opening_limit import limited_by
from duly.errors import SchedulerStateError, StoreError, StoreUnavailable
from duly.message import Filter, Message, State, without_payload
from duly.store import (
    Batch,
    Group,
    Key,
    Settle,
    Stats,
    Store,
    SupportsPeeking,
    SupportsTimeLimit,
    Token,
)

__all__ = ["StoreCalls", "cancelled_by_itself"]

P = ParamSpec("P")
T = TypeVar("T")


def cancelled_by_itself() -> bool:
    """Whether a CancelledError just caught was not meant for us: nobody cancelled our task."""
    task = asyncio.current_task()
    return task is not None and not task.cancelling()


class StoreCalls:
    """Calls a store under a time limit. One made from a URL is ours to close, another is not.

    It is used only in the process that opened it, and only on the event loop that opened it, to
    which its connections belong, unless the store says that any loop will do.
    """

    def __init__(self, store: Store, timeout: timedelta, *, ours: bool) -> None:
        self.store = store
        self._timeout = timeout
        self._ours = ours
        self.opened = False
        """Whether it is open: by the first call, or by :meth:`open`."""
        self._closed = False
        self._opening = AnyLoopLock()
        self._any_loop = getattr(type(store), "any_loop", False) is True
        sends_none = getattr(type(store), "lists_without_payloads", False) is True
        self._without_payloads: Mapping[str, Any] = {"payload": False} if sends_none else {}
        self._home: asyncio.AbstractEventLoop | None = None
        self._pid: int | None = None  # of the process that opens, or opened, it

    @property
    def patience(self) -> float:
        """For how many seconds one call is waited for."""
        return self._timeout.total_seconds()

    def allow(self) -> None:
        """Take calls again after :meth:`close`."""
        self._closed = False

    async def open(self) -> None:
        """Open the store now instead of at the first call; a second time does nothing.

        The time limit applies, except to what the store does :func:`~duly.store.unhurried`.

        Raises:
            SchedulerStateError: it was closed, and not allowed to be used again.
        """
        refuse_parents(self.store, self._pid)  # before the lock, which a parent may have held
        self._see_home()
        async with self._opening:
            if self._closed:
                raise SchedulerStateError("closed: open it again before the next call")
            if self.opened:
                self._see_home()  # of another loop that came first
                return
            self._pid = os.getpid()
            self._tell_time_limit()
            try:
                limit = asyncio.timeout(self.patience)
                with limited_by(limit):
                    await self._timed(limit, self.store.open)
            except BaseException:
                self._pid = None
                raise
            remember(self.store)
            self._home = None if self._any_loop else asyncio.get_running_loop()
            self.opened = True

    async def close(self) -> None:
        """Close the store if it is ours; later calls are refused until it is opened again.

        In a process forked after it was opened, it does nothing: what is open is the parent's.
        """
        if self._pid not in (None, os.getpid()):
            return
        self._see_home()
        self._closed = True
        async with self._opening:
            if self.opened:
                self.opened = False
                self._home = self._pid = None
                if self._ours:
                    forget(self.store)
                    await self.store.close()

    async def __call__(
        self, method: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The unchecked answer of one of the store's methods.

        Raises:
            StoreUnavailable: also when there was no answer within the time limit; what was asked
                for may have happened anyway.
            StoreError: the method is not async, or raised what no call should.
            SchedulerStateError: it was closed, or it is open on another event loop, or was opened
                before this process was forked off.
        """
        if self.opened and self._pid == os.getpid():
            self._see_home()
        else:
            await self.open()
        return await self._timed(asyncio.timeout(self.patience), method, *args, **kwargs)

    # --- each answer is checked: a StoreError names what came back instead

    async def put(self, groups: Sequence[Group], **more: Any) -> answers.Outcomes:
        """:meth:`Store.put`, its answer checked, as with all that follow."""
        return answers.put(await self(self.store.put, groups, **more), len(groups))

    async def cancel(self, ids: Sequence[str], **more: Any) -> Sequence[State | None]:
        return answers.cancel(await self(self.store.cancel, ids, **more), len(ids))

    async def reschedule(self, id: str, at: datetime | None, **more: Any) -> State | None:
        return answers.reschedule(await self(self.store.reschedule, id, at, **more))

    async def get(self, id: str, within: Any = None) -> Message | None:
        """``within`` is handed on only if given: stores without transactions do not know it."""
        return answers.get(await self(self.store.get, id, **_within(within)))

    async def list(
        self,
        filter: Filter,
        *,
        from_key: tuple[datetime, str] | None = None,
        payload: bool = True,
        within: Any = None,
    ) -> Sequence[Message]:
        """Messages listed without payloads raise when a payload is read."""
        more = {**({} if payload else self._without_payloads), **_within(within)}
        page = await self(self.store.list, filter, from_key=from_key, **more)
        page = answers.page(page, from_key, filter.limit)
        return page if payload else [without_payload(message) for message in page]

    async def claim(self, *, settle: Sequence[Settle], **more: Any) -> Batch:
        return answers.claim(await self(self.store.claim, settle=settle, **more), len(settle))

    async def renew(
        self, tokens: Sequence[Token], lease: timedelta
    ) -> Sequence[Collection[Key] | None]:
        return answers.renew(await self(self.store.renew, tokens, lease), len(tokens))

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool | None]:
        return answers.settle(await self(self.store.settle, settles), len(settles))

    async def stats(self) -> Stats:
        return answers.stats(await self(self.store.stats))

    async def changed(self, store: SupportsPeeking) -> bool:
        """``store`` is our store, already known to have this ability."""
        return answers.changed(await self(store.changed))

    def _tell_time_limit(self) -> None:
        store = self.store
        if isinstance(store, SupportsTimeLimit):
            told = store.time_limit
            store.time_limit = self._timeout if told is None else min(told, self._timeout)

    def _see_home(self) -> None:
        if self._home not in (None, asyncio.get_running_loop()):
            raise SchedulerStateError(
                "opened on another event loop, to which its connections belong: make all calls "
                "on one, as in a single asyncio.run(), close it there first, or make another"
            )

    async def _timed(
        self,
        limit: asyncio.Timeout,
        method: Callable[P, Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        try:
            async with limit:
                answer = method(*args, **kwargs)
                _see_awaitable(method, answer)
                return await answer
        except TimeoutError as error:
            raise StoreUnavailable(
                f"the store did not answer within {self.patience:g} s"
            ) from error
        except asyncio.CancelledError as error:
            if not cancelled_by_itself():
                raise
            raise StoreUnavailable("the store cancelled the call by itself") from error
        except (Exception, GeneratorExit, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # of native code, say: nobody would expect it here
            text = f"the store's {_name(method)}() raised {error_text(error)}"
            raise StoreError(text) from error


def _within(transaction: object) -> Mapping[str, Any]:
    return {} if transaction is None else {"within": transaction}


def _see_awaitable(method: object, answer: object) -> None:
    if not inspect.isawaitable(answer):
        text = f"it returned {named(answer)}, which cannot be awaited"
        raise StoreError(f"the store's {_name(method)}() is not async: {text}")


def _name(method: object) -> str:
    return str(getattr(method, "__name__", type(method).__name__))
