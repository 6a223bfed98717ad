"""A wire between a client and a server that can be cut and held up without touching the server."""

import asyncio
import contextlib
from typing import Self


class Proxy:
    """Passes bytes on between those who connect to ``port`` and the server at ``target``.

    It is like a network: :meth:`stop` cuts every connection and refuses new ones, :meth:`start`
    lets them in again at the same port, and :meth:`hold` keeps what is sent until :meth:`let_go`.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Accept connections; the port is free at first and the same later."""
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut all connections, and accept none."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in (tasks := [*self._tasks]):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def hold(self) -> None:
        """Pass nothing on, as if the other side had stopped in its tracks."""
        self._flowing.clear()

    def let_go(self) -> None:
        """Pass on what was held, and all that follows."""
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        writers = [writer]
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                there, back = await asyncio.open_connection("127.0.0.1", self._target)
                writers.append(back)
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pass_on(reader, back))
                    group.create_task(self._pass_on(there, writer))
        except* OSError:
            pass  # one side hung up
        finally:
            for each in writers:
                each.transport.abort()
            self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionError("one side hung up, and so does the other")
