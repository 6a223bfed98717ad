"""A lock for tasks of several event loops."""

import asyncio
import threading
from collections import deque
from types import TracebackType

__all__ = ["AnyLoopLock"]


class AnyLoopLock:
    """Taken by ``async with``, in the order of asking.

    Like an :class:`asyncio.Lock`, but for several event loops, in any threads, at the same time or
    one after another.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._held_on: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> None:
        loop = asyncio.get_running_loop()
        with self._guard:
            # A loop that was closed while it held the lock leaves it to whoever comes next.
            if self._held_on is None or self._held_on.is_closed():
                self._held_on = loop
                return
            turn = loop.create_future()
            self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            with self._guard:
                waiting = turn in self._waiting
                if waiting:
                    self._waiting.remove(turn)
            if not waiting:  # it was given meanwhile
                self._pass_on()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        with self._guard:
            self._held_on = None
            while self._waiting and self._held_on is None:
                turn = self._waiting.popleft()
                loop = turn.get_loop()
                try:
                    loop.call_soon_threadsafe(_give, turn)
                except RuntimeError:  # closed: nobody waits any more
                    continue
                self._held_on = loop


def _give(turn: "asyncio.Future[None]") -> None:
    if not turn.done():
        turn.set_result(None)
