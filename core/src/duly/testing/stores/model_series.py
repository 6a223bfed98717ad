"""What a store must do with series that are declared, written as plainly as possible."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from duly.message import Message, State, with_changes
from duly.record import occurrence
from duly.store import (
    Bury,
    Declared,
    End,
    Ensured,
    EnsurePlan,
    Reschedule,
    Settlement,
    Successor,
    succeeded,
    to_be_moved,
)
from duly.store import ensured as planned
from duly.testing.stores.model_entries import Entry, died


class SeriesModel:
    """The part of the model for stores that are :class:`~duly.store.SupportsEnsure`."""

    now: datetime
    entries: dict[str, Entry]

    def __init__(self) -> None:
        self.floors: dict[str, int] = {}

    def ensure(
        self, wanted: Sequence[Message], declared: Declared | None
    ) -> Sequence[Ensured | Exception]:
        """What comes of each."""
        if declared is not None:
            if self.floors.get(declared.by, 0) > declared.generation:
                return [Ensured.OLDER for _ in wanted]
            self.floors[declared.by] = declared.generation
        return [self._ensure(each, declared) for each in wanted]

    def undeclare(self, by: str, generation: int) -> Sequence[tuple[str, State]]:
        """What is gone."""
        gone = [
            entry
            for entry in self.entries.values()
            if entry.declared is not None
            and entry.declared.by == by
            and entry.declared.generation < generation
        ]
        for entry in gone:
            self._remove(entry)
        return [(entry.message.id, entry.message.state) for entry in gone]

    def follows(self, entry: Entry) -> Message | None:
        """What takes the place of a series by and by; None for nothing."""
        if entry.successor is None:
            return None
        return succeeded(entry.message, entry.successor, entry.message.occurrence_count)

    def _ensure(self, wanted: Message, declared: Declared | None) -> Ensured | Exception:
        entry = self.entries.get(wanted.id)
        stored = None if entry is None else entry.message
        plan = self._plan(stored, None if entry is None else entry.successor, wanted)
        self._carry_out(entry, plan)
        entry = self.entries.get(wanted.id)
        if entry is not None and declared is not None and isinstance(plan.outcome, Ensured):
            entry.declared = declared
        return plan.outcome

    def _plan(
        self, stored: Message | None, successor: Successor | None, wanted: Message
    ) -> EnsurePlan:
        return planned(stored, successor, wanted, self.now)

    def _carry_out(self, entry: Entry | None, plan: EnsurePlan) -> None:
        if entry is not None and plan.removes:
            self._remove(entry)
        elif plan.stored is None:
            return
        elif entry is None:
            self._add(plan.stored, plan.stored.next_attempt_at)
        else:
            if plan.stored.event_name != entry.message.event_name:
                entry.aside = False
            entry.message, entry.successor = plan.stored, plan.successor
            if plan.moves:
                entry.lapses = 0
                self._stand(entry, plan.stored.next_attempt_at)

    def _gives_way(self, entry: Entry, settlement: Settlement | None) -> bool:
        """Whether what follows a series has taken its place."""
        successor, message = entry.successor, entry.message
        told = settlement.next if isinstance(settlement, Bury) else settlement
        if successor is None or not isinstance(told, Reschedule | End):
            return False
        if isinstance(told, Reschedule):
            if told.counters.scheduled_at <= successor.cut:
                return False
            if self._brings_the_missed(entry, successor, told):
                return True
            count = told.counters.occurrence_count
        else:
            count = told.occurrence_count
        self._take_place(entry, successor, count)
        if isinstance(settlement, Bury):
            dead = died(occurrence(message, settlement.reason), settlement, self.now)
            while dead.id in self.entries:
                dead = with_changes(dead, id=dead.id + "+")
            self._add(dead, dead.next_attempt_at)
        return True

    def _brings_the_missed(self, entry: Entry, successor: Successor, told: Reschedule) -> bool:
        """Whether the latest missed fire up to the cut comes first."""
        message, rule = entry.message, entry.message.recurrence
        jumped = told.counters.occurrence_count == message.occurrence_count
        if not jumped or rule is None or rule.missed != "once":
            return False
        fire = rule.latest(message.scheduled_at, successor.cut)
        at = fire + timedelta(microseconds=1)
        entry.message = with_changes(
            message,
            state=State.SCHEDULED,
            scheduled_at=fire,
            next_attempt_at=at,
            retry_count=0,
            last_error=None,
            postpone_count=0,
            _put_back=bool(rule.jitter),
        )
        entry.lapses = 0
        self._stand(entry, at)
        return True

    def _take_place(self, entry: Entry, successor: Successor, count: int) -> None:
        follows = succeeded(entry.message, successor, count)
        if follows is None:
            del self.entries[entry.message.id]
            return
        entry.message, entry.successor, entry.lapses = follows, None, 0
        self._stand(entry, follows.next_attempt_at)

    def _to_be_moved(self, entry: Entry) -> Message:
        return to_be_moved(entry.message, entry.successor)

    def _add(self, message: Message, due: datetime, *, moved: bool = False) -> None:
        raise NotImplementedError

    def _remove(self, entry: Entry) -> None:
        raise NotImplementedError

    def _stand(self, entry: Entry, due: datetime) -> None:
        raise NotImplementedError
