"""Consumers of what the Redis transports send, by redis-py's own means."""

import asyncio
import base64
import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import RedisClusterException, RedisError

from duly.testing.transports import Received
from duly_redis_streams import read, read_json

AWAY = (RedisError, RedisClusterException, OSError)


class Consumer(ABC):
    """Notes all that comes, and comes back by itself when the server was away."""

    def __init__(self, client: Redis | RedisCluster) -> None:
        self.client = client
        self.got: list[Received] = []
        self._came = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self) -> None:
        await self.read()  # so that it has all of its connections
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        self._stopping = True  # redis-py may swallow what cancels a task of ours
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self.client.aclose()

    async def wait_for(self, number: int) -> Sequence[Received]:
        async with self._came:
            await self._came.wait_for(lambda: len(self.got) >= number)
        return list(self.got)

    async def note(self, found: Received) -> None:
        async with self._came:
            self.got.append(found)
            self._came.notify_all()

    @abstractmethod
    async def read(self) -> None:
        """Note what has come since last time."""

    async def _run(self) -> None:
        while not self._stopping:
            try:
                await self.read()
            except AWAY:
                await asyncio.sleep(0.02)


class StreamReader(Consumer):
    """Reads streams from their beginning on: ``start`` and an event name is the key of each."""

    def __init__(self, client: Redis | RedisCluster, prefix: str, names: Sequence[str]) -> None:
        super().__init__(client)
        self._names = {f"{prefix}{name}".encode(): name for name in names}
        self._last: dict[Any, Any] = dict.fromkeys(self._names, b"0")
        self.ids: list[str] = []

    async def read(self) -> None:
        found: Any = []
        if isinstance(self.client, RedisCluster):  # where each may be at another node
            for stream, last in self._last.items():
                found += await self.client.xread({stream: last}, count=1000) or []
            await asyncio.sleep(0.01)
        else:
            found = await self.client.xread(self._last, block=20, count=1000) or []
        for stream, entries in found:
            for id, fields in entries:
                self._last[stream] = id
                self.ids.append(id.decode())
                entry = understood(fields)
                assert entry.event_name == self._names[stream], "in another's stream"
                await self.note(entry)

    async def stop(self) -> None:
        with contextlib.suppress(*AWAY):
            for stream in self._names:
                await self.client.delete(stream)
        await super().stop()


def understood(fields: Mapping[bytes, bytes]) -> Received:
    """An entry as the README says how to read it."""
    texts = {name.decode(): value for name, value in fields.items()}
    event_name, payload = texts.pop("event_name").decode(), texts.pop("payload")
    headers = {}
    for name, value in texts.items():
        text = value.decode()
        if name.endswith("*"):
            name, text = name[:-1], unquote(text)  # noqa: PLW2901  # decoded step by step
        headers[name.removeprefix("metadata-")] = text
    return Received(event_name=event_name, payload=payload, headers=headers, envelope=read(fields))


class Subscriber(Consumer):
    """Listens to all channels whose names begin like that."""

    def __init__(self, client: Redis | RedisCluster, prefix: str) -> None:
        super().__init__(client)
        self._prefix = prefix
        self._pubsub = client.pubsub()
        self.listening = asyncio.Event()

    async def start(self) -> None:
        while not self.listening.is_set():
            await self.read()
        await super().start()

    async def read(self) -> None:
        try:
            if not self._pubsub.subscribed or not self.listening.is_set():
                await self._pubsub.psubscribe(f"{self._prefix}*")
            message = await self._pubsub.get_message(timeout=0.02)
        except AWAY:
            self.listening.clear()
            raise
        if message is None:
            return
        if message["type"] == "psubscribe":
            self.listening.set()
        elif message["type"] == "pmessage":
            found = told(message["data"])
            assert message["channel"].decode() == f"{self._prefix}{found.event_name}"
            await self.note(found)

    async def stop(self) -> None:
        await self._pubsub.aclose()
        await super().stop()


def told(data: bytes) -> Received:
    """A message as the README says how to read it."""
    content = json.loads(data)
    payload = content.get("payload")
    return Received(
        event_name=content["event_name"],
        payload=base64.b64decode(content["payload_base64"])
        if payload is None
        else payload.encode(),
        headers=content["headers"],
        envelope=read_json(data),
    )
