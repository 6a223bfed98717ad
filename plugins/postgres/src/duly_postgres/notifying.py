"""Telling the schedulers of other processes that something came in, and hearing it from them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from duly import StoreError
from duly_postgres.connection import Connection
from duly_postgres.connector import Connector
from duly_postgres.errors import translated
from duly_postgres.wakeups import Bell

__all__ = ["Listener", "Notifier"]

_SPACING: Final = 0.005  # seconds between two notes of one process
_ALIVE: Final = 30.0  # seconds after which a silent connection is asked whether it is still there
_PATIENCE: Final = 10.0  # seconds for its answer, or for the answer to a note
_LAST_WORDS: Final = 2.0  # seconds for notes still to be sent when all is closed
_PAUSES: Final = (0.1, 0.5, 1.0, 2.0, 5.0)  # seconds before each new try, the last one for good


class Notifier:
    """Sends notes, one at a time: what comes in while one is under way shares the next.

    Notes are sent after the commit and not in it, which would make commits wait for each other.
    A lost note costs a nap: no scheduler sleeps for longer than five seconds. A note that gets no
    answer is given up, and the next one is sent over another connection.
    """

    def __init__(self, send: Callable[[], Awaitable[object]]) -> None:
        self._send = send
        self._wanted = False
        self._sending: asyncio.Task[None] | None = None
        self.trouble: StoreError | None = None
        """Why the last note was not sent; None when all is well."""

    def tell(self) -> None:
        """Send a note, soon."""
        self._wanted = True
        if self._sending is None or self._sending.done():
            self._sending = asyncio.ensure_future(self._send_all())

    async def close(self) -> None:
        """Return when all notes asked for are sent, or cannot be."""
        sending, self._sending = self._sending, None
        if sending is not None and not sending.done():
            await asyncio.wait([sending], timeout=_LAST_WORDS)
            sending.cancel()
            await asyncio.wait([sending])

    async def _send_all(self) -> None:
        while self._wanted:
            self._wanted = False
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._send()
            except TimeoutError:
                self.trouble = StoreError(f"a note got no answer in {_PATIENCE:g} s")
            except StoreError as error:
                self.trouble = error
            else:
                self.trouble = None
            if self._sending is not None:
                await asyncio.sleep(_SPACING)


class Listener:
    """Rings a bell for each note, on a connection of its own that is made again when it drops."""

    def __init__(self, connector: Connector, channel: str, bell: Bell) -> None:
        self._connector = connector
        self._channel = channel
        self._bell = bell
        self._task: asyncio.Task[None] | None = None
        self.trouble: StoreError | None = None
        """Why notes cannot be received at present; None when all is well, or nobody listens."""

    def start(self) -> None:
        """Listen from now on; a second time does nothing."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._listen())

    async def close(self) -> None:
        """Listen no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _listen(self) -> None:
        failures = 0
        while True:
            try:
                with translated(self._channel):
                    connection = await self._connector.connect()
                    if connection.pooled:  # notes do not arrive through a pooler
                        await connection.close()
                        return
                    try:
                        await self._hear(connection)
                    finally:
                        await connection.close()
            except StoreError as error:
                failures = 0 if self.trouble is None else failures + 1
                self.trouble = error
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])

    async def _hear(self, connection: Connection) -> None:
        """Listen until the connection is lost, which raises."""
        driver, lost = connection.driver, asyncio.Event()

        def note(*_: Any) -> None:
            self._bell.ring()

        driver.add_termination_listener(lambda _: lost.set())
        await _answered(connection, driver.add_listener(self._channel, note))
        self.trouble = None
        self._bell.ring()  # something may have come in while nobody listened
        while not lost.is_set():
            try:
                await asyncio.wait_for(lost.wait(), _ALIVE)
            except TimeoutError:
                await _answered(connection, driver.execute("SELECT 1"))
        raise StoreError("the connection that listened was lost")


async def _answered(connection: Connection, asking: Awaitable[object]) -> None:
    try:
        await asyncio.wait_for(asking, _PATIENCE)
    except TimeoutError as error:
        connection.terminate()
        raise StoreError("the connection that listens does not answer") from error
