"""A TCP proxy before a server, for tests of what happens when the server is away or silent."""

import asyncio
import contextlib
import platform
import socket
import threading
from collections.abc import Coroutine
from datetime import timedelta
from ssl import SSLContext
from typing import Any, Final, Self, TypeVar

from duly.testing.tcp import LOOPBACK, Cut, How, bound, end_with, reset_at_close

__all__ = ["Gate"]

T = TypeVar("T")

_CHUNK: Final = 65_536  # bytes
_WAITING: Final = 4096  # connections that a crowd opens at once


class Gate:
    """A proxy: passes on to a server what comes at a loopback port, until a test says otherwise.

    A client is given ``port`` in place of the server's own::

        async with Gate(5672) as gate:
            transport = MyTransport("127.0.0.1", gate.port)
            ...
            gate.freeze()        # connections stay, and nobody answers
            gate.thaw()
            await gate.cut()     # connections are reset, new ones are welcome
            await gate.shut()    # connections end, new ones are refused
            await gate.open()    # as if nothing had happened

    It works in a thread of its own, so that even a client that blocks the event loop gets its
    answers. Call all methods from one event loop.

    Args:
        to: the port of the server. May be set later, before the first connection.
        host: where the server is.
        port: where the gate listens; to be given for a server that tells clients this port as its
            own. With 0 it is a free one, known once the gate is open, and kept while it is shut.
        tls: with it the gate's own end is encrypted; what reaches the server is not.
    """

    def __init__(
        self,
        to: int = 0,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        tls: SSLContext | None = None,
    ) -> None:
        self.to = to
        self.host = host
        self.port = port
        self.delay = timedelta(0)
        """How long each piece of data, of at most 64 KiB, waits before it is passed on."""
        self.accepted = 0
        """How many connections came since the gate was made."""
        self.connections = 0
        """How many of them their clients hold open now. While frozen an end may go unseen."""
        self.passed = 0
        """How many bytes were passed on, both ways together."""
        self._tls = tls
        self._cut: Cut | None = None
        self._flowing = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: asyncio.Server | None = None
        self._holder: socket.socket | None = None
        self._visits: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def __repr__(self) -> str:
        return f"Gate({self.to}, host={self.host!r}, port={self.port})"

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Let connections and data through, also after it was shut, frozen or closed.

        Raises:
            OSError: somebody else has the port.
        """
        if self._loop is None:
            self._loop, self._flowing = asyncio.new_event_loop(), asyncio.Event()
            self._thread = threading.Thread(
                target=_run, args=(self._loop,), name="duly-gate", daemon=True
            )
            self._thread.start()
        try:
            await self._inside(self._open())
        except BaseException:
            await self.close()
            raise

    async def shut(self) -> None:
        """End all connections, and refuse new ones: the server is away. Held data is dropped."""
        if self._loop is not None:
            await self._inside(self._shut())

    async def cut(self) -> None:
        """Reset all connections (RST), and take new ones. Held data is dropped."""
        if self._loop is not None:
            await self._inside(self._end_visits(reset=True))

    def cut_behind(self, pieces: int, how: How = "end") -> None:
        """Cut all connections, once, when ``pieces`` more pieces of data have passed, both ways.

        A piece is what one side sends at a time, at most 64 KiB: in a handshake a question or
        its answer. With 0 the next piece does not pass. ``how`` is ``"end"`` (the last byte comes
        together with the end of the connection), ``"reset"``, or ``"torn"``: half of the last
        piece, then a reset.
        """
        self._cut = Cut(pieces, how)

    @property
    def cutting(self) -> bool:
        """Whether the cut that was asked for is still to come."""
        return self._cut is not None

    def freeze(self) -> None:
        """Pass nothing on: connections stay, new ones are accepted, and nobody answers."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Go on after :meth:`freeze`, first with what was held back."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._flowing.set)

    async def close(self) -> None:
        """Shut it, end its thread and give back its port. It may be opened again."""
        loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            return
        await _inside(loop, self._shut())
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        if self._holder is not None:
            self._holder.close()
            self._holder = None

    async def _inside(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        return await _inside(self._loop, work)

    # --- in the thread of its own

    async def _open(self) -> None:
        if self._server is None:
            if self._holder is None and platform.system() == "Linux":
                # A port that is bound and not listened at refuses, and nobody else can take it.
                self._holder = bound(self.port)
                self.port = self._holder.getsockname()[1]
            listener = bound(self.port)
            self.port = listener.getsockname()[1]
            try:
                self._server = await asyncio.start_server(
                    self._admit, sock=listener, ssl=self._tls, backlog=_WAITING
                )
            except BaseException:
                listener.close()
                raise
        self._flowing.set()

    async def _shut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            loop = asyncio.get_running_loop()
            for listener in server.sockets:
                loop.remove_reader(listener.fileno())
            for _ in range(5):  # a server that closes forgets whom it has just accepted
                await asyncio.sleep(0)
            server.close()
        await self._end_visits(reset=False)

    async def _end_visits(self, *, reset: bool) -> None:
        self._dismiss(reset=reset)
        if self._visits:
            await asyncio.wait(self._visits)
            await asyncio.sleep(0)  # until they have left

    def _dismiss(self, *, reset: bool) -> None:
        for visit, writer in self._visits.items():
            if reset:
                reset_at_close(writer)
            visit.cancel()

    def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def leave(visit: asyncio.Task[None]) -> None:
            writer.transport.abort()
            self.connections -= 1
            del self._visits[visit]

        self.accepted += 1
        self.connections += 1
        visit = asyncio.create_task(self._visit(reader, writer))
        self._visits[visit] = writer
        visit.add_done_callback(leave)

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):  # the server is away, and so the connection ends
            await self._flowing.wait()
            there, back = await asyncio.open_connection(self.host, self.to)
            try:
                await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
            finally:
                back.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One way; when it is at its end, so is the other."""
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(_CHUNK):
                    if self.delay:
                        await asyncio.sleep(self.delay.total_seconds())
                    await self._flowing.wait()
                    self.passed += len(data)
                    if (cut := self._cut) is not None and cut.is_behind(data):
                        self._cut = None
                        end_with(cut.last, writer, reset=cut.resets)
                        self._dismiss(reset=cut.resets)
                        return
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.close()


async def _inside(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    if left := asyncio.all_tasks(loop):  # in the middle of a handshake
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.wait(left))
    for _ in range(5):  # what ends a connection comes a step or two later
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()
