"""What people have said of event names, as far as this scheduler has heard.

While it has anything in hand it asks every half second, and now and then while anything is paused.
What it knows is good for a second from when it asked: whoever gets no answer begins no publish of
any name, as it could not hear of a pause, nor settle.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Final

from duly._caller import ability_answers as answers
from duly._caller.calls import StoreCalls
from duly._engine.drawing import Drawing
from duly._engine.in_hand import Hands
from duly._engine.workers import Workers
from duly._telemetry.logging import get_logger
from duly._values import controls
from duly._values.controls import Rules
from duly._values.error_text import error_text
from duly.health import Report
from duly.store import Note, SupportsNotes

__all__ = ["Controls"]

_INTERVAL: Final = 0.5  # seconds
_IDLE_INTERVAL: Final = 0.9  # with nothing in hand, while something is paused
_GOOD_FOR: Final = 1.0

log = get_logger()


class Controls:
    """Reads the rules again and again; ``wake`` is called when they are others than before."""

    def __init__(
        self,
        calls: StoreCalls,
        workers: Workers,
        hands: Hands,
        drawing: Drawing,
        *,
        wake: Callable[[], None],
    ) -> None:
        self._calls = calls
        self._workers = workers
        self._hands = hands
        self.drawing = drawing
        self._wake = wake
        self._clock = asyncio.get_running_loop().time
        store = calls.store
        self._store = store if isinstance(store, SupportsNotes) else None
        self._asked = -math.inf  # when the last question that was answered was asked
        self._heard: tuple[Note | None, bool] = (None, False)
        self._reading: asyncio.Task[None] | None = None
        self._trouble: Exception | None = None
        self._paused = asyncio.Event()
        self.rules = Rules({})
        """What holds, as far as it is known."""
        if self._store is not None:
            workers.begin_until(-math.inf)

    async def run(self) -> None:
        """Keep asking, while there is a reason to."""
        while self._store is not None:
            some = self._hands.some
            await self._until_needed()
            await self.refresh(at_most=_INTERVAL / 2)
            asked = max(self._asked, self._clock() - _INTERVAL / 2)  # the answer may take a while
            pause = _INTERVAL if some.is_set() else _IDLE_INTERVAL
            await asyncio.sleep(asked + pause - self._clock())

    async def _until_needed(self) -> None:
        """Return when anything is in hand or paused."""
        waiting = [asyncio.create_task(each.wait()) for each in (self._hands.some, self._paused)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    def hurry(self) -> None:
        """Ask again now: somebody here has said something."""
        self._asked = min(self._asked, self._clock() - _INTERVAL)
        self.follow()

    def follow(self) -> None:
        """Ask beside a claim, unless that was done a moment ago; nobody waits for the answer."""
        if self._store is not None and self._clock() - self._asked >= _INTERVAL:
            _ = self._begin()

    async def refresh(self, at_most: float = 0.0) -> None:
        """Ask, and wait for the answer, unless the last one is ``at_most`` so many seconds old."""
        if self._store is not None and self._clock() - self._asked >= at_most:
            await asyncio.wait([self._begin()])

    async def end(self) -> None:
        """Give up a question that is under way."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def held_for(self, name: str) -> float | None:
        """For how many seconds to put back what is paused, 0 for at its place; None: it flows."""
        if not self.rules.paused or self.rules.paused_by(name) is None:
            return None
        return self._workers.lanes.held_back.pause

    def examine(self, report: Report) -> None:
        """Report whether publishes are held for want of an answer; for health()."""
        if self._trouble is not None:
            report.odd(
                "nothing is published, as it is not known what is paused: "
                f"{error_text(self._trouble)}"
            )

    def _begin(self) -> "asyncio.Task[None]":
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._ask(), name="duly-controls-read")
        return self._reading

    async def _ask(self) -> None:
        assert self._store is not None  # noqa: S101  # for the type checker
        sent = self._clock()
        try:
            async with asyncio.timeout(_GOOD_FOR):  # after that it could be of no use
                answer = await self._calls(self._store.read_note, controls.NOTE)
            self._hear(answers.note(answer))
        except Exception as error:  # noqa: BLE001  # told, and asked again
            if self._trouble is None:
                log.warning("controls_unknown", error=error_text(error))
            self._trouble = error
            return
        if self._trouble is not None:
            log.info("controls_known")
        self._trouble = None
        self._asked = sent
        self._workers.begin_until(sent + _GOOD_FOR)

    def _hear(self, note: Note | None) -> None:
        before, passing = self._heard
        if note is None:
            same = before is None
        else:
            same = before is not None and before.revision == note.revision and not passing
        if same:
            return
        said = {} if note is None else controls.read(note.value, note.now)
        passing = any(each.pause is not None and each.pause.until for each in said.values())
        if said != self.rules.controls:
            rules = Rules(said)
            self.drawing.control(rules)
            self.rules = rules
            if rules.paused:
                self._paused.set()
            else:
                self._paused.clear()
            self._wake()
        self._heard = note, passing  # only now: what could not be carried out is tried again
