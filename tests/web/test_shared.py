"""What all who look share."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from duly_web.service import Shared


class Desk:
    """Reads that take so many seconds of a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.reads = 0
        self.shared = Shared(clock=lambda: self.now)

    def lasting(self, seconds: float) -> Callable[[], Awaitable[int]]:
        async def read() -> int:
            await asyncio.sleep(0)
            self.now += seconds
            self.reads += 1
            return self.reads

        return read


async def test_two_seconds_are_shared() -> None:
    desk = Desk()
    read = desk.lasting(0.1)
    assert await asyncio.gather(*(desk.shared.get("a", read) for _ in range(10))) == [1] * 10
    desk.now = 1.9
    assert await desk.shared.get("a", read) == 1
    assert await desk.shared.get("b", read) == 2
    desk.now = 2.1
    assert await desk.shared.get("a", read) == 3


async def test_what_takes_long_is_kept_for_longer() -> None:
    desk = Desk()
    read = desk.lasting(3)
    assert await desk.shared.get("a", read) == 1
    desk.now = 3 + 4 * 3 - 0.1
    assert await desk.shared.get("a", read) == 1
    desk.now = 3 + 4 * 3
    assert await desk.shared.get("a", read) == 2


async def test_what_failed_is_read_anew() -> None:
    desk = Desk()

    async def fails() -> int:
        raise OSError("away")

    with pytest.raises(OSError, match="away"):
        await desk.shared.get("a", fails)
    assert await desk.shared.get("a", desk.lasting(0)) == 1
