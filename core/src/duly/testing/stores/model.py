"""What a store must do, written as plainly as possible: dictionaries and full scans."""

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from duly.message import Filter, Message, State, with_changes
from duly.record import occurrence
from duly.store import Bury, End, Release, Reschedule, Rooms, Settlement, Stats
from duly.testing.stores.model_entries import FRESH, Entry, Lease, died, given, remembering
from duly.testing.stores.model_lines import LinesModel
from duly.testing.stores.model_series import SeriesModel

MICROSECOND = timedelta(microseconds=1)


class Model(LinesModel, SeriesModel):
    """The store's contract over a dictionary; ``now`` is turned by hand."""

    def __init__(self, now: datetime) -> None:
        LinesModel.__init__(self)
        SeriesModel.__init__(self)
        self.now = now
        self.entries: dict[str, Entry] = {}
        self.leases: list[Lease] = []
        self._stored = 0  # how many so far

    # --- for the caller

    def put(self, messages: Sequence[Message], *, replace: bool, as_is: bool = False) -> bool:
        """Whether the group was stored."""
        new = []
        for message in messages:
            old = self.entries.get(message.id)
            if old is not None and self._is_repeat(message, old.message, replace=replace):
                continue
            if old is not None and not replace:
                return False
            new.append(message)
        for message in new:
            old = self.entries.get(message.id)
            stored = message
            if as_is:
                if message.state is State.CLAIMED:
                    stored = with_changes(message, state=State.SCHEDULED)
            else:
                stored = with_changes(message, **FRESH, occurrence_count=0)
            if old is not None:
                stored = stored if as_is else self._newer(stored, old.message)
                self._remove(old)
            self._add(stored, stored.next_attempt_at)
        return True

    def cancel(self, id: str, of_state: State | None) -> State | None:
        """The state it was found in."""
        entry = self.entries.get(id)
        if entry is None:
            return None
        state = entry.message.state
        if of_state in (None, state):
            self._remove(entry)
        return state

    def reschedule(self, id: str, at: datetime | None, of_state: State) -> State | None:
        """The state it was found in."""
        entry = self.entries.get(id)
        if entry is None or entry.message.state is not of_state:
            return None if entry is None else entry.message.state
        before = self._to_be_moved(entry)
        at = before.scheduled_at if at is None else at
        message = with_changes(
            self._named_anew(before, at), scheduled_at=at, next_attempt_at=at, **FRESH
        )
        self._remove(entry)
        self._add(message, at, moved=True)
        self.entries[id].declared = entry.declared
        return of_state

    def list(self, filter: Filter, from_key: tuple[datetime, str] | None) -> Sequence[Message]:
        """The messages that match."""
        found = []
        for key, message in sorted(
            ((entry.message.scheduled_at, id), entry.message) for id, entry in self.entries.items()
        ):
            if (
                filter.event_name in (None, message.event_name)
                and filter.state in (None, message.state)
                and (filter.before is None or key[0] <= filter.before)
                and (filter.after is None or key[0] >= filter.after)
                and (from_key is None or key > from_key)
            ):
                found.append(message)
        return found[filter.offset :][: filter.limit]

    def of_state(self, state: State) -> Iterator[Entry]:
        """All of a state, the earliest due first."""
        found = [each for each in self.entries.values() if each.message.state is state]
        yield from sorted(found, key=lambda each: (each.due, each.number))

    # --- for the scheduler

    def valid(self, lease: Lease) -> bool:
        """Whether its token still is."""
        return lease in self.leases and self.now < lease.end

    def recover(self) -> None:
        """Put back what is left in lapsed leases, as a claim does first."""
        for lease in [each for each in self.leases if not self.valid(each)]:
            self.leases.remove(lease)
            for entry in lease.held:
                entry.message = with_changes(entry.message, state=State.SCHEDULED)
                entry.lapses += 1

    def take(self, limit: int, *, suspects: bool) -> Sequence[Entry]:
        """What a claim takes: the earliest alone if that is a suspect, else innocents."""
        due = self.due(suspects=suspects)
        if due and due[0].suspect:
            return due[:1]
        return [entry for entry in due if not entry.suspect][:limit]

    def claim(self, taken: Sequence[Entry], duration: timedelta, owner: str = "") -> Lease | None:
        """The lease of what was taken; None if nothing was."""
        if not taken:
            return None
        for entry in taken:
            entry.message = with_changes(entry.message, state=State.CLAIMED)
        lease = Lease(self.now + duration, taken, list(taken), owner)
        self.leases.append(lease)
        return lease

    def due(self, *, suspects: bool) -> Sequence[Entry]:
        """What is due, earliest first."""
        return [each for each in self._waiting(suspects=suspects) if each.due <= self.now]

    def next_due(
        self, own: Lease | None, *, rooms: Rooms, suspects: bool, empty: bool = False
    ) -> datetime | None:
        """When another claim could bring something; ``empty``: leases that hold nothing count."""
        moments = [each.due for each in self.main(rooms, suspects=suspects)]
        moments += [each.end for each in self.leases if each is not own and (each.held or empty)]
        return min(moments, default=None)

    def stats(self) -> Stats:
        """How much there is."""
        scheduled, claimed, dead = (len(list(self.of_state(state))) for state in State)
        dues = [entry.due for entry in self._waiting(suspects=True)]
        aside = self.aside()
        return Stats(
            scheduled=scheduled,
            claimed=claimed,
            dead=dead,
            oldest_due=min((due for due in dues if due <= self.now), default=None),
            next_due=min((due for due in dues if due > self.now), default=None),
            aside=len(aside),
            oldest_aside=aside[0].due if aside else None,
        )

    def settle(
        self,
        lease: Lease,
        exceptions: Mapping[Any, Settlement],
        only: Collection[Hashable] | None,
    ) -> bool:
        """Whether the token was valid."""
        if not self.valid(lease):
            return False
        settled = [entry for entry in lease.held if only is None or entry in only]
        for entry in settled:
            lease.held.remove(entry)
            self._settle(entry, exceptions.get(entry))
        lease.withdrawn = [entry for entry in lease.withdrawn if entry not in (only or ())]
        if only is None:
            self.leases.remove(lease)
        return True

    def renew(self, lease: Lease, duration: timedelta) -> Sequence[Entry] | None:
        """What was withdrawn, None when the lease is lost."""
        if not self.valid(lease):
            return None
        lease.end = self.now + duration
        return lease.withdrawn

    def _waiting(self, *, suspects: bool) -> Sequence[Entry]:
        waiting = (each for each in self.of_state(State.SCHEDULED) if not each.aside)
        return [each for each in waiting if suspects or not each.suspect]

    def _settle(self, entry: Entry, settlement: Settlement | None) -> None:
        message = entry.message
        if self._gives_way(entry, settlement):
            return
        if settlement is None or isinstance(settlement, End):
            del self.entries[message.id]
        elif isinstance(settlement, Release):
            entry.message = with_changes(message, state=State.SCHEDULED)
            self._stand(entry, settlement.at)
        elif isinstance(settlement, Reschedule):
            self._put_back(entry, settlement)
        elif message.recurrence is None:
            entry.message = died(message, settlement, self.now)
        else:
            self._bury_occurrence(entry, settlement)

    def _bury_occurrence(self, entry: Entry, settlement: Bury) -> None:
        dead = died(occurrence(entry.message, settlement.reason), settlement, self.now)
        if isinstance(settlement.next, Reschedule):
            self._put_back(entry, settlement.next)
        else:
            del self.entries[entry.message.id]
        while dead.id in self.entries:
            dead = with_changes(dead, id=dead.id + "+")
        self._add(dead, dead.next_attempt_at)

    def _put_back(self, entry: Entry, settlement: Reschedule) -> None:
        entry.message = with_changes(
            remembering(entry.message, settlement.counters),
            next_attempt_at=settlement.next_attempt_at,
        )
        entry.lapses = 0
        self._stand(entry, settlement.next_attempt_at)

    def _stand(self, entry: Entry, due: datetime) -> None:
        entry.due, entry.moved, entry.aside = due, True, False

    def _is_repeat(self, message: Message, old: Message, *, replace: bool) -> bool:
        return given(message) == given(old) and not (replace and old.state is State.DEAD)

    def _named_anew(self, message: Message, at: datetime) -> Message:
        if message.recurrence is None or at == message.scheduled_at:
            return message
        return self._newer(message, message)

    def _newer(self, message: Message, replaced: Message) -> Message:
        if message.created_at > replaced.created_at:
            return message
        return with_changes(
            message, created_at=replaced.created_at + MICROSECOND, _given_at=given(message),
            _delivery_id=None,
        )  # fmt: skip

    def _add(self, message: Message, due: datetime, *, moved: bool = False) -> None:
        self._stored += 1
        self.entries[message.id] = Entry(message, due, self._stored, moved=moved)

    def _remove(self, entry: Entry) -> None:
        del self.entries[entry.message.id]
        for lease in self.leases:
            if entry in lease.held:
                lease.held.remove(entry)
                lease.withdrawn.append(entry)
