"""The story that is cut off everywhere: a little of all that a scheduler does."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from duly.errors import DuplicateMessage, MessageNotFound, Rejected, TransportError, WrongState
from duly.message import Message, State
from duly.recurrence import Every
from duly.scheduler import Scheduler
from duly.store import Clock, Group, Store
from duly.testing.journal import Journal
from duly.transport import Envelope, Limits

__all__ = ["Step", "Story"]

_SECOND: Final = timedelta(seconds=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_ACCEPTED: Final = [
    *(f"{id}:0" for id in ("plain", "slow", "flaky", "cancelled", "moved", "replaced", "haunted")),
    "farewell:0",
    *("series:0", "series:1", "series:2"),
    *("taken:0", "taken:0", "swapped:0", "swapped:0"),  # the old ones were on their way
]
_CANCELLATIONS: Final = ("cancelled", "too late")

Step = tuple[float, Callable[[Scheduler], Awaitable[object]]]


class Story:
    """Steps that a client takes, each when its time has come and the one before was answered.

    A step that got no answer is taken again, by whatever scheduler there is then.
    """

    limits: Limits | None = None
    """Those of the transport."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start = clock()
        self._numbers = itertools.count(1)
        self._steps = iter(self.all_steps())
        self._step = next(self._steps, None)
        self._farewell: Message | None = None

    async def haunt(self, store: Store) -> None:
        """Have a message claimed by somebody who dies at once, to be recovered later."""
        await store.put([Group([self.message("haunted", 0)])])
        await store.claim(limit=1, lease=2 * _SECOND, owner="ghost")

    async def go_on(self, scheduler: Scheduler) -> None:
        """Take the steps that were not taken yet.

        Raises:
            AssertionError: an id is taken that was cancelled.
        """
        while self._step is not None:
            at, act = self._step
            wait = (self.at(at) - self._clock()).total_seconds()
            await asyncio.sleep(max(0.0, wait))
            try:
                with suppress(MessageNotFound, WrongState):  # it came too late, after a crash
                    await act(scheduler)
            except DuplicateMessage as error:
                raise AssertionError(f"R4: an id is not free: {error}") from error
            self._step = next(self._steps, None)

    async def take_leave(self, scheduler: Scheduler) -> None:
        """Give the scheduler something to do that it has not done when it is stopped."""
        if self._farewell is None:
            due = (self._clock() - self._start).total_seconds()
            self._farewell = self.message("farewell", due, "brief")
        await scheduler.schedule(self._farewell)
        await asyncio.sleep(0.5)
        with suppress(MessageNotFound):  # it was delivered meanwhile
            # A store whose calls take their time may not have handed it out yet.
            while (await scheduler.get("farewell")).state is State.SCHEDULED:  # noqa: ASYNC110  # nothing tells
                await asyncio.sleep(0.1)

    async def receive(self, envelope: Envelope) -> None:
        """What the receiver does; the event name says how."""
        match envelope.event_name:
            case "slow":  # longer than a lease
                await asyncio.sleep(4)
            case "brief":
                await asyncio.sleep(1)
            case "flaky" if envelope.attempt == 1:
                raise TransportError("not yet")
            case "refused":
                raise Rejected("never")

    def check(self, journal: Journal) -> None:
        """Check the outcomes that cannot vary as long as nobody is killed.

        Raises:
            AssertionError: one of them was different.
        """
        accepted = sorted(
            entry.scheduling.rpartition(":")[0] + f":{entry.occurrence}"
            for entry in journal.entries
            if entry.what == "accepted"
        )
        assert accepted == sorted(_ACCEPTED), f"not each accepted once: {accepted}"
        verbs = [entry.what for entry in journal.entries if entry.what in _CANCELLATIONS]
        assert verbs == list(_CANCELLATIONS), f"cancels came out differently: {verbs}"

    def all_steps(self) -> Sequence[Step]:
        """Each with the seconds after which it is taken."""
        new = self.message
        every = Every(_SECOND, max_occurrences=3, missed="all")
        many = [
            new("slow", 0.5, "slow"),
            new("flaky", 0.5, "flaky"),
            new("refused", 0.5, "refused"),
            new("series", 1, recurrence=every),
        ]
        plain, cancelled, again = new("plain", 0.5), new("cancelled", 30), new("cancelled", 2)
        moved, replaced = new("moved", 40), new("replaced", 50)
        taken, anew = new("taken", 0.5, "brief"), new("taken", 2.5)
        swapped = new("swapped", 1.5, "brief")
        replacement, swapped_for = new("replaced", 2), new("swapped", 4)
        return [
            (0, lambda each: each.schedule(plain)),
            (0, lambda each: each.schedule_many(many)),
            (0, lambda each: each.schedule(taken)),
            (0, lambda each: each.schedule(cancelled)),
            (0, lambda each: each.cancel("cancelled", missing_ok=True)),
            (0, lambda each: each.schedule(again)),
            (0, lambda each: each.schedule_many([moved, replaced, swapped])),
            (0.2, lambda each: each.reschedule("moved", self.at(3))),
            (0.2, lambda each: each.schedule(replacement, replace=True)),
            (1, lambda each: each.cancel("taken", missing_ok=True)),
            (1, lambda each: each.schedule(anew)),
            (2, lambda each: each.schedule(swapped_for, replace=True)),
            (2.5, lambda each: each.replay("refused")),
        ]

    def message(self, id: str, due: float, name: str = "event", **more: Any) -> Message:
        """One that is due so many seconds after the start."""
        # Made later than all before it, if only by a microsecond.
        created_at = self._clock() + next(self._numbers) * _MICROSECOND
        return Message(name, scheduled_at=self.at(due), id=id, created_at=created_at, **more)

    def at(self, seconds: float) -> datetime:
        """So many seconds after the start."""
        return self._start + timedelta(seconds=seconds)
