"""Series that are declared, in the memory store: one step at a time, while the caller locks."""

from collections.abc import Sequence
from datetime import datetime

from duly._memory.ledger import Ledger
from duly._memory.shelf import Entry
from duly.message import Message, State
from duly.store import Declared, Ensured, EnsurePlan, ensured

__all__ = ["Series"]


class Series:
    """Declares series on a ledger, and knows the newest generation of each who does."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._floors: dict[str, int] = {}

    def ensure(
        self, wanted: Sequence[Message], declared: Declared | None, now: datetime
    ) -> Sequence[Ensured | Exception]:
        """See to it that these are there; one outcome for each."""
        if declared is not None:
            if self._floors.get(declared.by, declared.generation) > declared.generation:
                return [Ensured.OLDER] * len(wanted)
            self._floors[declared.by] = declared.generation
        return [self._ensure(message, declared, now) for message in wanted]

    def undeclare(self, by: str, generation: int) -> Sequence[tuple[str, State]]:
        """Remove what was declared with a lower generation."""
        gone = [
            entry
            for entry in self._ledger.shelf.entries.values()
            if (of := entry.declared) is not None and of.by == by and of.generation < generation
        ]
        for entry in gone:
            self._ledger.remove(entry)
        return [(entry.message.id, entry.message.state) for entry in gone]

    def _ensure(
        self, wanted: Message, declared: Declared | None, now: datetime
    ) -> Ensured | Exception:
        entry = self._ledger.shelf.entries.get(wanted.id)
        if entry is None:
            plan = ensured(None, None, wanted, now)
            if plan.stored is not None:
                entry = self._ledger.add(plan.stored)
        else:
            plan = ensured(entry.message, entry.successor, wanted, now)
            entry = self._change(entry, plan)
        if entry is not None and declared is not None and isinstance(plan.outcome, Ensured):
            entry.declared = declared
        return plan.outcome

    def _change(self, entry: Entry, plan: EnsurePlan) -> Entry | None:
        if plan.removes:
            self._ledger.remove(entry)
            return None
        if plan.stored is not None:
            self._ledger.rewrite(entry, plan.stored, moves=plan.moves)
            entry.successor = plan.successor
        return entry
