"""The model as a store: the plainest one that keeps the contract, for tests of the kit itself."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from duly.errors import DuplicateMessage, Unsupported
from duly.message import Filter, Message, State, with_changes
from duly.store import (
    NO_LIMITS,
    Batch,
    Claim,
    Clock,
    Declared,
    Due,
    DueCounts,
    Ensured,
    Group,
    Key,
    NameStats,
    Overdue,
    Rooms,
    Settle,
    Stats,
    Whereabouts,
)
from duly.testing.stores.model import Model
from duly.testing.stores.model_entries import Entry, Lease
from duly.testing.stores.plain_ahead import due_between, due_counts, name_stats, overdue
from duly.testing.stores.plain_notes import PlainNotes


class PlainStore(PlainNotes):
    """A store for tests that looks at everything each time; its keys are the model's entries.

    :class:`duly.store.Store` says what each verb does.
    """

    lines = True
    lists_without_payloads = True

    def __init__(
        self, *, clock: Clock | None = None, model: Callable[[datetime], Model] = Model
    ) -> None:
        super().__init__()
        self._clock = clock
        self._leases: list[Lease] = []
        self._model = model(self.now())

    def now(self) -> datetime:
        """The store's time."""
        return datetime.now(UTC) if self._clock is None else self._clock()

    @property
    def model(self) -> Model:
        """The model, at the present moment."""
        self._model.now = self.now()
        return self._model

    async def open(self) -> None:
        """There is nothing to connect to."""

    async def close(self) -> None:
        """There is nothing to give back."""

    async def put(
        self, groups: Sequence[Group], *, within: Any = None
    ) -> Sequence[Exception | None]:
        _refuse(within)
        stored = [
            self.model.put(each.messages, replace=each.replace, as_is=each.as_is) for each in groups
        ]
        return [None if each else DuplicateMessage("an id is taken") for each in stored]

    async def cancel(
        self, ids: Sequence[str], *, of_state: State | None = None, within: Any = None
    ) -> Sequence[State | None]:
        _refuse(within)
        return [self.model.cancel(id, of_state) for id in ids]

    async def reschedule(
        self, id: str, at: datetime | None, *, of_state: State, within: Any = None
    ) -> State | None:
        _refuse(within)
        return self.model.reschedule(id, at, of_state)

    async def get(self, id: str) -> Message | None:
        entry = self.model.entries.get(id)
        return None if entry is None else entry.message

    async def ensure(
        self, wanted: Sequence[Message], *, declared: Declared | None = None
    ) -> Sequence[Ensured | Exception]:
        return self.model.ensure(wanted, declared)

    async def undeclare(self, by: str, generation: int) -> Sequence[tuple[str, State]]:
        return self.model.undeclare(by, generation)

    async def where(self, id: str) -> Whereabouts | None:
        model = self.model
        entry = model.entries.get(id)
        if entry is None:
            return None
        leases = (each for each in model.leases if entry in each.held)
        lease, state = next(leases, None), entry.message.state
        return Whereabouts(
            state=state,
            due_at=entry.due if state is State.SCHEDULED else None,
            lapses=entry.lapses,
            aside=entry.aside,
            owner=None if lease is None else lease.owner,
            lease_ends_at=None if lease is None else lease.end,
            follows=model.follows(entry),
        )

    async def list(
        self,
        filter: Filter,
        *,
        from_key: tuple[datetime, str] | None = None,
        payload: bool = True,
    ) -> Sequence[Message]:
        found = self.model.list(filter, from_key)
        return found if payload else [with_changes(message, payload=b"") for message in found]

    async def claim(
        self,
        *,
        limit: int,
        lease: timedelta,
        owner: str,
        suspects: bool = True,
        settle: Sequence[Settle] = (),
        most: Mapping[str, int] = NO_LIMITS,
    ) -> Batch:
        rooms = Rooms(most)
        settled = await self.settle(settle)
        model = self.model
        model.recover()
        if rooms.unlimited and not model.aside():
            taken, moved = model.take(limit, suspects=suspects), 0
        else:
            taken, moved = model.take_in_lines(limit, rooms, suspects=suspects)
        claimed = model.claim(taken, lease, owner)
        if claimed is not None:
            self._leases.append(claimed)
        return Batch(
            token=None if claimed is None else str(len(self._leases) - 1),
            claims=[] if claimed is None else [*map(_claim, claimed.claimed)],
            now=model.now,
            next_due=model.next_due(claimed, suspects=suspects, rooms=rooms),
            more=model.more(rooms, suspects=suspects),
            settled=settled,
            moved=moved,
            aside=model.kept_back(rooms),
        )

    async def renew(
        self, tokens: Sequence[str], lease: timedelta
    ) -> Sequence[Collection[Key] | None]:
        leases = [self._lease(token) for token in tokens]
        return [None if each is None else self.model.renew(each, lease) for each in leases]

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool]:
        return [self._settle(each) for each in settles]

    async def lapse(self, owner: str) -> int:
        model = self.model
        ended = [each for each in model.leases if each.owner == owner and model.valid(each)]
        for each in ended:
            each.end = model.now
        return sum(len(each.held) for each in ended)

    async def stats(self) -> Stats:
        return self.model.stats()

    async def due_counts(self, bounds: Sequence[datetime], *, most: int, look_at: int) -> DueCounts:
        return due_counts(self.model, bounds, look_at)

    async def due_between(self, since: datetime, until: datetime, *, limit: int) -> Sequence[Due]:
        return due_between(self.model, since, until, limit)

    async def names(self, *, after: str | None, limit: int, most: int) -> Sequence[NameStats]:
        return name_stats(self.model, after, limit, most)

    async def overdue(self, before: datetime, *, look_at: int) -> Overdue:
        return overdue(self.model, before, look_at)

    def _settle(self, settle: Settle) -> bool:
        lease = self._lease(settle.token)
        return lease is not None and self.model.settle(lease, settle.exceptions, settle.only)

    def _lease(self, token: str) -> Lease | None:
        known = {str(number): lease for number, lease in enumerate(self._leases)}
        return known.get(token)


def _refuse(within: object) -> None:
    if within is not None:
        raise Unsupported("there are no transactions")


def _claim(entry: Entry) -> Claim:
    return Claim(entry, entry.message, entry.lapses)
