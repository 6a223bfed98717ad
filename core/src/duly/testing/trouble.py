"""What goes wrong in simulated worlds: calls that are delayed, get lost, lose their answer."""

import asyncio
import contextvars
import random
from typing import Any, Final, TypeVar

import attrs

from duly.errors import StoreUnavailable, TransportError
from duly.testing.processes import Process
from duly.testing.views import Act

__all__ = ["Odds", "Trouble"]

T = TypeVar("T")

_LONGEST_DELAY: Final = 1.5  # seconds; the store's callers give up after one


@attrs.frozen
class Odds:
    """How likely each trouble is, from 0 to 1: per call, or per life of a scheduler."""

    delay: float
    drop: float
    lose: float
    belated: float
    crash: float
    fail: float
    away: float
    cut: float
    freeze: float
    repeat: float
    dark: float

    @classmethod
    def drawn(cls, dice: random.Random) -> "Odds":
        """Draw them for one world: none, some or much of each trouble."""
        return cls(
            delay=dice.choice([0, 0.1, 0.3]),
            drop=dice.choice([0, 0.03, 0.15]),
            lose=dice.choice([0, 0.03, 0.15]),
            belated=dice.choice([0, 0, 0.1]),
            crash=dice.choice([0, 0.005, 0.02]),
            fail=dice.choice([0, 0.1, 0.4]),
            away=dice.choice([0, 0, 0.1]),
            cut=dice.choice([0, 0.02, 0.06]),
            freeze=dice.choice([0, 0, 0.5]),
            repeat=dice.choice([0, 0, 0.2]),
            dark=dice.choice([0, 0.3]),
        )


class Trouble:
    """The wire of one world, until it is healed; and its dice."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.odds = Odds.drawn(dice)
        self.healed = asyncio.Event()
        """Set when nothing more goes wrong."""
        self._cut_until: dict[str, float] = {}  # by process; in loop time
        self._belated: set[asyncio.Task[Any]] = set()
        self._nowhere = contextvars.copy_context()  # of no process

    def happens(self, chance: float) -> bool:
        """Whether something goes wrong that has this chance."""
        return not self.healed.is_set() and self.dice.random() < chance

    def send_later(self, act: Act[T]) -> "asyncio.Future[T]":
        """Have something happen a while later, whether or not anybody waits for its outcome."""

        async def send(delay: float) -> T:
            await asyncio.sleep(delay)
            return await act()

        work = send(self.dice.uniform(0, 4))
        task = asyncio.get_running_loop().create_task(work, context=self._nowhere)
        self._belated.add(task)
        task.add_done_callback(self._belated.discard)
        return asyncio.shield(task)

    async def settled(self) -> None:
        """Return when nothing is under way any more."""
        while self._belated:
            await asyncio.wait(self._belated)

    async def wire(self, process: Process, verb: str, act: Act[T]) -> T:
        """Carry a call and its answer, unless one of them gets lost."""
        if verb == "open":  # what fails here is only started again
            return await act()
        odds, publishing = self.odds, verb == "publish"
        mortal = not process.name.startswith("client")
        await self._delay()
        if self.happens(odds.drop) or (not publishing and self._is_cut_off(process)):
            raise _lost(publishing)
        if mortal and self.happens(odds.crash):
            await process.die()
        if mortal and not publishing and self.happens(odds.belated):
            # On its way, whether or not anybody waits for the answer.
            answer = await self.send_later(act)
        else:
            answer = await act()
        if mortal and self.happens(odds.crash):
            await process.die()
        await self._delay()
        if self.happens(odds.lose):
            raise _lost(publishing)
        return answer

    async def _delay(self) -> None:
        if self.happens(self.odds.delay):
            await asyncio.sleep(self.dice.uniform(0, _LONGEST_DELAY))

    def _is_cut_off(self, process: Process) -> bool:
        """Whether a process cannot reach the store for a while, longer than a lease or shorter."""
        now = asyncio.get_running_loop().time()
        if self.happens(self.odds.cut):
            self._cut_until[process.name] = now + self.dice.uniform(1, 5)
        return not self.healed.is_set() and now < self._cut_until.get(process.name, now)


def _lost(publishing: bool) -> Exception:
    return (TransportError if publishing else StoreUnavailable)("the connection broke")
