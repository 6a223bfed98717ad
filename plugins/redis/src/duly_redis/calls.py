"""Sending scripts to Redis: a few at a time, loaded where the server does not have them."""

import asyncio
import importlib.resources
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha1
from typing import Any, Final, TypeAlias

import msgspec
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.sentinel import SentinelConnectionPool as SentinelPool
from redis.exceptions import NoScriptError

from duly import InvalidArgument, StoreUnavailable
from duly_redis.errors import translated
from duly_redis.keys import Shard

__all__ = ["Calls", "Client", "Script", "close_client", "script"]

Client: TypeAlias = Redis | RedisCluster

_AT_ONCE: Final = 16  # commands under way; a server works on one at a time
_FOLDER: Final = importlib.resources.files("duly_redis") / "lua"


class Script:
    """A script, and the name under which a server keeps it."""

    def __init__(self, text: str) -> None:
        self.text = text.encode()
        self.sha = sha1(self.text, usedforsecurity=False).hexdigest()


def script(*names: str) -> Script:
    """The script made of files of the folder ``lua``, behind what all begin with."""
    parts = [_FOLDER.joinpath(f"{name}.lua").read_text("utf-8") for name in ("shard", *names)]
    return Script("\n".join(parts))


async def close_client(client: Client) -> None:
    """Close a client that was made here, and those by which it asks its sentinels."""
    await client.aclose()
    if isinstance(client, Redis) and isinstance(client.connection_pool, SentinelPool):
        for sentinel in client.connection_pool.sentinel_manager.sentinels:
            await sentinel.aclose()


class Calls:
    """The line to Redis. ``client`` is a client, or a function that makes one at each opening.

    What was made here is closed here; a client that was passed in stays open.
    """

    def __init__(self, client: Client | Callable[[], Client], channel: str) -> None:
        if not callable(client) and not isinstance(client, Redis | RedisCluster):
            raise InvalidArgument(
                f"RedisStore takes a client of redis.asyncio, not a {type(client).__module__}."
                f"{type(client).__qualname__}; with a URL use duly.Client or duly.Scheduler"
            )
        self._given = client
        self._client: Client | None = None
        self._channel = channel.encode()
        self._limit = asyncio.Semaphore(_AT_ONCE)

    @property
    def is_open(self) -> bool:
        """Whether there is a client to ask."""
        return self._client is not None

    @property
    def client(self) -> Client:
        """The client in use.

        Raises:
            StoreUnavailable: it is not open.
        """
        self.check_open()
        assert self._client is not None  # noqa: S101  # for the type checker
        return self._client

    def check_open(self) -> None:
        """See that there is a client to ask.

        Raises:
            StoreUnavailable: there is none.
        """
        if self._client is None:
            raise StoreUnavailable("the Redis store is closed: open it first")

    def open(self) -> None:
        """Get a client, unless there is one; connections are made when they are needed."""
        if self._client is None:
            given = self._given
            self._client = given if isinstance(given, Redis | RedisCluster) else given()
            self._limit = asyncio.Semaphore(_AT_ONCE)  # of the event loop that opens

    async def close(self) -> None:
        """Close the client, if it is ours."""
        client, self._client = self._client, None
        if client is not None and client is not self._given:
            with translated():
                await close_client(client)

    async def run(self, script: Script, shard: Shard, *args: Any) -> Any:
        """What a script answers, texts as bytes.

        Raises:
            StoreUnavailable: nobody answers, or not now.
            StoreError: the server refuses.
        """
        rest = [len(shard.keys), *shard.keys, msgspec.msgpack.encode(args), self._channel]
        async with self._limit:
            with translated():
                try:
                    return await self._send("EVALSHA", script.sha, rest)
                except NoScriptError:  # it was restarted, flushed, or succeeded by another
                    return await self._send("EVAL", script.text, rest)

    async def command(self, *words: Any, **options: Any) -> Any:
        """What a plain command answers.

        Raises:
            StoreUnavailable: nobody answers, or not now.
            StoreError: the server refuses.
        """
        async with self._limit:
            with translated():
                return await self.client.execute_command(*words, **options)

    def _send(self, command: str, script: str | bytes, rest: Sequence[Any]) -> Awaitable[Any]:
        # The client of a user may be one that decodes; what comes from scripts is no text.
        answer: Awaitable[Any] = self.client.execute_command(
            command, script, *rest, NEVER_DECODE=True
        )
        return answer
