"""Wake-ups by pub/sub when something came in, across reconnects."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final
from weakref import WeakKeyDictionary

from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.client import PubSub

from duly import StoreError
from duly_redis.calls import Calls
from duly_redis.errors import translated
from duly_redis.rights import PROBE

__all__ = ["Wakeups"]

_QUIET: Final = 15.0  # seconds without a word until the server is asked whether it is there
_ANSWER: Final = 5.0  # seconds it has for that
_PAUSES: Final = (0.05, 5.0)  # seconds until the next attempt: the first, and the longest


class Wakeups:
    """Listens on a channel as soon as somebody waits. What ``name`` itself published is ignored."""

    def __init__(self, calls: Calls, channel: str, name: str) -> None:
        self._calls = calls
        self._channel = channel
        self._no_news = (name, name.encode(), PROBE, PROBE.encode())  # a client may decode
        self._listening: asyncio.Task[None] | None = None
        self._rings = 0
        self._heard = 0  # by whoever heard last
        self._heard_by: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()
        self._rung = asyncio.Event()
        calls.away.when_back(self._ring)

    async def wait(self) -> None:
        """Return when something came in since this task last returned from here.

        For a task that comes for the first time, it counts since any task last returned. It also
        returns when the channel was joined anew, since something may have come in meanwhile.

        Raises:
            StoreUnavailable: the store is closed.
        """
        self._calls.check_open()
        if self._listening is None or self._listening.done():
            self._rung = asyncio.Event()
            self._listening = asyncio.create_task(self._listen(), name="duly-redis-wakeups")
            self._listening.add_done_callback(lambda _: self._ring())  # nobody waits in vain
        task = asyncio.current_task()
        assert task is not None, "coroutines run in tasks"  # noqa: S101  # for the type checker
        heard = self._heard_by.get(task, self._heard)
        while heard == self._rings:
            await self._rung.wait()
        self._heard_by[task] = self._heard = self._rings

    async def check(self) -> None:
        """Check that the user may listen.

        Raises:
            StoreUnavailable: nobody answers.
            StoreError: the user may not.
        """
        with translated():
            async with self._subscribed() as pubsub:
                await pubsub.get_message(timeout=_ANSWER)

    async def close(self) -> None:
        """Listen no more."""
        task, self._listening = self._listening, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, RuntimeError):
                await task

    def _ring(self) -> None:
        self._rings += 1
        self._rung.set()
        self._rung = asyncio.Event()

    async def _listen(self) -> None:
        """Listen until cancelled; no trouble of the server ends it."""
        pause, longest = _PAUSES
        while True:
            with contextlib.suppress(StoreError), translated():  # other calls tell what is wrong
                async with self._subscribed() as pubsub:
                    while (said := await self._next(pubsub)) is not None:
                        pause = _PAUSES[0]
                        if said["type"] == "subscribe" or (
                            said["type"] == "message" and said["data"] not in self._no_news
                        ):
                            self._ring()
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)

    async def _next(self, pubsub: PubSub) -> dict[str, Any] | None:
        """The next message of the server; None when it does not even answer a ping."""
        said: dict[str, Any] | None = await pubsub.get_message(timeout=_QUIET)
        if said is None:
            await pubsub.ping()
            said = await pubsub.get_message(timeout=_ANSWER)
        return said

    @contextlib.asynccontextmanager
    async def _subscribed(self) -> AsyncIterator[PubSub]:
        client = self._calls.client
        if isinstance(client, RedisCluster):  # any of its nodes will do
            await self._calls.find_nodes()
            node = client.get_random_node()
            pool = ConnectionPool(connection_class=node.connection_class, **node.connection_kwargs)
            client = Redis.from_pool(pool)
        async with contextlib.aclosing(client.pubsub()) as pubsub:
            async with asyncio.timeout(_ANSWER):  # one that hangs takes connections too
                await pubsub.subscribe(self._channel.encode())
            yield pubsub
