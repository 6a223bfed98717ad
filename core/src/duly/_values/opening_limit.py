"""The time limit on the opening of a store, and how a store suspends it."""

import asyncio
import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final

__all__ = ["limited_by", "unhurried"]

_limit: Final = ContextVar[asyncio.Timeout | None]("duly_opening", default=None)


@contextlib.contextmanager
def limited_by(limit: asyncio.Timeout) -> Iterator[None]:
    """What is opened in the block, also by tasks started there, has this time limit."""
    token = _limit.set(limit)
    try:
        yield
    finally:
        _limit.reset(token)


@contextlib.contextmanager
def unhurried() -> Iterator[None]:
    """For work in a store's ``open`` that may take any time, such as a migration.

    ``store_timeout`` does not run in the block; afterwards it goes on with what was left, at least
    a second. So the block must end by itself when nobody answers. Outside of an ``open`` it does
    nothing.
    """
    limit, clock = _limit.get(), asyncio.get_running_loop().time
    ends = None if limit is None else limit.when()
    left = None if ends is None else max(1.0, ends - clock())
    _move(limit, None)
    try:
        yield
    finally:
        _move(limit, None if left is None else clock() + left)


def _move(limit: asyncio.Timeout | None, when: float | None) -> None:
    if limit is not None:
        with contextlib.suppress(RuntimeError):  # it is over: whoever opened has gone
            limit.reschedule(when)
