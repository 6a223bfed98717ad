"""A TCP proxy of the tests' own: what goes through it can be cut, also while both ends live on."""

import asyncio
import contextlib
from ssl import SSLContext
from typing import Self

from tests.servers.process import free_port


class Proxy:
    """Passes on what comes at ``port`` to another port of the loopback, in this event loop.

    Left out, ``port`` is a free one. With a context its own end is encrypted.
    """

    def __init__(
        self, port: int | None = None, to: int = 0, *, ssl: SSLContext | None = None
    ) -> None:
        self.port = port or free_port()
        self.to = to
        self._ssl = ssl
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()

    async def start(self) -> None:
        """Listen, also once more."""
        if self._server is None:
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", self.port, ssl=self._ssl
            )

    async def cut(self) -> None:
        """Cut all connections without a word, and listen no more."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in self._writers:
            writer.transport.abort()
        self.flow()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def freeze(self) -> None:
        """Pass nothing on any more; connections stay, and new ones are accepted."""
        self._flowing.clear()

    def flow(self) -> None:
        """Go on after a freeze, with what was held back first."""
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError):
                there, back = await asyncio.open_connection("127.0.0.1", self.to)
                self._writers.add(back)
                await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
                self._writers.discard(back)
        finally:
            writer.close()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One way; when it is at its end, so is the other."""
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(65536):
                    await self._flowing.wait()
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.close()
