"""A store behind a socket, as far from being real as can be: it stands for those of plugins.

The server keeps a memory store and does what it is told over TCP; clients have a connection of
their own, and one more by which they hear of changes. Pickles, for there is nobody else to talk to.
"""

import asyncio
import functools
import io
import pickle
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from duly.memory import MemoryStore
from duly.message import Message
from duly.record import from_record, to_record
from duly.store import Clock

__all__ = ["Server", "SocketStore"]

VERBS = (
    "put",
    "cancel",
    "reschedule",
    "get",
    "list",
    "claim",
    "renew",
    "settle",
    "stats",
    "read_note",
    "write_note",
    "notes",
    "lapse",
)


class Pickler(pickle.Pickler):
    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, Message):
            return from_record, (tuple(to_record(thing)), thing.state)
        return NotImplemented


async def send(writer: asyncio.StreamWriter, thing: object) -> None:
    data = io.BytesIO()
    Pickler(data).dump(thing)
    writer.write(struct.pack(">I", data.tell()) + data.getvalue())
    await writer.drain()


async def receive(reader: asyncio.StreamReader) -> Any:
    (length,) = struct.unpack(">I", await reader.readexactly(4))
    return pickle.loads(await reader.readexactly(length))


class Server:
    """Serves the store of one namespace, which goes by ``clock``."""

    def __init__(self, store: Callable[..., MemoryStore], clock: Clock) -> None:
        self._store = store(clock=clock)
        self._tasks: set[asyncio.Task[None] | None] = set()

    async def start(self) -> int:
        """The port on which it listens from now on."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        self._server.close()
        tasks = [task for task in self._tasks if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            while True:
                verb, args, more = await receive(reader)
                if verb == "tell of changes":
                    await self._tell_of_changes(writer)
                method: Callable[..., Awaitable[Any]] = getattr(self._store, verb)
                await send(writer, await method(*args, **more))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _tell_of_changes(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await self._store.wait_for_change()
            writer.write(b".")
            await writer.drain()


class SocketStore:
    """What a plugin would offer: a client of the server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._turn = asyncio.Lock()
        self._writers: list[asyncio.StreamWriter] = []
        for verb in VERBS:
            setattr(self, verb, functools.partial(self._call, verb))

    async def open(self) -> None:
        if not self._writers:
            self._answers, calls = await asyncio.open_connection("127.0.0.1", self._port)
            self._changes, other = await asyncio.open_connection("127.0.0.1", self._port)
            await send(other, ("tell of changes", (), {}))
            self._writers = [calls, other]

    async def close(self) -> None:
        writers, self._writers = self._writers, []
        for writer in writers:
            writer.close()
            await writer.wait_closed()

    async def wait_for_change(self) -> None:
        await self._changes.read(1024)

    async def _call(self, *call: Any, **more: Any) -> Any:
        verb, *args = call
        async with self._turn:
            await send(self._writers[0], (verb, args, more))
            return await receive(self._answers)
