"""Which addresses a webhook may go to: public ones, unless others are allowed.

Looked at when a socket is made for an address, after all names are resolved, so that no way of
writing an address and no change of a name's meaning gets around it.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

__all__ = ["PrivateAddressError", "PublicResolver", "is_public", "public_socket"]

_NAT64: Final = IPv6Network("64:ff9b::/96")
# Not routed either, though not every Python knows.
_NOT_ROUTED: Final = tuple(
    map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20", "5f00::/16", "fec0::/10"))
)


class PrivateAddressError(OSError):
    """An address of the own host or network, or of nobody."""


def is_public(text: str) -> bool:
    """Whether an address, as text, belongs to a host of the public internet."""
    try:
        address = ip_address(text)
    except ValueError:  # what is no proper address may be understood as any
        return False
    if isinstance(address, IPv6Address):
        address = _inner(address) or address
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or any(address in network for network in _NOT_ROUTED)
    )


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The address of the older kind that one of the newer kind stands for."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour


def public_socket(address_info: tuple[Any, ...]) -> socket.socket:
    """A socket for an address as ``getaddrinfo`` gives it.

    Raises:
        PrivateAddressError: it is not public.
    """
    family, kind, protocol, _, address = address_info
    if not is_public(address[0]):
        raise PrivateAddressError(f"{address[0]} is a private address")
    return socket.socket(family, kind, protocol)


class PublicResolver(ThreadedResolver):
    """Leaves the private addresses of a name out where it has public ones as well.

    Otherwise the last address alone would tell what it means that none could be reached.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name; all of them where none is public."""
        found = await super().resolve(host, port, family)
        return [each for each in found if is_public(each["host"])] or found
