"""How far what was written has come, where a link is slow and a broker therefore silent."""

import asyncio
import contextlib
import socket
import struct
import sys
from typing import Final, NamedTuple

__all__ = ["Upload"]

# Where in Linux' struct tcp_info (linux/tcp.h) stand: how many segments are not acknowledged, how
# many bytes were, and how many bytes were not even sent.
_INFO: Final = struct.Struct("=24xI92xQ16xI")
_TCP_INFO: Final = getattr(socket, "TCP_INFO", 0) if sys.platform == "linux" else 0


class Upload(NamedTuple):
    """What waits to be sent, and how much has been since the beginning.

    Both by TCP's own account where it gives one, else by what asyncio holds back, which under TLS
    is little.
    """

    waits: bool
    gone: int

    @classmethod
    def of(cls, transport: asyncio.Transport, written: int) -> "Upload":
        """Of a connection to which so many bytes were written."""
        held = transport.get_write_buffer_size()
        told = _account(transport) if _TCP_INFO else b""
        if len(told) < _INFO.size:
            return cls(bool(held), written - held)
        unacknowledged, acknowledged, unsent = _INFO.unpack(told)
        return cls(bool(held or unacknowledged or unsent), acknowledged)

    def since(self, before: "Upload") -> bool:
        """Whether the other side took in some of what waited then: a sign of life.

        What had nothing to wait for is none: it lies with the broker's host, which takes in a
        little for a broker that does nothing any more.
        """
        return before.waits and self.gone > before.gone


def _account(transport: asyncio.Transport) -> bytes:
    """What TCP says of a connection, which an older kernel makes short."""
    told = b""
    with contextlib.suppress(OSError):  # it is closed by now
        told = transport.get_extra_info("socket").getsockopt(
            socket.IPPROTO_TCP, _TCP_INFO, _INFO.size
        )
    return told
