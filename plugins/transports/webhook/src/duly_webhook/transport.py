"""The transport: one POST for each message."""

import contextlib
import io
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from duly.errors import InvalidArgument, Rejected, TransportUnavailable
from duly.tls import TLS
from duly.transport import Envelope, Limits
from duly.url import mask
from duly_webhook.addresses import Addresses, Resolver
from duly_webhook.certificates import Certificates
from duly_webhook.content import MODES, Mode, content_of
from duly_webhook.errors import check_answer, translated
from duly_webhook.headers import names_allowed
from duly_webhook.listening import Answer, NotSentError, Request, UnreadableAnswerError
from duly_webhook.login import login_taken
from duly_webhook.server import Place, PlaceOf, place_is_url
from duly_webhook.signing import keys_of, signature_headers
from duly_webhook.turns import telling_of_turns

__all__ = ["WebhookTransport"]

_CONNECTING: Final = 10.0  # seconds
_READ: Final = 65536  # bytes of an answer that are read, so that its connection can be used again
_SENT_AT_ONCE: Final = 2**20  # bytes
_ALL_CONNECTIONS: Final = 1000
_USER_AGENT: Final = "duly-webhook"
_ONE_AUTHORIZATION: Final = "give either a user and a password or another authorization"


class WebhookTransport:
    """Sends each message by POST as a CloudEvent 1.0; accepted is what is answered with 2xx.

    Its receipt is the status. ``target`` is a URL, whose path and query may hold ``{event_name}``,
    or a function that names the URL for each envelope. With a function there are many receivers,
    none of which is the whole transport: if one is gone, that is a failed attempt and not an
    outage.

    ``mode`` is ``"binary"`` (the body is the payload) or ``"structured"`` (the body is JSON).
    ``source`` is the URI reference in the events' attribute of that name. With ``secrets``
    requests are signed as Standard Webhooks says, once with each, so that a receiver may change
    from one secret to another. ``authorization`` is sent as that header. Addresses that are not
    public are refused unless ``allow_private``, those of clouds' metadata services always.
    ``allow_headers`` names headers that proxies obey and that metadata may set nevertheless.
    ``timeout`` is how long a receiver may neither read nor answer until the attempt has failed.
    ``connections`` is the most for one host.

    Raises:
        InvalidArgument: a URL of another scheme or without a host, an unknown mode, a malformed
            secret, a header that is not for proxies, or a number below 1.
    """

    def __init__(
        self,
        target: str | PlaceOf,
        *,
        mode: Mode = "binary",
        source: str = "duly",
        secrets: Sequence[str] = (),
        authorization: str | None = None,
        allow_headers: Iterable[str] = (),
        allow_private: bool = False,
        timeout: timedelta = timedelta(seconds=15),
        connections: int = 100,
        tls: TLS | None = None,
    ) -> None:
        if mode not in MODES:
            raise InvalidArgument(f"mode: it is {' or '.join(MODES)}, not {mode!r}")
        if not source:
            raise InvalidArgument("source: a CloudEvent needs one; write for example /shop")
        if connections < 1 or timeout <= timedelta(0):
            raise InvalidArgument("connections and timeout have to be above 0")
        if authorization is not None and not (
            authorization.isascii() and authorization.isprintable()
        ):
            raise InvalidArgument("authorization: a header holds printable ASCII only")
        if authorization is not None and isinstance(target, str) and "@" in urlsplit(target).netloc:
            raise InvalidArgument(_ONE_AUTHORIZATION)
        self._addresses = Addresses(allow_private=allow_private)
        self._place: Place | None = None
        if isinstance(target, str):
            self._place = target = Place(target, self._addresses)
        self._place_of = target
        self._mode = mode
        self._source = source
        self._keys = keys_of(secrets)
        self._authorization = authorization
        self._allowed = names_allowed(allow_headers)
        self._timeout = timeout.total_seconds()
        self._connections = connections
        all_connections = max(_ALL_CONNECTIONS, connections)
        self._limits = Limits(in_all=connections if self._place else all_connections)
        self._certificates = Certificates(tls)
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"WebhookTransport({self._place.shown if self._place else 'several places'})"

    async def open(self) -> None:
        if self._place is not None:
            await self._place.reach()
        if self._session is None:
            self._session = self._new_session()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def publish(self, envelope: Envelope) -> str:
        place = self._place_of(envelope)
        if not place_is_url(place):
            raise Rejected(f"{mask(place)!r} is not a URL of http or https, percent-encoded")
        headers, body = content_of(envelope, self._mode, self._source, self._allowed)
        if self._keys:
            headers |= signature_headers(self._keys, envelope.delivery_id, int(time.time()), body)
        url, authorization = self._login(place)
        if authorization is not None:
            headers["authorization"] = authorization
        if self._session is None:
            raise TransportUnavailable("the webhook transport is not open")
        try:
            while True:
                with contextlib.suppress(NotSentError):  # try the next connection
                    return await self._post(self._session, url, headers, body)
        except UnreadableAnswerError as answer:
            return check_answer(answer, place)
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            raise translated(error, place, alone=self._place is not None) from error

    async def check(self) -> Sequence[str]:
        if self._place is not None:
            try:
                await self._place.reach()
            except (TransportUnavailable, InvalidArgument) as error:
                return [str(error)]
        return []

    def limits(self) -> Limits:
        """As many as there are connections: to the one receiver, or to all if there are several."""
        return self._limits

    def _login(self, place: str) -> tuple[str, str | None]:
        """The URL without a user and a password, and the header that says who asks."""
        try:
            url, login = login_taken(place)
        except InvalidArgument as error:  # in a URL that a function returned
            raise Rejected(str(error)) from error
        if login is None:
            return url, self._authorization
        if self._authorization is not None:
            raise Rejected(f"{mask(place)!r}: {_ONE_AUTHORIZATION}")
        return url, login

    async def _post(
        self, session: aiohttp.ClientSession, text: str, headers: dict[str, str], body: bytes
    ) -> str:
        url = URL(text, encoded=True)
        data = body if len(body) <= _SENT_AT_ONCE else io.BytesIO(body)  # in pieces
        encrypted = self._certificates.now()
        async with session.post(
            url, data=data, headers=headers, ssl=encrypted, allow_redirects=False
        ) as answer:
            receipt = check_answer(answer, text)
            with contextlib.suppress(aiohttp.ClientError, OSError):  # it has accepted already
                await answer.content.read(_READ)
            return receipt

    def _new_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=max(_ALL_CONNECTIONS, self._connections),
                limit_per_host=self._connections,
                resolver=Resolver(self._addresses),
                socket_factory=self._addresses.new_socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"user-agent": _USER_AGENT, "accept-encoding": "identity"},
            skip_auto_headers=["accept"],  # only metadata sets it
            auto_decompress=False,  # nothing but the status is read
            request_class=Request,
            response_class=Answer,
            trace_configs=[] if self._place else [telling_of_turns()],
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=_CONNECTING, sock_read=self._timeout
            ),
        )
