"""The lines in which the memory store's messages wait: the main line, and its sidings."""

from collections.abc import Iterator
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import Final

from duly._memory.agenda import Agenda
from duly._memory.places import earliest
from duly._memory.shelf import Entry
from duly._memory.sidings import Sidings
from duly.store import LOOKED_AT, SUSPECT_LAPSES, Rooms

__all__ = ["Lines"]

_PLACE: Final = attrgetter("place")


class Lines:
    """All that waits, due or not: suspects and ordinary ones in the main line, others aside."""

    def __init__(self) -> None:
        self._ordinary: Agenda[Entry] = Agenda()
        self._suspects: Agenda[Entry] = Agenda()
        self.sidings = Sidings()

    def __len__(self) -> int:
        return len(self._ordinary) + len(self._suspects) + len(self.sidings)

    def add(self, entry: Entry, place: int) -> None:
        """Let one wait in the main line."""
        entry.place, entry.aside = place, False
        self._line(entry).add(place, entry)

    def remove(self, entry: Entry) -> None:
        """Take one out, wherever it waits."""
        if entry.aside:
            self.sidings.remove(entry)
        else:
            self._line(entry).remove(entry.place)

    def below(self, bound: int) -> int:
        """How many wait in the main line before that place."""
        return self._ordinary.below(bound) + self._suspects.below(bound)

    def in_order(self) -> Iterator[Entry]:
        """All that wait in the main line, the first one first."""
        return merge(self._ordinary, self._suspects, key=_PLACE)

    def between(self, start: int, end: int) -> Iterator[Entry]:
        """All that wait in the main line from a place on and before another, in order."""
        return merge(
            self._ordinary.between(start, end), self._suspects.between(start, end), key=_PLACE
        )

    def first(self, bound: int | None = None) -> int | None:
        """The first place of the main line, or the first of those not below ``bound``."""
        return earliest(self._ordinary.first(bound), self._suspects.first(bound))

    def first_of(self, rooms: Rooms, *, suspects: bool) -> int | None:
        """The first place of the main line, of what a claim takes or moves."""
        suspect = self._suspect(rooms) if suspects else None
        return earliest(self._ordinary.first(), None if suspect is None else suspect.place)

    def _suspect(self, rooms: Rooms) -> Entry | None:
        """The first suspect whose name is not passed over."""
        names = (entry for entry in self._suspects)
        return next(
            (each for each in names if not rooms.passes_over(each.message.event_name)), None
        )

    def take(
        self, bound: int, limit: int, rooms: Rooms, *, suspects: bool
    ) -> tuple[list[Entry], int]:
        """Take what comes first before ``bound``: one suspect, or no suspects.

        Also how many were moved aside.
        """
        suspect = self._suspect(rooms) if suspects else None
        ordinary = self._ordinary.first()
        if (
            suspect is not None
            and suspect.place < bound
            and (ordinary is None or suspect.place < ordinary)
        ):
            self._suspects.remove(suspect.place)
            rooms.hand_out(suspect.message.event_name)
            return [suspect], 0
        if rooms.unlimited and not self.sidings.names:
            return self._ordinary.take(bound, limit), 0
        taken = self.sidings.take(bound, self.sidings.half(limit), rooms)
        moved = self._look_past(bound, limit, rooms, taken)
        taken += self.sidings.take(bound, limit - len(taken), rooms)
        return sorted(taken, key=_PLACE), moved

    def _look_past(self, bound: int, limit: int, rooms: Rooms, taken: list[Entry]) -> int:
        """Take from the main line what may be handed out, and move aside what must wait."""
        moved = 0
        for entry in list(islice(self._ordinary, LOOKED_AT)):
            if len(taken) >= limit or entry.place >= bound:
                break
            name, recurs = entry.message.event_name, entry.message.recurrence is not None
            waits = rooms.left(name) == 0 or name in self.sidings.names
            self._ordinary.remove(entry.place)
            if waits and rooms.may_wait(name, recurs=recurs):
                self.sidings.add(entry)
                moved += 1
            else:
                rooms.hand_out(name)
                taken.append(entry)
        return moved

    def _line(self, entry: Entry) -> Agenda[Entry]:
        return self._suspects if entry.lapses >= SUSPECT_LAPSES else self._ordinary
