"""Random lives among crowds: names that are slow, hang or are limited, and one that is in haste.

The crowd is larger than the slots, so that it stands aside where the store has lines. It is there
from the start, while everything goes wrong, and once more when the world is healed. From then on
the name in haste must flow::

    simulate(lambda clock: MyStore(clock=clock), seed=17, kind=Crowded)
"""

import asyncio
import random
from contextlib import suppress
from datetime import timedelta
from typing import Final

from duly.errors import Postpone, StoreUnavailable
from duly.message import Message
from duly.recurrence import Every
from duly.store import Store, SupportsEnsure
from duly.testing.journal import Journal
from duly.testing.processes import Process, undisturbed
from duly.testing.queues import check_flow, check_queues
from duly.testing.world import World
from duly.transport import Envelope, Limits

__all__ = ["HASTE", "Crowded"]

HASTE: Final = "haste"
"""The event name that must not wait for others."""

_SECOND: Final = timedelta(seconds=1)
_SLOWEST: Final = 2.0  # seconds of a publish, at most, of those that do not hang
_CALM: Final = 8.0  # seconds until all schedulers have noticed that the world is healed
_FLOW: Final = 16  # messages in haste, half a second apart
_SLACK: Final = 1.5  # seconds: a nap of a store that wakes nobody, and a tick
_FEWEST: Final = 4  # slots: below, all names share one queue


class Crowded(World):
    """One seed's world, and whoever crowds it."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__(dice)
        slow = [f"slow.{number}" for number in range(dice.randint(1, 3))]
        self.names = [*slow, "narrow", "hanging", "moody"]
        self.limits = Limits(
            by_name=dice.choice([{"narrow": 1}, {"narrow": 2}, {"narrow": 1, "slow.*": 1}]),
            together=dice.choice([(), (), [({"narrow", "moody"}, 2)]]),
        )
        self._hangs = True
        self.lateness: list[timedelta] = []
        """How late those in haste began that came when nothing went wrong any more."""

    def _slots(self) -> int:
        return self._dice.randint(_FEWEST, 8)

    def _batch_size(self) -> int:
        return self._dice.randint(2, 12)

    def _takes(self, envelope: Envelope) -> float:
        name = envelope.event_name
        if name.startswith("slow."):
            return self._dice.uniform(0.2, _SLOWEST)
        if name == "hanging":
            return 60 if self._hangs else 0.1
        return 0.4 if name == "narrow" else 0

    async def _receive(self, envelope: Envelope, journal: Journal) -> None:
        if envelope.event_name == "moody" and self._trouble.happens(0.3):
            raise Postpone(self._dice.choice([0, 1, 3]) * _SECOND)
        await super()._receive(envelope, journal)

    async def _use(self, number: int, store: Store, journal: Journal) -> None:
        if number == 1:
            await self._crowd(store, journal, "first")
            self._herald = asyncio.ensure_future(self._announce(store, journal))
        await super()._use(number, store, journal)

    async def _crowd(self, store: Store, journal: Journal, prefix: str) -> None:
        """Schedule a backlog, some of it due long since, some of it soon."""
        client = self._caller(store, journal)
        start = journal.clock()
        for name in self.names:
            messages = [
                Message(
                    name,
                    f"{prefix} {number}".encode(),
                    id=f"{prefix}.{name}.{number}",
                    created_at=start,
                    scheduled_at=start + timedelta(seconds=self._dice.uniform(-2, 3)),
                )
                for number in range(self._dice.randint(4, 24))
            ]
            await client.run(client.scheduler.schedule_many(messages))
        await client.kill()

    async def _announce(self, store: Store, journal: Journal) -> None:
        """Ensure the same series again and again, as hosts do that start."""
        if not isinstance(store, SupportsEnsure):
            return
        client = self._process("client-herald", store, journal)
        grace = self._dice.choice([0, 1, 12]) * _SECOND
        until = journal.clock() + timedelta(seconds=12)
        rule = self._dice.choice(
            [
                Every(_SECOND, until=until, missed="once", grace=grace),
                Every(_SECOND, until=until, missed="all", grace=grace),
                Every(_SECOND, until=until, missed="skip", grace=grace),
            ]
        )
        series = [
            Message(name, name.encode(), id=f"series.{name}", recurrence=rule)
            for name in ("narrow", "slow.0")
        ]
        while not self._trouble.healed.is_set():
            for each in series:
                with suppress(StoreUnavailable):
                    await client.run(client.scheduler.ensure(each))
            await asyncio.sleep(1)
        await client.kill()

    async def _go_on(self, store: Store, journal: Journal) -> None:
        await asyncio.sleep(_CALM)
        check_queues(journal.entries)
        await self._crowd(store, journal, "second")
        client = self._caller(store, journal)
        since = journal.clock()
        for number in range(_FLOW):
            await client.run(client.scheduler.schedule(self._in_haste(journal, number)))
            await asyncio.sleep(0.5)
            if number == _FLOW // 2:
                self._hangs = False
        await client.kill()
        await self._herald
        # It waits for the next free slot at most, and the one that hangs has but a quarter of them.
        # Before it come names that nobody has tried yet, so many at a time as there are slots.
        turns = len(self.names) // _FEWEST + 1
        within = timedelta(seconds=turns * _SLOWEST + _SLACK)
        await asyncio.sleep(within.total_seconds())
        self.lateness += check_flow(journal.entries, HASTE, since, within)

    async def _conclude(self, store: Store, journal: Journal) -> None:
        """Nothing waits any more: names that were held back are let go by the next claims."""
        client = self._caller(store, journal)
        for number in range(_FLOW, _FLOW + 5):
            told = len(journal.entries)
            await client.run(client.scheduler.schedule(self._in_haste(journal, number)))
            await asyncio.sleep(_SLACK)
        await client.kill()
        for entry in journal.entries[told:]:
            most = {} if entry.look is None else entry.look.most
            assert not most, f"R10: {entry.process} still holds back {most}"

    def _judge(self, journal: Journal) -> None:
        check_queues(journal.entries)

    def _in_haste(self, journal: Journal, number: int) -> Message:
        now = journal.clock()
        return Message(
            HASTE, f"{number}".encode(), id=f"haste.{number}", created_at=now, scheduled_at=now
        )

    def _caller(self, store: Store, journal: Journal) -> Process:
        """One whose calls meet no trouble."""
        return Process("caller", store, self._nobody, undisturbed, journal)

    async def _nobody(self, envelope: Envelope) -> None:
        raise AssertionError("it delivers nothing")
