"""Where messages go: one place for all, or one that a function names for each."""

import asyncio
import socket
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Final, TypeAlias
from urllib.parse import quote, urlsplit

from duly.errors import InvalidArgument, Rejected, TransportUnavailable
from duly.template import Template
from duly.transport import Envelope
from duly.url import mask
from duly_webhook.addresses import IS_METADATA, Addresses
from duly_webhook.login import login_taken
from duly_webhook.paths import leaves_its_path

__all__ = ["Place", "PlaceOf", "place_is_url"]

PlaceOf: TypeAlias = Callable[[Envelope], str]

_PORTS: Final = {"http": 80, "https": 443}
_REACHING: Final = 10.0  # seconds


def place_is_url(text: str) -> bool:
    """Whether it is a URL of http or https with a host, and fully percent-encoded."""
    try:
        parts = urlsplit(text)
        port = parts.port
        if (parts.hostname or "").replace(".", "").isdigit():
            IPv4Address(parts.hostname)  # only in the form that everybody reads alike
    except ValueError:
        return False
    plain = text.isascii() and text.isprintable() and " " not in text
    return plain and parts.scheme in _PORTS and bool(parts.hostname) and port != 0


class Place:
    """One URL for all messages; ``{event_name}`` may stand in its path or query."""

    def __init__(self, text: str, addresses: Addresses) -> None:
        if not place_is_url(text):
            raise InvalidArgument(
                f"{mask(text)!r} is not a URL of http or https with a host; percent-encode special "
                "characters"
            )
        parts = urlsplit(text)
        if "{" in parts.netloc:
            raise InvalidArgument(f"{mask(text)!r}: its host cannot vary")
        if "#" in text:  # what follows is never sent
            raise InvalidArgument(f"{mask(text)!r} has a fragment: write a # as %23")
        if leaves_its_path(text):
            raise InvalidArgument(f"{mask(text)!r}: its path has . or .. in it; write it without")
        self._host, self._port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        login_taken(text)
        self._template = Template(text, option="the URL", encode=lambda name: quote(name, safe=""))
        self._allowed = addresses
        self.shown = f"{parts.scheme}://{self._host}:{self._port}"

    def __call__(self, envelope: Envelope) -> str:
        place = self._template.fill(envelope.event_name)
        if self._template.varies and leaves_its_path(place):
            raise Rejected(
                f"{mask(place)!r}: the event name means . or .. in the path, which would call "
                "another place; rename it, or put it into the query"
            )
        return place

    async def reach(self) -> None:
        """Check that somebody accepts connections there.

        Raises:
            TransportUnavailable: nobody does.
            InvalidArgument: its name has only addresses that are not allowed.
        """
        try:
            async with asyncio.timeout(_REACHING):
                addresses = await self._addresses()
                await _connect(addresses)
        except OSError as error:  # TimeoutError is one
            reason = str(error) or "no answer"
            raise TransportUnavailable(f"{self.shown}: {reason}") from error

    async def _addresses(self) -> list[tuple[str, int]]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        addresses = [(str(address[0]), self._port) for *_, address in found]
        allowed = [each for each in addresses if self._allowed.refusal(each[0]) is None]
        if not allowed:
            refusal = self._allowed.refusal(addresses[0][0]) or ""
            never = IS_METADATA in refusal
            raise InvalidArgument(
                f"{self.shown}: {refusal}, which webhooks "
                + ("never go to" if never else "do not go to unless allow_private is true")
            )
        return allowed


async def _connect(addresses: list[tuple[str, int]]) -> None:
    """Connect to the first that answers, and disconnect."""
    for number, (host, port) in enumerate(addresses, 1):
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            if number == len(addresses):
                raise
        else:
            writer.close()
            return
