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
from duly_redis.away import Away
from duly_redis.errors import translated
from duly_redis.keys import Shard
from duly_redis.knocking import knock

__all__ = ["Calls", "Client", "Script", "close_client", "script", "text_of"]

Client: TypeAlias = Redis | RedisCluster

_AT_ONCE: Final = 16  # commands under way; a server works on one at a time
_FEWEST: Final = 2  # of them, reserved for each shard, so that one that hangs leaves room to others
_LOOKING: Final = 2.0  # seconds that a node of a Cluster has to say where all slots are
_FOLDER: Final = importlib.resources.files("duly_redis") / "lua"


class Script:
    """A script, and the name under which a server keeps it."""

    def __init__(self, text: str) -> None:
        self.text = text.encode()
        self.sha = sha1(self.text, usedforsecurity=False).hexdigest()


def script(*names: str) -> Script:
    """The script made of files of the folder ``lua``, after the common beginning."""
    return Script("\n".join(text_of(name) for name in ("shard", "places", *names)))


def text_of(name: str) -> str:
    """The text of a file of the folder ``lua``."""
    return _FOLDER.joinpath(f"{name}.lua").read_text("utf-8")


async def close_client(client: Client) -> None:
    """Close a client that was made here, and those by which it asks its sentinels."""
    await client.aclose()
    if isinstance(client, Redis) and isinstance(client.connection_pool, SentinelPool):
        for sentinel in client.connection_pool.sentinel_manager.sentinels:
            await sentinel.aclose()


class Calls:
    """The line to Redis. ``client`` is a client, or a function that makes one at each opening.

    What was made here is closed here; a client that was passed in stays open. ``shards`` is how
    many there are.
    """

    def __init__(
        self, client: Client | Callable[[], Client], channel: str, shards: int = 1
    ) -> None:
        if not callable(client) and not isinstance(client, Redis | RedisCluster):
            raise InvalidArgument(
                f"RedisStore takes a client of redis.asyncio, not a {type(client).__module__}."
                f"{type(client).__qualname__}; with a URL use duly.Client or duly.Scheduler"
            )
        self._given = client
        self._client: Client | None = None
        self._channel = channel.encode()
        self._at_once = max(_FEWEST, _AT_ONCE // shards)
        self._limit = asyncio.Semaphore(_AT_ONCE)
        self._limits: dict[Shard, asyncio.Semaphore] = {}
        self.away = Away(shards, lambda shard: knock(self.client, shard))

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
        """Check that there is a client to ask.

        Raises:
            StoreUnavailable: there is none.
        """
        if self._client is None:
            raise StoreUnavailable("the Redis store is closed: open it first")

    def open(self) -> None:
        """Get a client, unless there is one; connections are made when they are needed.

        Raises:
            InvalidArgument: its encoding cannot be used here.
        """
        if self._client is None:
            given = self._given
            client = given if isinstance(given, Redis | RedisCluster) else given()
            _check_encoding(client, self._channel.decode())
            self._client = client
            self._limit = asyncio.Semaphore(_AT_ONCE)  # of the event loop that opens
            self._limits = {}

    async def close(self) -> None:
        """Close the client, if it is ours."""
        await self.away.close()
        client, self._client = self._client, None
        if client is not None and client is not self._given:
            with translated():
                await close_client(client)

    async def find_nodes(self) -> None:
        """Have a Cluster's driver look up where all slots are, if it has to.

        It asks any node, and everything waits for the answer even if that node hangs.

        Raises:
            TimeoutError: it asked one that hangs; the next time it may ask another.
        """
        client = self._client
        # Only the driver knows when; if another version stores that elsewhere, it only costs time.
        if isinstance(client, RedisCluster) and getattr(client, "_initialize", True):
            async with asyncio.timeout(_LOOKING):
                _ = await client.initialize()  # it returns itself

    async def run(self, script: Script, shard: Shard, *args: Any) -> Any:
        """The answer of a script, texts as bytes.

        Raises:
            StoreUnavailable: nobody answers, or not now.
            StoreError: the server refuses.
        """
        self.away.refuse(shard)
        rest = [len(shard.keys), *shard.keys, msgspec.msgpack.encode(args), self._channel]
        limit = self._limits.get(shard)
        if limit is None:
            limit = self._limits[shard] = asyncio.Semaphore(self._at_once)
        async with limit:
            with translated():
                await self.find_nodes()
                try:
                    answer = await self._send("EVALSHA", script.sha, rest)
                except NoScriptError:  # the server was restarted, flushed, or replaced by another
                    answer = await self._send("EVAL", script.text, rest)
        self.away.heard(shard)
        return answer

    async def command(self, name: str, *words: Any, **options: Any) -> Any:
        """The answer of a plain command, texts as bytes unless the driver parses them.

        Raises:
            StoreUnavailable: nobody answers, or not now.
            StoreError: the server refuses.
        """
        async with self._limit:
            with translated():
                return await self.client.execute_command(
                    name, *(each.encode() if isinstance(each, str) else each for each in words),
                    NEVER_DECODE=True, **options,
                )  # fmt: skip

    def _send(self, command: str, script: str | bytes, rest: Sequence[Any]) -> Awaitable[Any]:
        # A user's client may decode answers; those of scripts are not text.
        answer: Awaitable[Any] = self.client.execute_command(
            command, script, *rest, NEVER_DECODE=True
        )
        return answer


def _check_encoding(client: Client, channel: str) -> None:
    """Check that a client writes and reads texts in an encoding that all clients share."""
    encoder = client.get_encoder()
    encoding, mode = encoder.encoding, encoder.encoding_errors
    try:
        is_right = "EVALSHA".encode(encoding, mode) == b"EVALSHA"
        if encoder.decode_responses:
            channel.encode().decode(encoding, mode)
    except (LookupError, UnicodeError):
        is_right = False
    if not is_right:
        raise InvalidArgument(
            f"RedisStore cannot work with a client whose encoding is {encoding!r}: make it with "
            "encoding='utf-8', or leave that out"
        )
