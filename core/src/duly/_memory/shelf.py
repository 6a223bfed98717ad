"""What the memory store holds: every entry by id and by event name, and in listing order."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import Final

from duly.message import Filter, Message, State
from duly.moment import to_microseconds
from duly.record import given_at
from duly.store import Declared, Successor

__all__ = ["Entry", "Lease", "Shelf"]

_MOMENT: Final = itemgetter(0)


class Entry:
    """A stored message: its key, its place in line and lapses, and the lease it is in, if any."""

    __slots__ = ("aside", "declared", "key", "lapses", "lease", "message", "place", "successor")

    def __init__(self, key: int, message: Message) -> None:
        self.successor: Successor | None = None  # what follows, if it is a series
        self.declared: Declared | None = None
        self.key = key
        self.message = message
        self.place = 0
        self.lapses = 0
        self.lease: Lease | None = None
        self.aside = False  # whether it stands in a siding

    @property
    def state(self) -> State:
        """The state it is in."""
        return self.message.state

    @property
    def created_at(self) -> int:
        """In microseconds."""
        return to_microseconds(self.message.created_at)

    @property
    def given_at(self) -> int:
        """The ``created_at`` that was given, in microseconds."""
        return given_at(self.message)


class Lease:
    """A batch in the hands of ``owner``: what is left of it, and the keys taken out meanwhile."""

    __slots__ = ("gone", "held", "owner", "place", "token")

    def __init__(self, token: str, owner: str, place: int) -> None:
        self.token = token
        self.owner = owner
        self.place = place
        self.held: dict[object, Entry] = {}
        self.gone: set[object] = set()


class Shelf:
    """Every entry by id, with an index by event name and one of the dead letters."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.dead: set[str] = set()
        self.series: set[str] = set()
        self.names: dict[str, set[str]] = {}
        # Sorted once and used for every page until something comes in; what left is passed over.
        self._listings: dict[str | State | None, list[tuple[datetime, str]]] = {}

    def add(self, entry: Entry) -> None:
        """Take in an entry whose id is free."""
        message = entry.message
        self.entries[message.id] = entry
        ids = self.names.get(message.event_name)
        if ids is None:
            ids = self.names[message.event_name] = set()
        ids.add(message.id)
        if message.recurrence is not None:
            self.series.add(message.id)
        self.reorder()

    def add_dead(self, entry: Entry) -> None:
        """Take in a dead letter whose id is free."""
        self.add(entry)
        self.dead.add(entry.message.id)

    def discard(self, entries: Iterable[Entry]) -> None:
        """Forget entries that are there."""
        stored, names = self.entries, self.names
        for entry in entries:
            message = entry.message
            del stored[message.id]
            if message.state is State.DEAD:
                self.dead.discard(message.id)
            if message.recurrence is not None:
                self.series.discard(message.id)
            ids = names[message.event_name]
            ids.discard(message.id)
            if not ids:
                del names[message.event_name]

    def reorder(self) -> None:
        """Called when an entry got another place in some listing."""
        if self._listings:
            self._listings.clear()

    def listed(self, filter: Filter, from_key: tuple[datetime, str] | None) -> Iterator[Message]:
        """The messages that match, in order, behind ``from_key``; offset and limit aside."""
        listing = self._listing(filter)
        start = 0 if from_key is None else bisect_right(listing, from_key)
        end = len(listing)
        if filter.after is not None:
            start = max(start, bisect_left(listing, filter.after, key=_MOMENT))
        if filter.before is not None:
            end = bisect_right(listing, filter.before, key=_MOMENT)
        for moment, id in islice(listing, start, max(start, end)):
            entry = self.entries.get(id)
            if entry is None:
                continue
            message = entry.message
            if (
                message.scheduled_at == moment
                and filter.state in (None, message.state)
                and filter.event_name in (None, message.event_name)
            ):
                yield message

    def _listing(self, filter: Filter) -> list[tuple[datetime, str]]:
        key: str | State | None = filter.event_name
        ids: Iterable[str] = self.entries
        if filter.state is State.DEAD:  # few among many, as a rule
            key, ids = State.DEAD, self.dead
        elif filter.event_name is not None:
            ids = self.names.get(filter.event_name, ())
        if key not in self._listings:
            self._listings[key] = sorted((self.entries[id].message.scheduled_at, id) for id in ids)
        return self._listings[key]
