"""Where the pages are: a host and a port, or the path of a socket."""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from duly import InvalidArgument, PluginError

__all__ = ["UNIX", "Address"]

UNIX: Final = "unix:"
_BACKLOG: Final = 64  # connections that nobody has accepted yet
_PORTS: Final = 65_535


@attrs.frozen
class Address:
    """``host:port``, as ``127.0.0.1:9464`` or ``[::1]:9464``, or ``unix:/path``.

    ``port`` is 0 for one that is free; of a path ``host`` is empty.
    """

    host: str
    port: int
    path: str = ""

    @classmethod
    def of(cls, text: object) -> "Address":
        """The address that a text says.

        Raises:
            InvalidArgument: it is none; the text says how it is written.
        """
        if not isinstance(text, str):
            kind = type(text).__name__
            raise InvalidArgument(f"an address is a text such as '127.0.0.1:9464', not {kind}")
        if text.startswith(UNIX):
            path = text.removeprefix(UNIX)
            if not path.startswith("/") or "\0" in path:
                raise InvalidArgument(f"{text!r} needs an absolute path: unix:/run/duly.sock")
            return cls("", 0, path)
        host, colon, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        host = host[1:-1] if bracketed else host
        digits = port.isascii() and port.isdigit()
        if not (colon and host and digits) or (":" in host and not bracketed):
            raise InvalidArgument(
                f"{text!r} is no address: write host:port, as 127.0.0.1:9464 for this host alone, "
                "0.0.0.0:9464 for all who can reach it, or [::1]:9464"
            )
        if len(port) > len(str(_PORTS)) or int(port) > _PORTS:
            raise InvalidArgument(f"{text!r}: a port is at most {_PORTS:,}")
        return cls(host, int(port))

    def __str__(self) -> str:
        if self.path:
            return f"{UNIX}{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def bind(self) -> socket.socket:
        """A socket that listens there.

        Raises:
            PluginError: somebody else does, or this host has no such address.
        """
        try:
            return self._of_a_path() if self.path else self._of_a_port()
        except (OSError, UnicodeError) as error:
            raise PluginError(f"duly-ops cannot listen on {self}: {_why(error)}") from error

    def bound(self, listening: socket.socket) -> "Address":
        """The same, with the port that was free."""
        return self if self.path else attrs.evolve(self, port=listening.getsockname()[1])

    def _of_a_port(self) -> socket.socket:
        family, kind, number, _, place = socket.getaddrinfo(
            self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, number)
        with _closing_on_error(listening):
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(place)
            listening.listen(_BACKLOG)
        return listening

    def _of_a_path(self) -> socket.socket:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _closing_on_error(listening):
            if _is_left(self.path):
                Path(self.path).unlink(missing_ok=True)
            listening.bind(self.path)
            listening.listen(_BACKLOG)
        return listening


def _is_left(path: str) -> bool:
    """Whether it is the socket of a process that is gone."""
    if not Path(path).is_socket():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(1)
        return asking.connect_ex(path) == errno.ECONNREFUSED


@contextlib.contextmanager
def _closing_on_error(listening: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        listening.close()
        raise


def _why(error: OSError | UnicodeError) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return "something else listens there already; choose another address, or stop that"
    if number == errno.EADDRNOTAVAIL:
        return "this host has no such address"
    if number == errno.EACCES:
        return "this user may not; ports below 1024 are for root as a rule"
    if isinstance(error, socket.gaierror):
        return f"the host is not known: {error.strerror}"
    return os.strerror(number) if number is not None and number > 0 else str(error)
