"""One connection and one channel to the broker, made anew when they are lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final, cast

import aiormq
import attrs
from aio_pika.exceptions import ChannelClosed

from duly.errors import TransportError, TransportUnavailable
from duly_rabbitmq.errors import RefusedError, limit_told_by, translating
from duly_rabbitmq.exchange import Exchange
from duly_rabbitmq.limits import Limits, limits_of
from duly_rabbitmq.line import Line, is_busy, reach, takes
from duly_rabbitmq.server import Server
from duly_rabbitmq.shared import Shared

__all__ = ["Link"]

_ANSWERING: Final = 5.0  # seconds
_CLOSING: Final = 2.0
_LOOKING: Final = 100  # the number of a channel that no other has


class Link:
    """What messages are published on: a channel with publisher confirms.

    ``largest`` is the limit for payloads, in bytes, where it is not the default of the broker.

    Raises:
        InvalidArgument: a file for TLS that is missing, or that holds something else.
    """

    def __init__(self, server: Server, exchange: Exchange, largest: int | None = None) -> None:
        self.shown = str(server)
        self.limits = Limits()
        """What the broker that was connected to last has room for."""
        self._server = server
        self._exchange = exchange
        self._largest = largest
        self._tls = server.context()
        self._open = False
        self._line: Line | None = None
        self._channel: aiormq.Channel | None = None
        self._turn = asyncio.Lock()
        self._connect = Shared(self._make_channel)
        self._ask = Shared(self._look)
        self._leaving: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Connect, unless it is connected; see :meth:`channel`.

        Raises:
            TransportError: also when the broker lets us not in and never has.
        """
        anew, self._open = not self._open, True
        if anew:
            self._turn = asyncio.Lock()  # of this event loop
        try:
            await self.channel()
        except TransportError as error:
            refused = isinstance(error, RefusedError)
            if anew and (refused or not isinstance(error, TransportUnavailable)):
                await self.close()  # it is not merely away, so nobody may call again
                if refused:
                    raise TransportError(str(error)) from error
            raise

    async def close(self) -> None:
        """Hang up; those who wait for the broker learn that it is gone."""
        self._open = False
        await self._connect.cancel()
        await self._ask.cancel()
        await self._hang_up()
        if self._leaving:  # from earlier connections
            await asyncio.wait(self._leaving, timeout=_CLOSING)

    async def channel(self) -> aiormq.Channel:
        """A channel that takes a message now, but no longer when the caller has waited since.

        Where the broker has closed it another one is opened, with the connection if need be.

        Raises:
            TransportUnavailable: the broker is away, lets us not in, or takes no messages for now.
            TransportError: the exchange cannot be declared.
        """
        while True:
            if not self._open:
                raise TransportUnavailable(f"the transport to {self.shown} is not open")
            channel = self._channel
            if channel is None or not takes(channel):
                with translating(self.shown):
                    await self._connect()
                continue
            # What the driver has no room for it would write later, and to a channel that the
            # broker may have closed meanwhile: the broker closes the connection for that.
            async with self._turn:
                # The driver tells nobody when it has written.
                while is_busy(channel):  # noqa: ASYNC110  # there is no event to wait for
                    await asyncio.sleep(0)
            if takes(channel):
                self.check_blocked()
                return channel

    async def ask(self) -> None:
        """See whether the broker answers and has the exchange; a silent one is hung up on.

        Raises:
            TransportUnavailable: it does not answer.
            TransportError: it has no such exchange.
        """
        with translating(self.shown):
            await self._ask()

    def learn_from(self, error: ChannelClosed) -> None:
        """Take note of a limit that the broker told when it closed the channel."""
        if (largest := limit_told_by(error)) is not None:
            self.limits = attrs.evolve(self.limits, payload=largest)

    def check_blocked(self) -> None:
        """Return unless the broker has asked for silence.

        Raises:
            TransportUnavailable: it has.
        """
        if self._line is not None and self._line.is_blocked:
            raise TransportUnavailable(
                f"{self.shown} takes no messages for now: it is short of memory or disk"
            )

    async def _make_channel(self) -> None:
        line, closed = self._line, self._channel
        if line is None or not line.driver.is_opened:
            await self._hang_up()
            self._line = line = await reach(self._server, self._tls)
            self.limits = limits_of(line.driver, self._largest)
        elif closed is not None:  # its number is used again, so its end must have been answered
            async with self._answering():
                await asyncio.wait({closed.closing})
        async with self._answering():
            channel = line.connection.channel(on_return_raises=True)
            await channel.initialize()
            await self._exchange.declare(channel)
            # Its own publish() waits for the socket after each message; the driver need not.
            self._channel = cast(aiormq.Channel, await channel.get_underlay_channel())

    async def _look(self) -> None:
        line = self._line
        if line is None or not line.driver.is_opened:
            raise ConnectionError("the connection is lost")
        # On a channel of its own, which the broker closes where there is no exchange.
        own = line.connection.channel(_LOOKING, publisher_confirms=False)
        async with self._answering(), own as channel:
            await self._exchange.look(channel)

    @contextlib.asynccontextmanager
    async def _answering(self) -> AsyncIterator[None]:
        """Hang up on a broker that does not answer in time."""
        try:
            async with asyncio.timeout(_ANSWERING):
                yield
        except TimeoutError:
            await self._hang_up()
            raise

    async def _hang_up(self) -> None:
        line, self._line, self._channel = self._line, None, None
        if line is None:
            return
        closing = asyncio.get_running_loop().create_task(line.hang_up())
        self._leaving.add(closing)
        closing.add_done_callback(self._left)
        # A broker that is silent is not waited for; the driver gives it up by itself.
        await asyncio.wait({closing}, timeout=_CLOSING)

    def _left(self, closing: asyncio.Task[None]) -> None:
        self._leaving.discard(closing)
        if not closing.cancelled():
            closing.exception()  # it is gone, however it went
