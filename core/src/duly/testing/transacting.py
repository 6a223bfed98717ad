"""A memory store whose verbs take any transaction of a caller's."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

from duly.memory import MemoryStore
from duly.message import Filter, Message, State
from duly.store import Clock, Group
from duly.testing.pending import Pending, Step, at_once, follow, subject_of

__all__ = ["TransactingStore"]


class TransactingStore(MemoryStore):
    """What is done within a transaction of SQLAlchemy is applied when that commits.

    Within anything else it is applied at once.
    """

    transactions = "anything"

    def __init__(self, *, clock: Clock) -> None:
        super().__init__(clock=clock)
        self._pending: WeakKeyDictionary[Any, Pending] = WeakKeyDictionary()

    def accepts(self, within: object) -> bool:
        """Whatever it is."""
        return within is not None

    async def put(
        self, groups: Sequence[Group], *, within: Any = None
    ) -> Sequence[Exception | None]:
        pending = self._pending_in(within)
        if pending is None:
            return await super().put(groups)
        outcomes = await self._seen_with(pending).put(groups)
        stored = [group for group, outcome in zip(groups, outcomes, strict=True) if outcome is None]
        pending.steps.append(lambda store: store.put(stored))
        return outcomes

    async def cancel(
        self, ids: Sequence[str], *, of_state: State | None = None, within: Any = None
    ) -> Sequence[State | None]:
        pending = self._pending_in(within)
        if pending is None:
            return await super().cancel(ids, of_state=of_state)
        states = await self._seen_with(pending).cancel(ids, of_state=of_state)
        found = [id for id, state in zip(ids, states, strict=True) if state is not None]
        pending.steps.append(lambda store: store.cancel(found, of_state=of_state))
        return states

    async def reschedule(
        self, id: str, at: datetime | None, *, of_state: State, within: Any = None
    ) -> State | None:
        pending = self._pending_in(within)
        if pending is None:
            return await super().reschedule(id, at, of_state=of_state)
        found = await self._seen_with(pending).reschedule(id, at, of_state=of_state)
        if found is of_state:
            pending.steps.append(lambda store: store.reschedule(id, at, of_state=of_state))
        return found

    async def get(self, id: str, *, within: Any = None) -> Message | None:
        pending = self._pending_in(within)
        return await (super().get(id) if pending is None else self._seen_with(pending).get(id))

    async def list(
        self,
        filter: Filter,
        *,
        from_key: tuple[datetime, str] | None = None,
        within: Any = None,
    ) -> Sequence[Message]:
        pending = self._pending_in(within)
        if pending is None:
            return await super().list(filter, from_key=from_key)
        return await self._seen_with(pending).list(filter, from_key=from_key)

    def _pending_in(self, within: Any) -> Pending | None:
        subject = None if within is None else subject_of(within)
        if subject is None:
            return None
        pending = self._pending.get(subject)
        if pending is None:
            pending = self._pending[subject] = Pending(self._apply)
            follow(subject, pending)
        return pending

    def _apply(self, step: Step) -> None:
        at_once(step(self))

    def _seen_with(self, pending: Pending) -> MemoryStore:
        """What there is now, with what is pending: a store to try things with."""
        seen = MemoryStore(clock=self._clock)
        with self._lock:
            seen._ledger = self._ledger.copy()  # noqa: SLF001  # it is a memory store like this one
        for step in pending.steps:
            at_once(step(seen))
        return seen
