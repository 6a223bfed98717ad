"""Addresses at which clouds give a machine's secrets to any process on it: never a receiver's.

Otherwise anybody who may name a URL could have such a service called, and some of these act on what
they are sent. Azure's address is public; the others are private, but ``allow_private`` does not
include them.
"""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

__all__ = ["SERVICES", "is_metadata_service"]

_COMMON: Final = "169.254.169.254"

SERVICES: Final[Mapping[str, Sequence[str]]] = {
    "Alibaba Cloud": ["100.100.100.200"],
    "AWS": [
        _COMMON, "169.254.169.123", "169.254.169.253", "fd00:ec2::123", "fd00:ec2::253",
        "fd00:ec2::254",
    ],
    "AWS containers": ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"],
    "Azure": [_COMMON, "168.63.129.16"],
    "DigitalOcean": [_COMMON],
    "Google Cloud": [_COMMON, "fd20:ce::254"],
    "Hetzner": [_COMMON],
    "Linode": ["169.254.169.255", "fd00:a9fe:a9fe::1"],
    "OpenStack": [_COMMON, "fe80::a9fe:a9fe"],
    "Oracle Cloud": [_COMMON, "192.0.0.192", "fd00:c1::a9fe:a9fe"],
    "Scaleway": ["169.254.42.42", "fd00:42::42"],
    "Tencent Cloud": ["169.254.0.23", "169.254.10.10"],
}  # fmt: skip
"""The addresses by provider."""

_ADDRESSES: Final = frozenset(
    ip_address(address) for addresses in SERVICES.values() for address in addresses
)


def is_metadata_service(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is one of them; the zone of an address that has one does not matter."""
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        address = IPv6Address(int(address))
    return address in _ADDRESSES
