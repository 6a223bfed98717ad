"""What :class:`duly.testing.Gate` does to sockets: it holds a port, and cuts connections."""

import asyncio
import contextlib
import socket
import struct
from typing import Final, Literal, TypeAlias

__all__ = ["LOOPBACK", "Cut", "How", "bound", "end_with", "reset_at_close"]

How: TypeAlias = Literal["end", "reset", "torn"]

LOOPBACK: Final = "127.0.0.1"

_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: a close sends RST and drops what waits
_CORK: Final = getattr(socket, "TCP_CORK", None)  # of Linux


class Cut:
    """A cut that comes after so many pieces of data."""

    def __init__(self, pieces: int, how: How) -> None:
        self.resets = how != "end"
        self.last = b""
        """What still passes when it has come."""
        self._left = pieces
        self._torn = how == "torn"

    def is_behind(self, piece: bytes) -> bool:
        """Count a piece; whether it is the last."""
        if self._left > 1:
            self._left -= 1
            return False
        if self._left == 1:
            self.last = piece[: len(piece) // 2] if self._torn else piece
        return True


def bound(port: int) -> socket.socket:
    """A new socket bound to a loopback port; with 0 to a free one."""
    bound = socket.socket()
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((LOOPBACK, port))
    except BaseException:
        bound.close()
        raise
    return bound


def end_with(data: bytes, writer: asyncio.StreamWriter, *, reset: bool) -> None:
    """Write what is the last of a connection."""
    if not reset and _CORK is not None:
        # So that it leaves in one packet with the end, and a client sees both at a time.
        with contextlib.suppress(OSError):
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, _CORK, 1)
    writer.write(data)


def reset_at_close(writer: asyncio.StreamWriter) -> None:
    """Let its end be a reset (RST)."""
    with contextlib.suppress(OSError):  # closed already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
