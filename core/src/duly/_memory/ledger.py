"""What the memory store does to what it holds, one step at a time: the caller locks and tells."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from duly._memory.agenda import Agenda
from duly._memory.shelf import Entry, Lease, Shelf
from duly.errors import DuplicateMessage
from duly.message import Message, State, with_changes
from duly.moment import from_microseconds, to_microseconds
from duly.record import occurrence
from duly.store import SUSPECT_LAPSES, Bury, Claim, Group, Release, Reschedule, Settle, Settlement

__all__ = ["Ledger", "earliest", "moment_of", "place_after"]

_MICROSECOND: Final = timedelta(microseconds=1)
_LAST: Final = datetime.max.replace(tzinfo=UTC)  # no moment is later
_NUMBER_BITS: Final = 64


def _place(moment: datetime, number: int) -> int:
    return to_microseconds(moment) << _NUMBER_BITS | number


def place_after(moment: datetime) -> int:
    """The bound above every place of that moment, below every later one."""
    return to_microseconds(moment) + 1 << _NUMBER_BITS


def moment_of(place: int) -> datetime:
    """The moment of a place."""
    return from_microseconds(place >> _NUMBER_BITS)


def earliest(*places: int | None) -> int | None:
    """The first of those places that there are."""
    return min((place for place in places if place is not None), default=None)


class Ledger:
    """The entries, the lines they wait in, and the leases.

    A place in line is a moment in microseconds followed by the key, so that what is due at the
    same time comes in the order it was stored. Leases stand in line by their end.
    """

    def __init__(self) -> None:
        self.shelf = Shelf()
        self.ordinary: Agenda[Entry] = Agenda()
        self.suspects: Agenda[Entry] = Agenda()
        self.leases: dict[str, Lease] = {}
        self.ends: Agenda[Lease] = Agenda()
        self._numbers = itertools.count(1)

    def put(self, group: Group) -> DuplicateMessage | None:
        """Store a group, whole or not at all."""
        entries = self.shelf.entries
        wanted = []
        for message in group.messages:
            stored = entries.get(message.id)
            if stored is None:
                wanted.append(message)
            elif group.replace:
                wanted.append(_made_newer(message, stored.message.created_at))
            elif message.created_at != stored.message.created_at:
                return DuplicateMessage(f"a message with the id {message.id!r} is stored already")
        for message in wanted:
            stored = entries.get(message.id) if group.replace else None
            if stored is not None:
                self.remove(stored)
            self._add(_uncounted(message))
        return None

    def remove(self, entry: Entry) -> None:
        """Take out a message in any state; if it is claimed, its lease remembers the key."""
        if entry.lease is not None:
            del entry.lease.held[entry.key]
            entry.lease.gone.add(entry.key)
        elif entry.message.state is State.SCHEDULED:
            self._line(entry).remove(entry.place)
        self.shelf.discard((entry,))

    def reschedule(self, entry: Entry, at: datetime) -> None:
        """Move a message that is not claimed; it becomes another scheduling."""
        self.remove(entry)
        moved = with_changes(entry.message, scheduled_at=at, next_attempt_at=at)
        self._add(with_changes(moved, state=State.SCHEDULED, retry_count=0, last_error=None))

    def recover(self, bound: int) -> None:
        """Put what is left in leases that end before ``bound`` back at its place."""
        for lease in self.ends.take(bound):
            del self.leases[lease.token]
            for entry in lease.held.values():
                entry.lapses += 1
                self._put_back(entry, entry.place)

    def first(self, bound: int | None = None, *, suspects: bool = True) -> int | None:
        """The first place that is taken, or the first of those not below ``bound``."""
        suspect = self.suspects.first(bound) if suspects else None
        return earliest(self.ordinary.first(bound), suspect)

    def first_lapse(self) -> int | None:
        """The end of the lease that ends first, of those that still hold something."""
        return next((lease.place for lease in self.ends if lease.held), None)

    def take(self, bound: int, limit: int, *, suspects: bool) -> list[Entry]:
        """Take out of line what comes first before ``bound``: one suspect, or no suspects."""
        suspect = self.suspects.first() if suspects else None
        ordinary = self.ordinary.first()
        if suspect is not None and suspect < bound and (ordinary is None or suspect < ordinary):
            return self.suspects.take(bound, 1)
        return self.ordinary.take(bound, limit)

    def lease(self, entries: Sequence[Entry], owner: str, end: datetime) -> tuple[str, list[Claim]]:
        """Hand out what was taken out of line; the token and the claims."""
        number = next(self._numbers)
        lease = Lease(str(number), owner, _place(end, number))
        self.leases[lease.token] = lease
        self.ends.add(lease.place, lease)
        held, claims = lease.held, []
        for entry in entries:
            entry.message = message = with_changes(entry.message, state=State.CLAIMED)
            entry.lease = lease
            held[entry.key] = entry
            claims.append(Claim(entry.key, message, entry.lapses))
        return lease.token, claims

    def lease_of(self, token: str, bound: int) -> Lease | None:
        """The lease that a token proves, None unless it ends at or after ``bound``."""
        lease = self.leases.get(token)
        return None if lease is None or lease.place < bound else lease

    def renew(self, lease: Lease, end: datetime) -> None:
        """Let a lease end at another time."""
        self.ends.remove(lease.place)
        lease.place = _place(end, next(self._numbers))
        self.ends.add(lease.place, lease)

    def settle(self, settle: Settle, bound: int) -> bool:
        """Do what a settle says; False, and nothing, for a lease that ended before ``bound``."""
        lease = self.lease_of(settle.token, bound)
        if lease is None:
            return False
        if settle.only is None:
            del self.leases[lease.token]
            self.ends.remove(lease.place)
            settled = lease.held
        else:
            settled = {key: lease.held.pop(key) for key in settle.only if key in lease.held}
            lease.gone.difference_update(settle.only)
        others = [
            (settled.pop(key), settlement)
            for key, settlement in settle.exceptions.items()
            if key in settled
        ]
        self.shelf.discard(settled.values())
        for entry, settlement in others:
            self._except(entry, settlement)
        return True

    def _except(self, entry: Entry, settlement: Settlement) -> None:
        match settlement:
            case Release(at):
                self._put_back(entry, _place(at, entry.key))
            case Reschedule():
                self._go_on(entry, settlement)
            case Bury(reason, following) if entry.message.recurrence is not None:
                buried = occurrence(entry.message, reason)
                while buried.id in self.shelf.entries:
                    buried = with_changes(buried, id=f"{buried.id}+")
                self.shelf.add_dead(Entry(next(self._numbers), buried))
                if following is None:
                    self.shelf.discard((entry,))
                else:
                    self._go_on(entry, following)
            case Bury(reason):
                self.shelf.discard((entry,))
                buried = with_changes(entry.message, state=State.DEAD, last_error=reason)
                self.shelf.add_dead(Entry(entry.key, buried))

    def _go_on(self, entry: Entry, how: Reschedule) -> None:
        entry.lapses = 0
        entry.message = with_changes(
            entry.message,
            scheduled_at=how.counters.scheduled_at,
            next_attempt_at=how.next_attempt_at,
            retry_count=how.counters.retry_count,
            occurrence_count=how.counters.occurrence_count,
            last_error=how.counters.last_error,
        )
        self._put_back(entry, _place(how.next_attempt_at, entry.key))
        self.shelf.reorder()

    def _put_back(self, entry: Entry, place: int) -> None:
        entry.message = with_changes(entry.message, state=State.SCHEDULED)
        entry.lease = None
        self._line_up(entry, place)

    def _add(self, message: Message) -> None:
        entry = Entry(next(self._numbers), message)
        self.shelf.add(entry)
        self._line_up(entry, _place(message.next_attempt_at, entry.key))

    def _line_up(self, entry: Entry, place: int) -> None:
        entry.place = place
        self._line(entry).add(place, entry)

    def _line(self, entry: Entry) -> Agenda[Entry]:
        return self.suspects if entry.lapses >= SUSPECT_LAPSES else self.ordinary


def _uncounted(message: Message) -> Message:
    """As it is first stored: one that was in a store before may have been counted on."""
    if (
        message.state is State.SCHEDULED
        and not message.retry_count
        and not message.occurrence_count
        and message.last_error is None
    ):
        return message
    return with_changes(
        message, state=State.SCHEDULED, retry_count=0, occurrence_count=0, last_error=None
    )


def _made_newer(message: Message, replaced: datetime) -> Message:
    """A replacement with a delivery id that the message it replaces cannot have had."""
    if message.created_at > replaced or replaced == _LAST:
        return message
    return with_changes(message, created_at=replaced + _MICROSECOND, _delivery_id=None)
