"""What all requests of one application share."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import attrs

from duly import Client
from duly_web.documents import Redact, Shower
from duly_web.operations.runner import Runner
from duly_web.users import User

if TYPE_CHECKING:
    from duly_history import History

__all__ = ["Service", "Shared"]

_FRESH: Final = 2.0  # seconds
_SHARE: Final = 4  # times as long as it took to read is an answer kept


class Shared:
    """Answers that all who look share: at most one set of reads in two seconds.

    What takes long to read is kept for longer, so that to look takes at most a fifth of the time of
    a store.
    """

    def __init__(
        self, *, fresh: float = _FRESH, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fresh = fresh
        self._clock = clock
        self._kept: dict[str, tuple[float, asyncio.Future[Any]]] = {}

    async def get(self, name: str, read: Callable[[], Awaitable[Any]]) -> Any:
        """What was read under that name a moment ago, or is being read, or is read now."""
        kept = self._kept.get(name)
        loop = asyncio.get_running_loop()
        if kept is not None and kept[1].get_loop() is loop:
            until, task = kept
            if not task.done() or (self._clock() < until and _went_well(task)):
                return await asyncio.shield(task)
        task = loop.create_task(self._reading(name, read), name=f"duly-web-{name}")
        self._kept[name] = math.inf, task
        return await asyncio.shield(task)

    async def _reading(self, name: str, read: Callable[[], Awaitable[Any]]) -> Any:
        begun = self._clock()
        found = await read()
        ended = self._clock()
        _, task = self._kept[name]
        if task is asyncio.current_task():
            self._kept[name] = max(begun + self._fresh, ended + _SHARE * (ended - begun)), task
        return found


def _went_well(task: "asyncio.Future[Any]") -> bool:
    return not task.cancelled() and task.exception() is None


@attrs.frozen(kw_only=True)
class Service:
    """The client, and how it is served. ``timeout`` in seconds, ``max_body`` in bytes."""

    client: Client
    timeout: float
    max_body: int
    redact: Redact | None
    runner: Runner
    history: "History | None"
    shared: Shared = attrs.field(factory=Shared)

    def shower(self, user: User) -> Shower:
        """Makes documents for that user."""
        return Shower(user, self.redact)
