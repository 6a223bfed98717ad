"""How much of the written data has left, for slow links on which the broker is silent."""

import asyncio
import contextlib
import socket
import struct
import sys
from typing import Final, NamedTuple

__all__ = ["Upload"]

# Offsets in Linux' struct tcp_info (linux/tcp.h) of: segments not acknowledged, bytes acknowledged,
# and bytes not even sent.
_INFO: Final = struct.Struct("=24xI92xQ16xI")
_TCP_INFO: Final = getattr(socket, "TCP_INFO", 0) if sys.platform == "linux" else 0


class Upload(NamedTuple):
    """How much waits to be sent, and how much has been sent since the beginning.

    Both are TCP's own numbers if available, otherwise what asyncio holds back, which is little
    under TLS.
    """

    waits: bool
    gone: int

    @classmethod
    def of(cls, transport: asyncio.Transport, written: int) -> "Upload":
        """The upload of a connection to which so many bytes were written."""
        held = transport.get_write_buffer_size()
        told = _account(transport) if _TCP_INFO else b""
        if len(told) < _INFO.size:
            return cls(bool(held), written - held)
        unacknowledged, acknowledged, unsent = _INFO.unpack(told)
        return cls(bool(held or unacknowledged or unsent), acknowledged)

    def since(self, before: "Upload") -> bool:
        """Whether the other side took in some of what waited then: a sign of life.

        Without anything that waited it is no sign: the broker's host takes in a little even for a
        broker that does nothing any more.
        """
        return before.waits and self.gone > before.gone


def _account(transport: asyncio.Transport) -> bytes:
    """TCP's facts about a connection; older kernels give fewer."""
    told = b""
    with contextlib.suppress(OSError):  # it is closed by now
        told = transport.get_extra_info("socket").getsockopt(
            socket.IPPROTO_TCP, _TCP_INFO, _INFO.size
        )
    return told
