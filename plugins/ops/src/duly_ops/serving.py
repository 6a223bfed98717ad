"""A thread that serves the pages, whatever the event loop of the schedulers does."""

import asyncio
import logging
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Final

import uvicorn

from duly_ops.addresses import Address
from duly_ops.pages import Pages, View

__all__ = ["Serving"]

_THREAD: Final = "duly-ops"
_ENDS_WITHIN: Final = 3.0  # seconds
_CONNECTIONS: Final = 100  # at a time; more are answered 503
_HEAD_BYTES: Final = 16_384  # of a request: its line and headers

log = logging.getLogger("duly.ops")


class Serving:
    """The server of one address, and what else is done ``beside`` it for ever, on its loop."""

    def __init__(self, address: Address, view: View, beside: Callable[[], Awaitable[None]]) -> None:
        self.asked = address
        self._view = view
        self._beside = beside
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.address: Address | None = None
        """Where it listens; None while it does not."""

    def start(self) -> None:
        """Listen, and serve from a thread of its own.

        Raises:
            PluginError: the address cannot be had.
        """
        listening = self.asked.bind()
        self.address = self.asked.bound(listening)
        config = uvicorn.Config(
            Pages(self._view), http="h11", ws="none", lifespan="off", log_config=None,
            access_log=False, server_header=False, limit_concurrency=_CONNECTIONS,
            h11_max_incomplete_event_size=_HEAD_BYTES, timeout_graceful_shutdown=1,
        )  # fmt: skip
        logging.getLogger("uvicorn.error").addFilter(_not_of_ours)  # again does nothing
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._run, args=[self._server, listening], name=_THREAD, daemon=True
        )
        self._thread.start()
        log.info("ops_serving address=%s", self.address)

    def stop(self) -> None:
        """Serve no more. The address is free when this returns; the thread ends in a moment."""
        server, thread, loop = self._server, self._thread, self._loop
        self.address = self._server = self._thread = self._loop = None
        if server is None or thread is None:
            return
        server.should_exit = True
        free = threading.Event()

        def close() -> None:
            for each in getattr(server, "servers", ()):  # none until it has begun
                each.close()
            free.set()

        try:
            if loop is None:
                thread.join(_ENDS_WITHIN)
            else:
                loop.call_soon_threadsafe(close)
                free.wait(_ENDS_WITHIN)
        except RuntimeError:  # it has ended already
            return

    def _run(self, server: uvicorn.Server, listening: socket.socket) -> None:
        try:
            asyncio.run(self._serve(server, listening))
        except Exception:  # the schedulers go on
            log.exception("ops_failed")
        finally:
            listening.close()

    async def _serve(self, server: uvicorn.Server, listening: socket.socket) -> None:
        if self._server is server:
            self._loop = asyncio.get_running_loop()
        beside = asyncio.ensure_future(self._beside())
        try:
            await server.serve(sockets=[listening])
        finally:
            beside.cancel()


def _not_of_ours(record: logging.LogRecord) -> bool:
    """Whether a line is of a server of the application's own, or of something wrong."""
    return record.threadName != _THREAD or record.levelno > logging.INFO
