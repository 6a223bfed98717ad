"""Tells all who share the store, every few seconds, that this scheduler is there."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from duly._caller.announcements import Announcements
from duly._engine.in_hand import Hands
from duly._engine.introduction import Introduction
from duly._engine.store_time import StoreTime
from duly._telemetry.logging import get_logger
from duly._values.error_text import error_text
from duly._values.presence import EVERY, HERE, PREFIX, SchedulerInfo, announced
from duly._values.processes import this_process

__all__ = ["Presence"]

_LEAVING: Final = 2.0  # seconds, at the end
_IN_STEP: Final = timedelta(seconds=1)  # this host's clock and the store's

log = get_logger()


class Presence:
    """A note of one scheduler's own, renewed while it runs and removed when it leaves.

    ``announcements`` None: the store keeps no notes, or nobody is to know. Whatever goes wrong here
    is logged, and disturbs nothing else.

    Where all who share the store run on one host, what is written wakes them. There it is renewed
    only when what it says has changed by a claim, a settlement or an outage, and at every third of
    a lease while anything is in hand: others are woken then anyhow.
    """

    def __init__(
        self,
        announcements: Announcements | None,
        introduction: Introduction,
        hands: Hands,
        time: StoreTime,
    ) -> None:
        self._announcements = announcements
        self._introduction = introduction
        self._hands = hands
        self._time = time
        self._clock = asyncio.get_running_loop().time
        self._process = this_process()
        self._name = PREFIX + introduction.owner
        self._revision: str | None = None  # of the note, if it was written
        self._said: SchedulerInfo | None = None
        self._said_at = 0.0  # loop time
        self._writing = asyncio.Lock()
        self._leaving = False

    async def run(self) -> None:
        """Announce it for ever."""
        announcements = self._announcements
        if announcements is None:
            return
        HERE.add(self._name.removeprefix(PREFIX))
        failing, first = False, True
        while True:
            try:
                await self._announce(announcements, self._time.likely())
                if first:
                    await self._look_round(announcements)
                    first = False
            except Exception as error:  # noqa: BLE001  # delivery goes on without it
                if not failing:
                    log.warning("announcing_failed", error=error_text(error))
                failing = True
            else:
                if failing:
                    log.info("announcing_again")
                failing = False
            await asyncio.sleep(EVERY)  # also while it fails: who is silent is taken for dead

    async def leave(self) -> None:
        """Be listed no more, unless something is left in hand, for which somebody may look."""
        announcements, self._leaving = self._announcements, True
        if announcements is None or self._said is None or self._hands.held:
            return
        with suppress(Exception):  # it runs out by itself
            async with asyncio.timeout(_LEAVING), self._writing:
                await announcements.withdraw(self._name)

    def end(self) -> None:
        """Call this when the run is over, however it has ended."""
        HERE.discard(self._name.removeprefix(PREFIX))

    async def _announce(self, announcements: Announcements, now: datetime) -> None:
        async with self._writing:
            info = self._introduction(now, anew=self._said is None)
            if self._leaving or (announcements.one_host and not self._has_news(info)):
                return
            value = announced(info, self._process)
            revision = await announcements.write(self._name, value, self._revision)
            if revision is None:  # an answer was lost, or somebody took it for dead
                note = await announcements.read(self._name)
                self._revision = None if note is None else note.revision
                revision = await announcements.write(self._name, value, self._revision)
            self._revision, self._said, self._said_at = revision, info, self._clock()

    def _has_news(self, info: SchedulerInfo) -> bool:
        said = self._said
        if said is None or self._revision is None:
            return True
        if self._hands.held and self._clock() - self._said_at >= info.lease.total_seconds() / 3:
            return True
        return (said.slots_used, said.claimed, said.outage) != (
            info.slots_used,
            info.claimed,
            info.outage,
        )

    async def _look_round(self, announcements: Announcements) -> None:
        """Have old ones of others removed; tell the store's time, which was a guess till now."""
        for each in await announcements.all(own=self._name):
            if each.name == self._name and abs(each.note.now - each.info.seen) > _IN_STEP:
                self._said = None
                await self._announce(announcements, each.note.now)
