"""One connection and one channel to the broker, made anew when they are lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final, cast

import aiormq
import aiormq.abc
import attrs
from aio_pika.exceptions import ChannelClosed

from duly.errors import TransportError, TransportUnavailable
from duly_rabbitmq.dialing import Line, is_busy, reach, takes
from duly_rabbitmq.errors import RefusedError, limit_told_by, translating
from duly_rabbitmq.exchange import Exchange
from duly_rabbitmq.limits import Limits, limits_of
from duly_rabbitmq.server import Server
from duly_rabbitmq.shared import Shared

__all__ = ["Link"]

_ANSWERING: Final = 5.0  # seconds
_CLOSING: Final = 2.0
_LOOKING: Final = 100  # the number of a channel reserved for checks


class Link:
    """What messages are published on: a channel with publisher confirms.

    ``largest`` is the limit for payloads, in bytes, where it is not the default of the broker.

    Raises:
        InvalidArgument: a file for TLS that is missing, or that holds something else.
    """

    def __init__(self, server: Server, exchange: Exchange, largest: int | None = None) -> None:
        self.shown = str(server)
        self.limits = Limits()
        """The limits of the broker last connected to."""
        self._server = server
        self._exchange = exchange
        self._largest = largest
        server.context()  # so that a file that cannot be used is an error here
        self._open = False
        self._line: Line | None = None
        self._channel: aiormq.Channel | None = None
        self._number = 0  # of the last channel; they count from 1
        self._turn = asyncio.Lock()
        self._connect = Shared(self._make_channel)
        self._ask = Shared(self._look)
        self._leaving: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Connect, unless it is connected; see :meth:`channel`.

        Raises:
            TransportError: also when the broker refuses us and has never accepted us.
        """
        anew, self._open = not self._open, True
        if anew:
            self._turn = asyncio.Lock()  # of this event loop
        try:
            await self.channel()
        except TransportError as error:
            refused = isinstance(error, RefusedError)
            if anew and (refused or not isinstance(error, TransportUnavailable)):
                await self.close()  # it is not merely away, so perhaps nobody calls again
                if refused:
                    raise TransportError(str(error)) from error
            raise

    async def close(self) -> None:
        """Disconnect; those who wait for the broker learn that it is gone."""
        self._open = False
        await self._connect.cancel()
        await self._ask.cancel()
        await self._hang_up()
        if self._leaving:  # channels that were retired
            await asyncio.wait(self._leaving, timeout=_CLOSING)

    async def channel(self) -> aiormq.Channel:
        """A channel that can take a message now; ask again after any further wait.

        If the broker has closed it, another one is opened, with the connection if need be.

        Raises:
            TransportUnavailable: the broker is away, refuses us, or takes no messages for now.
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
            # If the driver has no room, it would write the message later, to a channel that the
            # broker may have closed meanwhile: for that the broker closes the connection.
            async with self._turn:
                # The driver has no signal for having written.
                while is_busy(channel):  # noqa: ASYNC110  # there is no event to wait for
                    await asyncio.sleep(0)
            if channel is self._channel and takes(channel):
                self.check_blocked()
                return channel

    async def ask(self) -> None:
        """Check that the broker answers and has the exchange; disconnect from a silent one.

        Raises:
            TransportUnavailable: it does not answer.
            TransportError: it has no such exchange.
        """
        with translating(self.shown):
            await self._ask()

    def retire(self, channel: aiormq.Channel) -> None:
        """Publish no more on a channel; it is closed when the messages in flight have answers.

        For a publish that was given up: the broker may still return its message, and the driver
        recognises returned messages only by their message id, which a repeat shares.
        """
        if channel is self._channel:
            self._channel = None
            self._leave(asyncio.ensure_future(_close_when_done(channel)))

    def learn_from(self, error: ChannelClosed) -> None:
        """Take note of a limit that the broker told when it closed the channel."""
        if (largest := limit_told_by(error)) is not None:
            self.limits = attrs.evolve(self.limits, payload=largest)

    def check_blocked(self) -> None:
        """Check that the broker has not blocked the connection.

        Raises:
            TransportUnavailable: it has.
        """
        if self._line is not None and self._line.is_blocked:
            raise TransportUnavailable(
                f"{self.shown} takes no messages for now: it is short of memory or disk"
            )

    async def _make_channel(self) -> None:
        line = self._line
        if line is None or not line.driver.is_opened:
            await self._hang_up()
            self._line = line = await reach(self._server)
            self.limits = limits_of(line.driver, self._largest)
        else:
            self.check_blocked()  # it would not answer
        async with self._answering():
            # A channel of the driver beneath: aio-pika's waits for the socket after each message,
            # and leaves something behind in the connection when it is closed.
            number = self._next_number(line.driver)
            channel = await line.driver.channel(number, on_return_raises=True)
            await self._exchange.declare(cast(aiormq.Channel, channel))
            self._channel = cast(aiormq.Channel, channel)

    def _next_number(self, driver: aiormq.abc.AbstractConnection) -> int | None:
        """The number for a channel: not the last one, whose closing may not be confirmed yet."""
        most = min(_LOOKING - 1, driver.connection_tune.channel_max or _LOOKING)
        for _ in range(most):
            self._number = self._number % most + 1
            if self._number not in driver.channels:
                return self._number
        return None  # many are being retired: let the driver choose

    async def _look(self) -> None:
        line = self._line
        if line is None or not line.driver.is_opened:
            raise ConnectionError("the connection is lost")
        # On a channel of its own, which the broker closes if there is no such exchange.
        async with self._answering():
            own = await line.driver.channel(_LOOKING, publisher_confirms=False)
            try:
                await self._exchange.look(cast(aiormq.Channel, own))
            finally:
                await own.close()

    @contextlib.asynccontextmanager
    async def _answering(self) -> AsyncIterator[None]:
        """Disconnect from a broker that does not answer in time."""
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
        closing = asyncio.ensure_future(line.hang_up())
        self._leave(closing)
        _, silent = await asyncio.wait({closing}, timeout=_CLOSING)
        if silent:
            line.wire.drop()
            await asyncio.wait(silent)

    def _leave(self, leaving: asyncio.Task[None]) -> None:
        self._leaving.add(leaving)
        leaving.add_done_callback(self._left)

    def _left(self, leaving: asyncio.Task[None]) -> None:
        self._leaving.discard(leaving)
        if not leaving.cancelled():
            leaving.exception()  # it is closed, whatever happened


async def _close_when_done(channel: aiormq.Channel) -> None:
    async with channel.lock:  # it is fair: all that came before has been written by now
        under_way = [each for each in channel.confirmations.values() if not each.done()]
    if under_way:
        await asyncio.wait(under_way)
    await channel.close()
