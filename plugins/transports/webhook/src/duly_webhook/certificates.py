"""The files of TLS, which may be renewed while a transport is in use."""

import ssl
from pathlib import Path
from typing import Final

from duly.errors import InvalidArgument, TransportUnavailable
from duly.tls import TLS

__all__ = ["Certificates"]

Signature = tuple[int, int, int]


class Certificates:
    """The TLS context of requests, made from the files as they are at the moment.

    Raises:
        InvalidArgument: a file that is missing, or that holds something else.
    """

    def __init__(self, tls: TLS | None) -> None:
        self._tls: Final = tls
        files = () if tls is None else (tls.ca, tls.cert, tls.key)
        self._files = [Path(file) for file in files if file is not None]
        self._made_of = self._signatures()
        self._context: ssl.SSLContext | bool = True if tls is None else tls.context()

    def now(self) -> ssl.SSLContext | bool:
        """The context for the next request: connections made with older files are not used again.

        Raises:
            TransportUnavailable: the files cannot be used just now, as in the midst of a renewal.
        """
        if self._tls is not None and self._files and (found := self._signatures()) != self._made_of:
            try:
                self._context = self._tls.context()
            except (InvalidArgument, OSError) as error:
                raise TransportUnavailable(f"webhook: {error}") from error
            self._made_of = found
        return self._context

    def _signatures(self) -> list[Signature | None]:
        return [_signature(file) for file in self._files]


def _signature(file: Path) -> Signature | None:
    """A value that changes when a file does; None if the file is not there."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
