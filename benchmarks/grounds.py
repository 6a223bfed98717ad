"""What is measured on: each store, with its bare ceiling on the same server.

A ground does by hand, without objects and in one loop, what duly's store does. One whose server
cannot be had is left out of a run, and said to be.
"""

import importlib
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from benchmarks.servers import Servers
from duly.store import Store

__all__ = ["GROUNDS", "Ground", "ground"]


class Ground(Protocol):
    """A store of duly, and the server beneath it.

    ``settings`` tell the server's version, and what decides how safe and how fast it is;
    ``shared`` whether several processes may use it.
    """

    name: str
    settings: str
    shared: bool

    def fresh(self) -> AbstractAsyncContextManager[str]:
        """The URL of a store that is empty, and removed afterwards."""
        ...

    def store(self, url: str) -> Store:
        """The store of a URL, to be called by hand."""
        ...

    async def bare_drain(self, count: int, batch: int) -> float:
        """Messages per second: claims and settlements of due messages, nothing made of them."""
        ...

    async def single_drain(self, count: int) -> float | None:
        """Messages per second by a claim and a settlement for each; None: not measured."""
        ...

    async def bare_schedule(self, count: int) -> float:
        """Messages per second: records made before, stored 500 at a time."""
        ...

    async def bare_single(self, count: int) -> float | None:
        """Messages per second by one insert or script for each; None: not measured."""
        ...

    async def served(self, seconds: float) -> float | None:
        """Commands or transactions a second of the server for so long; None: not counted."""
        ...

    async def at_rest(self) -> None:
        """Return when the server does nothing any more that it does by itself."""

    async def size(self, url: str) -> int | None:
        """Bytes that a store takes up; None: not known."""
        ...


GROUNDS: Final = ("memory", "sqlite", "redis", "postgres")


def ground(name: str, servers: Servers) -> AbstractAsyncContextManager[Ground]:
    """The ground of that name, ready while it is entered.

    Raises:
        Unavailable: when it is entered, for want of its server.
    """
    module = importlib.import_module(f"benchmarks.ground_{name}")
    made: AbstractAsyncContextManager[Ground] = module.ground(servers)
    return made
