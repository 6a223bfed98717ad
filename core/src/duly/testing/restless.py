"""A client that cannot leave its messages alone: the caller in simulated worlds."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from duly.errors import DuplicateMessage, MessageNotFound, StoreUnavailable, WrongState
from duly.message import Message
from duly.recurrence import Every
from duly.scheduler import Scheduler
from duly.store import Clock

__all__ = ["Restless"]

_IDS: Final = ("one", "two", "three", "four", "five")
_TRIES: Final = 5
_MICROSECOND: Final = timedelta(microseconds=1)


class Restless:
    """Does at random what a client can do; after a lost answer it asks again.

    ``timeout`` is after how long the store gives no answer any more.
    """

    def __init__(
        self, scheduler: Scheduler, dice: random.Random, clock: Clock, timeout: timedelta
    ) -> None:
        self._scheduler = scheduler
        self._dice = dice
        self._clock = clock
        self._timeout = timeout
        self._numbers = itertools.count(1)

    async def live(self) -> None:
        """Go on for ever."""
        deeds = [
            self._schedule, self._schedule, self._schedule_series, self._replace, self._cancel,
            self._reschedule, self._start_over,
        ]  # fmt: skip
        while True:
            await asyncio.sleep(self._dice.uniform(0, 0.8))
            with suppress(DuplicateMessage, MessageNotFound, WrongState, StoreUnavailable):
                await self._dice.choice(deeds)(self._dice.choice(_IDS))

    async def _schedule(self, id: str) -> None:
        message = self._message(id)
        await self._insist(lambda: self._scheduler.schedule(message))

    async def _schedule_series(self, id: str) -> None:
        every = Every(
            timedelta(seconds=self._dice.uniform(0.2, 1.5)),
            max_occurrences=self._dice.randint(1, 5),
            missed="all",
        )
        message = self._message(id, soonest=2, recurrence=every)
        # A repeat that came after the series had ended would be a series of its own.
        await self._insist(
            lambda: self._scheduler.schedule(message), until=message.scheduled_at - self._timeout
        )

    async def _replace(self, id: str) -> None:
        # Made anew for each try: with replace nothing is a repeat.
        await self._insist(lambda: self._scheduler.schedule(self._message(id), replace=True))

    async def _cancel(self, id: str) -> None:
        await self._insist(lambda: self._scheduler.cancel(id, missing_ok=True))

    async def _reschedule(self, id: str) -> None:
        await self._scheduler.reschedule(id, self._in(self._dice.uniform(-0.5, 4)))

    async def _start_over(self, id: str) -> None:
        await self._cancel(id)
        await self._schedule(id)

    async def _insist(
        self, call: Callable[[], Awaitable[object]], until: datetime | None = None
    ) -> None:
        for _ in range(_TRIES):
            try:
                await call()
            except StoreUnavailable:
                if until is not None and self._clock() >= until:
                    raise
            else:
                return

    def _message(self, id: str, *, soonest: float = -0.5, **more: Any) -> Message:
        # Made later than all before it, be it by a microsecond.
        created_at = self._clock() + next(self._numbers) * _MICROSECOND
        due = self._in(self._dice.uniform(soonest, 4))
        return Message("event", scheduled_at=due, id=id, created_at=created_at, **more)

    def _in(self, seconds: float) -> datetime:
        return self._clock() + timedelta(seconds=seconds)
