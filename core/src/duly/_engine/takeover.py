"""Takes over what an earlier life of this scheduler has left in its hands."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from duly._caller.announcements import Announcements
from duly._engine.outage import Pauses
from duly._telemetry.logging import get_logger
from duly._values.error_text import error_text
from duly._values.presence import EVERY, PREFIX, Seen
from duly._values.texts import as_name
from duly.errors import InvalidArgument, InvalidMessage
from duly.health import Report
from duly.store import SupportsTakeover

__all__ = ["Takeover", "as_instance"]

_LOOK: Final = 60.0  # seconds between two looks, at most
_MARGIN: Final = 0.1  # seconds after the moment at which an announcement runs out

log = get_logger()


def as_instance(value: object, name: str) -> str | None:
    """The name of an instance, or None."""
    if value is None:
        return None
    try:
        return as_name(value, name)
    except InvalidMessage as error:  # it is no part of a message
        raise InvalidArgument(str(error)) from None


class Takeover:
    """Looks for others that are called ``instance``, as long as ``owner`` runs.

    When what such a one has announced has run out, its leases are ended, and ``wake`` is called.
    One that goes on announcing itself lives, and is told. ``announcements`` None: there is nothing
    to do here.
    """

    def __init__(
        self,
        announcements: Announcements | None,
        store: object,
        *,
        instance: str | None,
        owner: str,
        wake: Callable[[], None],
    ) -> None:
        self._announcements = announcements
        self._store = store
        self._instance = instance
        self._owner = owner
        self._wake = wake
        self._first: dict[str, Seen] = {}  # of others, by owner, as they were met
        self._rivals: Sequence[str] = ()

    async def run(self) -> None:
        """Look for ever."""
        announcements, store = self._announcements, self._store
        if (
            announcements is None
            or self._instance is None
            or not isinstance(store, SupportsTakeover)
        ):
            return
        pauses, failing = Pauses(EVERY, _LOOK), False
        while True:
            try:
                pause = await self._look(announcements, store)
            except Exception as error:  # noqa: BLE001  # its leases lapse by themselves
                if not failing:
                    log.warning("takeover_failed", error=error_text(error))
                failing, pause = True, pauses.next()
            else:
                failing = False
                pauses.reset()
            await asyncio.sleep(pause)

    def examine(self, report: Report) -> None:
        """Report that others have the same name; for health()."""
        for rival in self._rivals:
            report.odd(
                f"two live schedulers are called {self._instance!r}: {self._owner} and {rival}"
            )

    async def _look(self, announcements: Announcements, store: SupportsTakeover) -> float:
        """Take over what can be; how many seconds to wait before the next look."""
        others = [
            each
            for each in await announcements.all(own=PREFIX + self._owner)
            if each.info.instance == self._instance and each.info.owner != self._owner
        ]
        pause, rivals, first = _LOOK, [], {}
        for each in others:
            owner = each.info.owner
            if each.info.gone:
                await self._take_over(each, announcements, store)
                continue
            first[owner] = met = self._first.get(owner, each)
            if each.certain or each.info.seen > met.info.seen:
                rivals.append(owner)
            pause = min(pause, each.left + _MARGIN)
        for owner in set(rivals).difference(self._rivals):
            log.warning("two_live_schedulers", instance=self._instance, owner=owner)
        self._first, self._rivals = first, rivals
        return pause

    async def _take_over(
        self, one: Seen, announcements: Announcements, store: SupportsTakeover
    ) -> None:
        freed = await announcements.end(one, store)
        if freed is not None:  # else it was renewed at the last moment
            log.info("took_over", owner=one.info.owner, instance=self._instance, messages=freed)
            self._wake()
