"""The sidings of the memory store: messages that stand aside, by event name."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from itertools import islice

from duly._memory.agenda import Agenda
from duly._memory.places import earliest
from duly._memory.shelf import Entry
from duly.store import SIDINGS, Rooms

__all__ = ["Sidings"]


class Sidings:
    """What stands aside, in line by event name."""

    def __init__(self) -> None:
        self._by_name: dict[str, Agenda[Entry]] = {}
        self.names = self._by_name.keys()
        self._sorted: list[str] = []
        self._last = ""  # the name visited last
        self._odd = False  # whose turn it is to have the odd one of a limit

    def __len__(self) -> int:
        return sum(map(len, self._by_name.values()))

    def first(self) -> int | None:
        """The first place of all."""
        return earliest(*(siding.first() for siding in self._by_name.values()))

    def add(self, entry: Entry) -> None:
        """Move one aside that was taken out of the main line."""
        name = entry.message.event_name
        siding = self._by_name.get(name)
        if siding is None:
            siding = self._by_name[name] = Agenda()
            insort(self._sorted, name)
        entry.aside = True
        siding.add(entry.place, entry)

    def remove(self, entry: Entry) -> None:
        """Take one out again."""
        entry.aside = False
        name = entry.message.event_name
        self._by_name[name].remove(entry.place)
        self._tidy(name)

    def half(self, limit: int) -> int:
        """Half of a limit; of an odd one now less, now more."""
        self._odd = not self._odd
        return (limit + self._odd) // 2 if self._by_name else 0

    def take(self, bound: int, limit: int, rooms: Rooms) -> list[Entry]:
        """Take what comes first before ``bound`` out of those that may give some, in turn."""
        giving = list(islice(self._giving(bound, rooms), SIDINGS))
        taken: list[Entry] = []
        while giving and len(taken) < limit:
            each = max(1, (limit - len(taken)) // len(giving))
            for name in giving:
                most = min(each, limit - len(taken))
                left = rooms.left(name)
                entries = self._by_name[name].take(bound, most if left is None else min(most, left))
                for entry in entries:
                    entry.aside = False
                rooms.hand_out(name, len(entries))
                taken += entries
                self._tidy(name)
                if not most:
                    break
                self._last = name
            giving = [name for name in giving if self._gives(name, bound, rooms)]
        return taken

    def gives(self, bound: int, rooms: Rooms) -> bool:
        """Whether any may give more."""
        return next(self._giving(bound, rooms), None) is not None

    def kept_back(self, rooms: Rooms) -> bool:
        """Whether any holds something and may give nothing."""
        return any(rooms.left(name) == 0 for name in self.names)

    def _giving(self, bound: int, rooms: Rooms) -> Iterator[str]:
        start = bisect_right(self._sorted, self._last)
        names = (*self._sorted[start:], *self._sorted[:start])
        return (name for name in names if self._gives(name, bound, rooms))

    def _gives(self, name: str, bound: int, rooms: Rooms) -> bool:
        siding = self._by_name.get(name)
        first = None if siding is None else siding.first()
        return first is not None and first < bound and rooms.left(name) != 0

    def _tidy(self, name: str) -> None:
        if not self._by_name[name]:
            del self._by_name[name]
            del self._sorted[bisect_left(self._sorted, name)]
