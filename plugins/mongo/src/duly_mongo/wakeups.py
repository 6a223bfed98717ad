"""Waking those who wait: one change stream of a store, for any number of waiters."""

import asyncio
import contextlib
from typing import Any, Final
from weakref import WeakKeyDictionary

from pymongo.errors import PyMongoError

from duly_mongo.handles import resolve
from duly_mongo.leases import ROUSED
from duly_mongo.namespace import Namespace
from duly_mongo.statuses import WAITING

__all__ = ["Watcher"]

_AWAIT: Final = 2000  # milliseconds that the server waits for a change before it is asked again
_LAST_WORDS: Final = 5.0  # seconds to close a stream
_PAUSE: Final = 1.0  # seconds before a stream that broke off is opened again

# Messages that begin to wait, or wait at another place now, or whose leases were ended by somebody
# else. Claims and deliveries wake nobody.
_NEWS: Final = [
    {
        "$match": {
            "$or": [
                {"operationType": {"$in": ["insert", "replace"]}},
                {
                    "operationType": "update",
                    "updateDescription.updatedFields.status": {"$in": [*WAITING]},
                },
                # A status that stays as it was is no updated field.
                {
                    "operationType": "update",
                    "updateDescription.updatedFields.due": {"$exists": True},
                },
                {
                    "operationType": "update",
                    f"updateDescription.updatedFields.{ROUSED}": {"$exists": True},
                },
            ]
        }
    },
    {"$project": {"_id": 1}},
]


class Watcher:
    """Rings a bell whenever something comes in that may be due earlier than expected."""

    def __init__(self, space: Namespace) -> None:
        self._space = space
        self._task: asyncio.Task[None] | None = None
        self._rings = 0
        self._heard = 0  # by whoever heard last
        self._heard_by: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()
        self._bell = asyncio.Event()

    async def wait(self) -> None:
        """Return when it rang since this task last returned from here.

        For a task that comes for the first time, it counts since any task last returned: so nothing
        is missed if each wait is a task of its own.
        """
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch(), name="duly-mongo-watch")
        task = asyncio.current_task()
        assert task is not None, "coroutines run in tasks"  # noqa: S101  # for the type checker
        heard = self._heard_by.get(task, self._heard)
        while heard == self._rings:
            await self._bell.wait()
        self._heard_by[task] = self._heard = self._rings

    async def close(self) -> None:
        """Watch no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=_LAST_WORDS)

    def _ring(self) -> None:
        self._rings += 1
        self._bell.set()
        self._bell.clear()

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(Exception):  # claims tell what is wrong
                await self._listen()
            self._ring()  # those who wait may have missed something
            await asyncio.sleep(_PAUSE)

    async def _listen(self) -> None:
        stream = await resolve(self._space.messages.watch(_NEWS, max_await_time_ms=_AWAIT))
        try:
            await stream.try_next()  # by then the stream is open
            self._ring()
            while stream.alive:
                if await stream.try_next() is not None:
                    self._ring()
        finally:
            with contextlib.suppress(PyMongoError):
                await asyncio.shield(stream.close())
