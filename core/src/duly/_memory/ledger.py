"""What the memory store does to what it holds, one step at a time: the caller locks and tells."""

import itertools
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from duly._memory.agenda import Agenda
from duly._memory.lines import Lines
from duly._memory.places import earliest, moment_of, place_after, place_at
from duly._memory.shelf import Entry, Lease, Shelf
from duly.errors import DuplicateMessage
from duly.message import Message, State, with_changes
from duly.record import moved, with_next_id
from duly.store import (
    Bury,
    Claim,
    Group,
    Reschedule,
    Settle,
    Stats,
    buried_keys,
    plan_put,
    plan_settle,
    put_back,
    to_be_moved,
)

__all__ = ["Ledger"]


class Ledger:
    """The entries, the lines they wait in, and the leases.

    A place in line is a moment in microseconds followed by the key, so that what is due at the
    same time comes in the order it was stored. Leases stand in line by their end.
    """

    def __init__(self) -> None:
        self.shelf = Shelf()
        self.lines = Lines()
        self.leases: dict[str, Lease] = {}
        self.ends: Agenda[Lease] = Agenda()
        self._numbers = itertools.count(1)

    def put(self, groups: Sequence[Group]) -> Sequence[DuplicateMessage | None]:
        """Store groups, each whole or not at all; one outcome for each."""
        plan = plan_put(groups, self.shelf.entries)
        for entry in plan.replaced.values():
            self.remove(entry)
        for message in plan.inserts:
            self.add(message)
        return plan.outcomes

    def remove(self, entry: Entry) -> None:
        """Take out a message in any state; if it is claimed, its lease remembers the key."""
        if entry.lease is not None:
            del entry.lease.held[entry.key]
            entry.lease.gone.add(entry.key)
        elif entry.message.state is State.SCHEDULED:
            self.lines.remove(entry)
        self.shelf.discard((entry,))

    def reschedule(self, entry: Entry, at: datetime | None) -> None:
        """Move a message that is not claimed; it becomes another scheduling."""
        self.remove(entry)
        message = to_be_moved(entry.message, entry.successor)
        at = message.scheduled_at if at is None else at
        self.add(moved(message, at)).declared = entry.declared

    def rewrite(self, entry: Entry, message: Message, *, moves: bool) -> None:
        """Let an entry be another message of its id; it ``moves`` only if it is not claimed."""
        self.shelf.discard((entry,))
        renamed = entry.aside and message.event_name != entry.message.event_name
        if (moves and entry.lease is None) or renamed:
            self.lines.remove(entry)
        entry.message = message
        self.shelf.add(entry)
        if moves:
            entry.lapses = 0
            self.lines.add(entry, place_at(message.next_attempt_at, entry.key))
        elif renamed:  # a siding is of one name
            self.lines.add(entry, entry.place)

    def recover(self, bound: int) -> None:
        """Put what is left in leases that end before ``bound`` back at its place."""
        for lease in self.ends.take(bound):
            del self.leases[lease.token]
            for entry in lease.held.values():
                entry.lapses += 1
                self._put_back(entry, entry.place)

    def stats(self, now: datetime) -> Stats:
        """How much there is."""
        lines, shelf, not_due = self.lines, self.shelf, place_after(now)
        oldest, coming, aside = lines.first(), lines.first(not_due), lines.sidings.first()
        return Stats(
            scheduled=len(lines),
            claimed=len(shelf.entries) - len(lines) - len(shelf.dead),
            dead=len(shelf.dead),
            oldest_due=moment_of(oldest) if oldest is not None and oldest < not_due else None,
            next_due=None if coming is None else moment_of(coming),
            aside=len(lines.sidings),
            oldest_aside=None if aside is None else moment_of(aside),
        )

    def first_lapse(self) -> int | None:
        """The end of the lease that ends first, of those that still hold something."""
        return next((lease.place for lease in self.ends if lease.held), None)

    def lease(self, entries: Sequence[Entry], owner: str, end: datetime) -> tuple[str, list[Claim]]:
        """Hand out what was taken out of line; the token and the claims."""
        number = next(self._numbers)
        lease = Lease(str(number), owner, place_at(end, number))
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
        lease.place = place_at(end, next(self._numbers))
        self.ends.add(lease.place, lease)

    def lapse(self, owner: str, now: datetime) -> int:
        """Let the leases of this owner end now; how many entries they held."""
        ending = [each for each in self.ends if each.owner == owner]
        ending = [each for each in ending if each.place >= place_after(now)]
        for lease in ending:
            self.renew(lease, now)
        return sum(len(each.held) for each in ending)

    def prolong(self, owners: Collection[str], by: timedelta) -> None:
        """Let the leases of these owners end so much later."""
        for lease in [each for each in self.ends if each.owner in owners]:
            self.renew(lease, moment_of(lease.place) + by)

    def occupied(self, now: datetime, owners: Collection[str]) -> bool:
        """Whether something is due, or lapsed, or in the hands of these owners."""
        bound = place_after(now)
        first = earliest(self.lines.first(), self.lines.sidings.first())
        held = any(each.held and (each.owner in owners or each.place < bound) for each in self.ends)
        return held or (first is not None and first < bound)

    def due_after(self, now: datetime, owners: Collection[str]) -> datetime | None:
        """When something is due next, leases that lapse included, but for those of these owners."""
        bound = place_after(now)
        lapses = (
            each.place for each in self.ends
            if each.held and each.place >= bound and each.owner not in owners
        )  # fmt: skip
        place = earliest(self.lines.first(bound), next(lapses, None))
        return None if place is None else moment_of(place)

    def copy(self) -> "Ledger":
        """The same messages, for somebody to try something with; leases stay behind."""
        other = Ledger()
        for entry in self.shelf.entries.values():
            made = other.add(entry.message)
            made.successor, made.declared = entry.successor, entry.declared
        return other

    def settle(self, settle: Settle, now: datetime, bound: int) -> bool:
        """Do what a settle says; False, and nothing, for a lease that ended before ``bound``."""
        lease = self.lease_of(settle.token, bound)
        if lease is None:
            return False
        held = lease.held
        successors = {
            key: follows
            for key in settle.exceptions
            if key in held and (follows := held[key].successor) is not None
        }
        asked = [*buried_keys(settle, held), *successors]
        messages = {key: held[key].message for key in asked}
        plan = plan_settle(settle, held, messages, now=now, successors=successors)
        if plan.ends:
            del self.leases[lease.token]
            self.ends.remove(lease.place)
            settled = held
        else:
            settled = {key: held.pop(key) for key in plan.left}
            lease.gone.difference_update(settle.only or ())
        self.shelf.discard(settled[key] for key in plan.deleted)
        for key, at in plan.released.items():
            entry = settled[key]
            self._put_back(entry, place_at(at, entry.key))
        for key, how in plan.rescheduled.items():
            self._go_on(settled[key], how)
        for key, message in plan.succeeded.items():
            self._give_way(settled[key], message)
        for key, bury in plan.buried.items():
            self._bury(settled[key], bury, now)
        for letter in plan.occurrences.values():
            self._add_dead(letter)
        return True

    def _add_dead(self, message: Message) -> None:
        while message.id in self.shelf.entries:
            message = with_next_id(message)
        self.shelf.add_dead(Entry(next(self._numbers), message))

    def _bury(self, entry: Entry, bury: Bury, now: datetime) -> None:
        self.shelf.discard((entry,))
        buried = with_changes(
            entry.message,
            state=State.DEAD,
            last_error=bury.reason,
            error_class=bury.error_class,
            died_at=now,
        )
        self.shelf.add_dead(Entry(entry.key, buried))

    def _go_on(self, entry: Entry, how: Reschedule) -> None:
        entry.lapses = 0
        entry.message = put_back(entry.message, how)
        self._put_back(entry, place_at(how.next_attempt_at, entry.key))
        self.shelf.reorder()

    def _give_way(self, entry: Entry, message: Message) -> None:
        """A series is another from now on: its successor."""
        entry.successor = None
        entry.lapses = 0
        self.rewrite(entry, message, moves=False)
        self._put_back(entry, place_at(message.next_attempt_at, entry.key))

    def _put_back(self, entry: Entry, place: int) -> None:
        entry.message = with_changes(entry.message, state=State.SCHEDULED)
        entry.lease = None
        self.lines.add(entry, place)

    def add(self, message: Message) -> Entry:
        """Take in a message whose id is free, dead or alive."""
        entry = Entry(next(self._numbers), message)
        if message.state is State.DEAD:
            self.shelf.add_dead(entry)
        else:
            self.shelf.add(entry)
            self.lines.add(entry, place_at(message.next_attempt_at, entry.key))
        return entry
