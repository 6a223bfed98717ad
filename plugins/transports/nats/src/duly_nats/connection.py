"""One connection to one server: once it is lost it stays lost, and all who wait are told."""

import asyncio
import re
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, Final

import nats.errors
from nats.aio.client import Client

from duly.errors import DulyError, TransportError, TransportUnavailable
from duly.tls import TLS
from duly_nats.errors import NoAnswerError, at_connecting, at_sending
from duly_nats.login import Login
from duly_nats.remains import abort, end
from duly_nats.unconfirmed import Answer, Waiting

__all__ = ["Connection"]

_CONNECTING: Final = 5.0  # seconds, handshakes included
_PINGS: Final = 20  # seconds between two checks of an idle connection
_REFUSED: Final = re.compile(r'permissions violation for publish to "(.*)"', re.DOTALL)


class Connection:
    """A client of nats-py that does not reconnect, which would send late what has failed.

    ``place`` is ``host:port``; ``timeout`` is how many seconds an answer may take. A subclass
    knows how the server says that it has a message.
    """

    def __init__(self, place: str, *, timeout: float, inbox_prefix: str) -> None:
        self.place = place
        self.client = Client()
        self._timeout = timeout
        self._inbox_prefix = inbox_prefix
        self._heard: Exception | None = None
        self._broken: str | None = None
        self._asked: dict[str, asyncio.Task[bool]] = {}
        self._ending: asyncio.Task[None] | None = None
        self.waiting = Waiting(timeout, self.lost)

    def lost(self) -> str | None:
        """Why it can no longer be used; None while it can."""
        if self._broken is None and not self.client.is_connected:
            self._broken = f"{self.place}: the connection is lost{self._why()}"
        return self._broken

    async def connect(self, login: Login, tls: TLS | None) -> None:
        """Connect, and check that it is encrypted if it must be, before anything secret is sent.

        Raises:
            TransportUnavailable: nobody answers there, or the server cannot be trusted.
            TransportError: the login is refused.
            InvalidArgument: a file of the login cannot be used.
        """

        def check() -> None:
            # Only the server says whether to encrypt, and somebody in between could say no.
            info = self.client._server_info  # noqa: SLF001  # nats-py tells it nowhere else
            if tls is not None and not info.get("tls_required"):
                raise nats.errors.SecureConnWantedError

        try:
            async with asyncio.timeout(_CONNECTING):
                await self.client.connect(
                    f"nats://{self.place}", allow_reconnect=False, max_reconnect_attempts=1,
                    reconnect_time_wait=0, connect_timeout=4, ping_interval=_PINGS, name="duly",
                    tls=None if tls is None else tls.context(), error_cb=self._hear,
                    inbox_prefix=self._inbox_prefix, pending_size=0, **login.options(check),
                )  # fmt: skip
            check()
            await self._start()
        except BaseException as error:
            await self.close()
            if isinstance(error, DulyError) or not isinstance(error, Exception):
                raise
            vague = isinstance(error, nats.errors.NoServersError)
            raise at_connecting((vague and self._heard) or error, self.place) from error

    async def close(self) -> None:
        """Close it; those who wait are told. A cancelled caller leaves closing to the others."""
        self._broken = self._broken or f"{self.place}: the connection was closed"
        self.waiting.fail(self._broken)
        if self._ending is None:
            self._ending = asyncio.ensure_future(end(self.client, self._tasks()))
        await asyncio.shield(self._ending)

    async def send(
        self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a message; the future returned will hold its receipt, or why there is none.

        Raises:
            Rejected: the server would break the connection over it.
            TransportUnavailable: the connection is lost.
        """
        raise NotImplementedError

    async def alive(self) -> bool:
        """Whether the server answers in time; if not, the connection is given up."""
        return self.lost() is None and await self._once("alive", self._ping)

    async def flaws(self) -> Sequence[str]:
        """What a subclass finds wrong with the destination, although the server answers."""
        return []

    async def explain(self, error: TransportError, subject: str) -> TransportError:
        """The error for a message to that subject, and what it says of the whole server."""
        if not isinstance(error, NoAnswerError):
            return error
        if await self.alive():
            return TransportError(f"{self.place}: {error} for {subject}{self._why()}")
        return TransportUnavailable(self.lost() or str(error))

    def others(self) -> Sequence[str]:
        """The servers, ``host:port``, that the server has named; they belong to its cluster."""
        return [found.netloc for found in self.client.discovered_servers]

    def _tasks(self) -> Collection[asyncio.Task[Any]]:
        """All tasks that work for it and end with it."""
        return set(self._asked.values())

    async def _once(self, what: str, ask: Callable[[], Coroutine[Any, Any, bool]]) -> bool:
        """The answer to a question that many may ask at the same time; False once it is closed."""
        if self._ending is not None:
            return False
        asked = self._asked.get(what)
        if asked is None or asked.done():
            asked = self._asked[what] = asyncio.ensure_future(ask())
        await asyncio.wait([asked])  # a caller that is cancelled leaves it running for the others
        return not asked.cancelled() and asked.result()

    def _why(self) -> str:
        """The last error reported, in brackets."""
        told = str(self._heard or self.client.last_error or "").removeprefix("nats: ")
        return f" ({told})" if told else ""

    async def _start(self) -> None:
        """What a subclass needs before anything is sent."""

    async def _publish(self, subject: str, payload: bytes, **more: Any) -> None:
        if (reason := self.lost()) is not None:
            raise TransportUnavailable(reason)
        try:
            await self.client.publish(subject, payload, **more)
        except (nats.errors.Error, OSError, RuntimeError) as error:
            raise at_sending(error, self.place) from error

    async def _ping(self) -> bool:
        try:
            await self.client.rtt(self._timeout)  # type: ignore[arg-type]  # fractions are fine
        except (nats.errors.Error, OSError, RuntimeError):
            # The library cannot handle an answer that comes later: so the connection is given up.
            self._give_up("the server does not answer")
            return False
        return self.lost() is None

    def _give_up(self, reason: str) -> None:
        self._broken = self._broken or f"{self.place}: {reason}"
        abort(self.client)
        self.waiting.fail(self._broken)

    async def _hear(self, error: Exception) -> None:
        """Called by the library with errors that belong to no call."""
        text = str(error).removeprefix("nats: ")
        if (refused := _REFUSED.search(text)) is not None:
            self.waiting.refuse(refused[1], f"{self.place}: {text}")
        else:
            self._heard = error
