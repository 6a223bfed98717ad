"""Losses, cancels and silences, again and again: no resource may grow with them."""

import asyncio
import threading
from pathlib import Path
from typing import ClassVar, Final

from duly.testing.transports.bench import Bench
from duly.testing.transports.harness import TransportHarness

_FIRST: Final = 3  # rounds after which all is there that is made only once
_MOMENT: Final = 0.005  # seconds


class RoundCases(TransportHarness, needs="duly_gate"):
    """What a connection took is given back with it, however it ended."""

    rounds: ClassVar[int] = 12
    """How often all of it happens. More rounds find what grows only now and then."""

    async def test_nothing_grows_by_losses_cancels_and_silence(self, desk: Bench) -> None:
        for number in range(_FIRST):
            await self._round(desk, number)
        before = _held()
        for number in range(self.rounds):
            await self._round(desk, number)
        for _ in range(round(self.patience * 100)):
            now = _held()
            grown = {each: now[each] - before[each] for each in now}
            if all(growth < self.rounds / 2 for growth in grown.values()):
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"grown in {self.rounds} rounds: {grown}")

    async def _round(self, desk: Bench, number: int) -> None:
        publishes = [
            asyncio.ensure_future(desk.transport.publish(each)) for each in desk.envelopes(3)
        ]
        for _ in range(number % 10):
            await asyncio.sleep(0)
        publishes[0].cancel()
        desk.gate.freeze()
        await asyncio.wait(publishes, timeout=_MOMENT)
        publishes[1].cancel()
        if number % 2:
            desk.gate.thaw()
        await desk.gate.cut()
        desk.gate.thaw()
        for outcome in await desk.soon(asyncio.gather(*publishes, return_exceptions=True)):
            desk.told(outcome, cancelled=True)
        await desk.goes_on()


def _held() -> dict[str, int]:
    """How much of each kind this process has."""
    return {
        "tasks": len(asyncio.all_tasks()),
        # The event loop keeps threads of its own, for whoever needs one.
        "threads": sum(not each.name.startswith("asyncio_") for each in threading.enumerate()),
        "files": len(list(Path("/dev/fd").iterdir())),
    }
