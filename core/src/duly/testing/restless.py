"""A client that cannot leave its messages alone: the caller in simulated worlds."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from duly.errors import (
    DuplicateMessage,
    InvalidArgument,
    MessageNotFound,
    StoreUnavailable,
    WrongState,
)
from duly.message import Filter, Message, State
from duly.recurrence import Cron, Every, Recurrence
from duly.store import Clock
from duly.testing.journal import Journal
from duly.testing.processes import Process

__all__ = ["NAMES", "Restless"]

_IDS: Final = ("one", "two", "three", "four", "five", "six", "seven")
NAMES: Final = ("event", "other")
"""Of the events of a client, unless it is told others."""

_TRIES: Final = 5
_MICROSECOND: Final = timedelta(microseconds=1)
_NUMBERS: Final = 1000  # of messages that one client may make

Deed = Callable[[], Awaitable[object]]


class Restless:
    """Does at random what a client can do; after a lost answer it asks again.

    ``clock`` is that of its host, right or wrong; ``number`` tells it from other clients.
    """

    def __init__(
        self,
        process: Process,
        dice: random.Random,
        clock: Clock,
        journal: Journal,
        *,
        number: int,
        names: Sequence[str] = NAMES,
    ) -> None:
        self._process = process
        self._client = process.scheduler
        self._dice = dice
        self._clock = clock
        self._journal = journal
        self._names = names
        self._numbers: Iterator[int] = itertools.count(number * _NUMBERS)

    async def live(self) -> None:
        """Go on for ever."""
        deeds: list[tuple[Deed, int]] = [
            (self._schedule, 3),
            (self._schedule_series, 3),
            (self._schedule_fleeting, 2),
            (self._schedule_group, 2),
            (self._replace, 2),
            (self._cancel, 2),
            (self._reschedule, 2),
            (self._start_over, 2),
            (self._replay, 4),
            (self._cancel_many, 1),
            (self._purge, 1),
        ]
        choices, weights = zip(*deeds, strict=True)
        while True:
            await asyncio.sleep(self._dice.uniform(0, 0.4))
            with suppress(DuplicateMessage, MessageNotFound, WrongState, StoreUnavailable):
                (deed,) = self._dice.choices(choices, weights)
                await deed()

    # --- scheduling

    async def _schedule(self) -> None:
        await self._put(self._message())

    async def _schedule_series(self) -> None:
        more: dict[str, Any] = {}
        if self._dice.random() < 0.3:  # fires have been missed long since
            more["scheduled_at"] = self._in(self._dice.uniform(-40, -12))
        await self._put(self._message(recurrence=self._recurrence(), **more))

    async def _schedule_fleeting(self) -> None:
        due = self._in(self._dice.uniform(-0.5, 3))
        expires_at = due + timedelta(seconds=self._dice.choice([1e-6, 0.1, 1, 4]))
        await self._put(self._message(scheduled_at=due, expires_at=expires_at))

    async def _schedule_group(self) -> None:
        ids = self._dice.sample(_IDS, self._dice.randint(2, 4))
        messages = [self._message(id) for id in ids]
        replace = self._dice.random() < 0.3
        await self._insist(lambda: self._client.schedule_many(messages, replace=replace))
        for message in messages:
            self._journal.note_promised(self._process.name, message)

    async def _replace(self) -> None:
        await self._put(self._message(), replace=True)

    async def _start_over(self) -> None:
        id = self._id()
        await self._cancel(id)
        await self._put(self._message(id))

    async def _put(self, message: Message, *, replace: bool = False) -> None:
        await self._insist(lambda: self._client.schedule(message, replace=replace))
        self._journal.note_promised(self._process.name, message)

    # --- changing one's mind

    async def _cancel(self, id: str | None = None) -> None:
        id = id or await self._some_id()
        outcome = await self._insist(lambda: self._client.cancel(id, missing_ok=True))
        self._journal.note_told(self._process.name, id, outcome.value)

    async def _cancel_many(self) -> None:
        state = self._dice.choice([None, None, State.SCHEDULED])
        await self._client.cancel_many(Filter(**self._some(), state=state))

    async def _reschedule(self) -> None:
        id, at = await self._some_id(), self._in(self._dice.uniform(-0.5, 4))
        with suppress(InvalidArgument):  # after its series has ended, or it has expired
            await self._client.reschedule(id, at)

    async def _replay(self) -> None:
        dead = await self._client.list(Filter(state=State.DEAD))
        if dead:
            at = self._dice.choice([None, self._in(self._dice.uniform(-0.5, 2))])
            with suppress(InvalidArgument):  # it has expired
                await self._client.replay(self._dice.choice(dead).id, at=at)

    async def _purge(self) -> None:
        await self._client.purge(Filter(**self._some()))

    async def _insist(self, call: Callable[[], Awaitable[Any]]) -> Any:
        for tries_left in reversed(range(_TRIES)):
            try:
                return await call()
            except StoreUnavailable:
                if not tries_left:
                    raise
        return None

    # --- what to do it to

    def _id(self) -> str:
        return self._dice.choice(_IDS)

    async def _some_id(self) -> str:
        """One of the usual ids, or that of a dead letter."""
        if self._dice.random() < 0.8:
            return self._id()
        dead = await self._client.list(Filter(state=State.DEAD))
        return self._dice.choice(dead).id if dead else self._id()

    def _some(self) -> dict[str, Any]:
        """What a filter may ask for."""
        if self._dice.random() < 0.5:
            return {"event_name": self._dice.choice(self._names)}
        return {"before": self._in(self._dice.uniform(-1, 2))}

    def _recurrence(self) -> Recurrence:
        shared: dict[str, Any] = {
            "max_occurrences": self._dice.randint(1, 5),
            "missed": self._dice.choice(["once", "all", "skip"]),
            # A short grace may be stretched to what claims take here; the long one is exact.
            "grace": timedelta(seconds=self._dice.choice([0.0, 1.0, 12.0])),
        }
        if self._dice.random() < 0.3:
            shared["until"] = self._in(self._dice.uniform(7, 10))  # later than any first fire
        if self._dice.random() < 0.3:
            zone = self._dice.choice(["UTC", "Asia/Kolkata"])
            step = self._dice.choice([1, 2, 3])
            shared["jitter"] = self._jitter(step)
            return Cron(f"*/{step} * * * * *", timezone=zone, **shared)
        interval = self._dice.uniform(0.2, 1.5)
        return Every(timedelta(seconds=interval), jitter=self._jitter(interval), **shared)

    def _jitter(self, seconds: float) -> timedelta:
        return timedelta(seconds=self._dice.choice([0, 0, self._dice.uniform(0, seconds)]))

    def _message(self, id: str | None = None, **more: Any) -> Message:
        number = next(self._numbers)
        more.setdefault("scheduled_at", self._in(self._dice.uniform(-0.5, 4)))
        return Message(
            self._dice.choice(self._names),
            f"{number}".encode(),
            id=id or self._id(),
            # Nobody else makes one of the same id at the same moment.
            created_at=self._clock() + number * _MICROSECOND,
            **more,
        )

    def _in(self, seconds: float) -> datetime:
        return self._clock() + timedelta(seconds=seconds)
