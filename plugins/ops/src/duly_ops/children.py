"""Several processes that serve the same pages, each at a socket of its own, asked by one more."""

import asyncio
import http.client
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

__all__ = ["Child", "Told", "ask_all"]

_AT_ONCE: Final = 2.0  # seconds: for what needs no store
_ASKED: Final = 6.0  # seconds: for health; a scheduler that says nothing is told of before


@attrs.frozen
class Child:
    """One of the processes, counted from 1, and its socket."""

    number: int
    path: Path


@attrs.frozen
class Told:
    """What one has answered; ``status`` is 0 if it is not there, -1 if it says nothing."""

    status: int
    body: bytes = b""

    @property
    def there(self) -> bool:
        """Whether it has answered."""
        return self.status > 0


async def ask_all(children: Sequence[Child], page: str) -> Mapping[int, Told]:
    """What each answers, by its number; all are asked at once."""
    asked = (asyncio.to_thread(_ask, child.path, page) for child in children)
    answers = await asyncio.gather(*asked)
    return {child.number: told for child, told in zip(children, answers, strict=True)}


class _Connection(http.client.HTTPConnection):
    """HTTP over a socket that has a path."""

    def __init__(self, path: Path, patience: float) -> None:
        super().__init__("localhost", timeout=patience)
        self._path = path

    def connect(self) -> None:
        """Called before the first request."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _ask(path: Path, page: str) -> Told:
    connection = _Connection(path, _ASKED if page == "/healthz" else _AT_ONCE)
    try:
        connection.request("GET", page)
        response = connection.getresponse()
        return Told(response.status, response.read())
    except TimeoutError:
        return Told(-1)
    except (OSError, http.client.HTTPException):  # it has died, or does not serve yet
        return Told(0)
    finally:
        connection.close()
