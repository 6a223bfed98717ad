"""The Redis store, beside its own scripts through a plain socket."""

import asyncio
import re
import secrets
import socket
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import hiredis
import msgspec
import redis.asyncio

import duly
from benchmarks.load import LEASE, chunks, due
from benchmarks.servers import REDIS_SETTINGS, Servers
from duly_redis.calls import Script, script
from duly_redis.claiming import CLAIM
from duly_redis.keys import shards, wake_channel
from duly_redis.plugin import store_from_url
from duly_redis.records import fields
from duly_redis.store import RedisStore

__all__ = ["ground"]

_PREFIX: Final = "bench:"
_CHANNEL: Final = wake_channel(_PREFIX)
_KEYS: Final = shards(_PREFIX, 1)[0].keys
_PUT = script("put")
_TAKE_ONE: Final = """\
local id = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1)[1]
if not id then return false end
redis.call('ZREM', KEYS[1], id)
redis.call('ZADD', KEYS[2], ARGV[1], id)
return {id, redis.call('HGET', KEYS[3], id)}"""
_END_ONE: Final = """\
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('HDEL', KEYS[3], ARGV[1])"""
_BUSY: Final = rb"(bgsave|rewrite)_in_progress:1"
_LEASE: Final = LEASE // timedelta(microseconds=1)
_NO_LINES: Final = (False, False, "", 0, 0, 0)  # all names as they come, and nothing aside


class Redis:
    """A server of the benchmark's own, which is emptied."""

    name = "Redis"
    shared = True

    def __init__(self, servers: Servers, port: int, version: str) -> None:
        self._servers = servers
        self._port = port
        self.settings = f"Redis {version}, {' '.join(REDIS_SETTINGS)}"

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[str]:
        yield f"{await self._servers.emptied('redis')}?key_prefix={_PREFIX}"

    def store(self, url: str) -> RedisStore:
        return store_from_url(url)

    async def bare_drain(self, count: int, batch: int) -> float:
        """The scripts of claims, each settles the batch before; nobody looks into their answers."""
        await self._servers.emptied("redis")
        with _plain(self._port) as plain:
            for command in _puts(due(count)):
                plain.send(command)
            start, settles = time.perf_counter(), list[Any]()
            while True:
                token = secrets.token_hex(16)
                arguments = [0, settles, [], batch, _LEASE, "bench", True, token, "", *_NO_LINES]
                if not plain.send(hiredis.pack_command(_evalsha(CLAIM, arguments)))[3]:
                    return count / (time.perf_counter() - start)
                settles = [[token, False, []]]

    async def single_drain(self, count: int) -> float | None:
        """As a poller does it that has a list of what is in work: two scripts a message."""
        await self._servers.emptied("redis")
        with _plain(self._port) as plain:
            for each in range(count):
                plain.ask("HSET", "bench:messages", each, bytes(100))
                plain.ask("ZADD", "bench:due", each, each)
            take, end = (plain.ask("SCRIPT", "LOAD", text) for text in (_TAKE_ONE, _END_ONE))
            keys = (3, "bench:due", "bench:taken", "bench:messages")
            start = time.perf_counter()
            while (taken := plain.ask("EVALSHA", take, *keys, count)) is not None:
                plain.ask("EVALSHA", end, *keys, taken[0])
            return count / (time.perf_counter() - start)

    async def bare_schedule(self, count: int) -> float:
        await self._servers.emptied("redis")
        with _plain(self._port) as plain:
            commands = _puts(due(count))
            start = time.perf_counter()
            for command in commands:
                plain.send(command)
            return count / (time.perf_counter() - start)

    async def bare_single(self, count: int) -> float | None:
        """The same script by the driver, its arguments made before, a message a call."""
        url = await self._servers.emptied("redis")
        calls = [_words([message]) for message in due(count)]
        client: Any = redis.asyncio.Redis.from_url(url)
        async with client:
            await client.script_load(_PUT.text)
            start = time.perf_counter()
            for words in calls:
                await client.execute_command(*words)
            return count / (time.perf_counter() - start)

    async def served(self, seconds: float) -> float | None:
        return await self._servers.served("redis", seconds)

    async def at_rest(self) -> None:
        """It rewrites its file after much was stored, which takes a core."""
        with _plain(self._port) as plain:
            while re.search(_BUSY, plain.ask("INFO", "persistence")):  # noqa: ASYNC110  # it tells nobody
                await asyncio.sleep(0.1)

    async def size(self, url: str) -> int | None:
        with _plain(self._port) as plain:
            facts = plain.ask("INFO", "memory").decode()
        return int(facts.partition("used_memory_dataset:")[2].split()[0])


class _Plain:
    """A connection that sends what is packed before, and finds the end of an answer."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._reader = hiredis.Reader()
        for each in (_PUT, CLAIM):
            self.ask("SCRIPT", "LOAD", each.text)

    def ask(self, *words: Any) -> Any:
        return self.send(hiredis.pack_command(words))

    def send(self, packed: bytes) -> Any:
        self._socket.sendall(packed)
        while (answer := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(1 << 18))
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextmanager
def _plain(port: int) -> Iterator[_Plain]:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        yield _Plain(connection)


def _puts(messages: Sequence[duly.Message]) -> list[bytes]:
    """Commands that store them, 500 at a time."""
    return [hiredis.pack_command(_words(chunk)) for chunk in chunks(messages)]


def _words(messages: Sequence[duly.Message]) -> tuple[Any, ...]:
    """The command that stores some messages."""
    part = [field for message in messages for field in fields(message)]
    return _evalsha(_PUT, [0, [False, len(messages)], part, {}])


def _evalsha(script: Script, arguments: Sequence[Any]) -> tuple[Any, ...]:
    packed = msgspec.msgpack.encode(arguments)
    return ("EVALSHA", script.sha, len(_KEYS), *_KEYS, packed, _CHANNEL)


@asynccontextmanager
async def ground(servers: Servers) -> AsyncIterator[Redis]:
    port = urlsplit(await servers.url("redis")).port or 6379
    with _plain(port) as plain:
        version = plain.ask("INFO", "server").decode().partition("redis_version:")[2].split()[0]
    yield Redis(servers, port, version)
