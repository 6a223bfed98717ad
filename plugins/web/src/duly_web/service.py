"""What all requests of one application share."""

import asyncio
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


class Shared:
    """Answers that all who look share: at most one set of reads in two seconds."""

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
            since, task = kept
            if not task.done() or (self._clock() - since < self._fresh and _went_well(task)):
                return await asyncio.shield(task)
        task = loop.create_task(_reading(read), name=f"duly-web-{name}")
        self._kept[name] = self._clock(), task
        return await asyncio.shield(task)


async def _reading(read: Callable[[], Awaitable[Any]]) -> Any:
    return await read()


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
