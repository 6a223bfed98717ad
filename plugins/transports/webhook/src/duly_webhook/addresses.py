"""Which addresses a webhook may go to: public ones, unless others are allowed.

They are checked when a socket is made for an address, after all names are resolved, so that no
other spelling of an address and no change of a DNS entry gets around the check.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

from duly_webhook.metadata_services import is_metadata_service

__all__ = ["IS_METADATA", "IS_PRIVATE", "AddressError", "Addresses", "Resolver", "is_public"]

IS_PRIVATE: Final = "is a private address"
IS_METADATA: Final = "is an address of a cloud's metadata service"

_NAT64: Final = IPv6Network("64:ff9b::/96")
# Not routed either, but not every version of Python knows that.
_NOT_ROUTED: Final = tuple(
    map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20", "5f00::/16", "fec0::/10"))
)


class AddressError(OSError):
    """An address of this host or network, of no host, or of a cloud's metadata service."""


def is_public(text: str) -> bool:
    """Whether an address, as text, belongs to a host of the public internet."""
    address = _understood(text)
    return (
        address is not None
        and address.is_global
        and not (
            address.is_multicast
            or address.is_reserved
            or address.is_unspecified
            or any(address in network for network in _NOT_ROUTED)
        )
    )


def _understood(text: str) -> IPv4Address | IPv6Address | None:
    """The address that is meant; None for a malformed one, which may be understood as any."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and _inner(address)) or address


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour


class Addresses:
    """Allows or refuses addresses; metadata services are refused even with ``allow_private``."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private

    def refusal(self, text: str) -> str | None:
        """What is wrong with an address; None if it may be called."""
        address = _understood(text)
        if address is not None and is_metadata_service(address):
            return f"{text} {IS_METADATA}"
        return None if self._allow_private or is_public(text) else f"{text} {IS_PRIVATE}"

    def new_socket(self, address_info: tuple[Any, ...]) -> socket.socket:
        """A socket for an address as ``getaddrinfo`` gives it.

        Raises:
            AddressError: it is refused.
        """
        family, kind, protocol, _, address = address_info
        if (refusal := self.refusal(address[0])) is not None:
            raise AddressError(refusal)
        return socket.socket(family, kind, protocol)


class Resolver(ThreadedResolver):
    """Leaves out the refused addresses of a name that has others as well.

    Otherwise only the last address would decide the error when none could be reached.
    """

    def __init__(self, addresses: Addresses) -> None:
        super().__init__()
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name that may be called; all of them if none may."""
        found = await super().resolve(host, port, family)
        return [each for each in found if self._addresses.refusal(each["host"]) is None] or found
