"""Every call of a store: opened before the first, answered in time, or unavailable."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import ParamSpec, TypeVar

from duly.errors import SchedulerStateError, StoreUnavailable
from duly.store import Store

__all__ = ["StoreCalls", "cancelled_by_itself"]

P = ParamSpec("P")
T = TypeVar("T")


def cancelled_by_itself() -> bool:
    """Whether a CancelledError just caught was not meant for us: nobody cancelled our task."""
    task = asyncio.current_task()
    return task is not None and not task.cancelling()


class StoreCalls:
    """Calls a store under a time limit. One made from a URL is ours to close, another is not.

    It is used on the event loop that it was opened on, to which its connections belong, unless it
    says that any will do.
    """

    def __init__(self, store: Store, timeout: timedelta, *, ours: bool) -> None:
        self.store = store
        self._timeout = timeout
        self._ours = ours
        self._opened = False
        self._closed = False
        self._opening = asyncio.Lock()
        self._any_loop = getattr(type(store), "any_loop", False) is True
        self._home: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Open the store now instead of at the first call; again does nothing."""
        self._closed = False
        await self._open()

    async def close(self) -> None:
        """Close the store if it is ours; later calls are refused until it is opened again."""
        self._see_home()
        self._closed = True
        async with self._opening:
            if self._opened:
                self._opened = False
                self._home = None
                if self._ours:
                    await self.store.close()
        self._opening = asyncio.Lock()  # the next to open it may run in another event loop

    async def __call__(
        self, method: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The answer of one of the store's methods.

        Raises:
            StoreUnavailable: also when there was no answer within the time limit; what was asked
                may have happened all the same.
            SchedulerStateError: it was closed, or it is open on another event loop.
        """
        if self._opened:
            self._see_home()
        else:
            await self._open()
        return await self._timed(method, *args, **kwargs)

    async def _open(self) -> None:
        self._see_home()
        async with self._opening:
            if self._closed:
                raise SchedulerStateError("closed: open it again before the next call")
            if not self._opened:
                await self._timed(self.store.open)
                self._home = None if self._any_loop else asyncio.get_running_loop()
                self._opened = True

    def _see_home(self) -> None:
        if self._home not in (None, asyncio.get_running_loop()):
            raise SchedulerStateError(
                "opened on another event loop, to which its connections belong: make all calls "
                "on one, as in a single asyncio.run(), close it there first, or make another"
            )

    async def _timed(
        self, method: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                return await method(*args, **kwargs)
        except TimeoutError as error:
            raise StoreUnavailable(
                f"the store did not answer within {self._timeout.total_seconds():g} s"
            ) from error
        except asyncio.CancelledError as error:
            if not cancelled_by_itself():
                raise
            raise StoreUnavailable("the store cancelled the call by itself") from error
