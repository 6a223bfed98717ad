"""The bench on which each case works: a store, a way for time to pass, and short words for both."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from duly.message import UNREADABLE, Filter, Message, State
from duly.store import (
    NO_LIMITS,
    Batch,
    Claim,
    Group,
    Settle,
    Settlement,
    Store,
    SupportsLines,
    SupportsNotes,
    SupportsWhere,
)
from duly.testing.clock import HandClock
from duly.testing.stores.times import HandTime, OwnTime, Time

if TYPE_CHECKING:  # the harness makes benches
    from duly.testing.stores.harness import StoreHarness

LEASE = timedelta(minutes=5)
"""The lease of claims that are not meant to lapse by themselves."""

MICROSECOND = timedelta(microseconds=1)

Outcomes = Mapping[str, Settlement]
"""What becomes of messages that were claimed, by their ids."""


class Bench:
    """A fresh namespace with one open store. Moments of cases are counted from ``start``."""

    store: Store
    time: Time
    start: datetime

    def __init__(self, harness: "StoreHarness", namespace: str, *, by_hand: bool = True) -> None:
        self.namespace = namespace
        self.clock = HandClock() if by_hand else None
        self._harness = harness
        self._made: list[Store] = []
        self._numbers = itertools.count()

    async def __aenter__(self) -> Self:
        self.store = await self.another()
        if self.clock is not None:
            self.time = HandTime(self.clock)
        else:
            self.time = OwnTime(self.store, self._harness.patience)
        self.start = await self.time.now()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for store in self._made:
                stack.push_async_callback(store.close)

    async def another(self) -> Store:
        """One more store object over the same namespace, open."""
        store = await self.unopened()
        await store.open()
        return store

    async def unopened(self) -> Store:
        """One more store object over the same namespace, not open yet."""
        store = await self._harness.make_store(self.namespace, self.clock)
        self._made.append(store)
        return store

    async def pass_time(self, duration: timedelta) -> None:
        """Let at least this much time pass; exactly this much if the clock is turned by hand."""
        await self.time.sleep(duration)

    # --- for the caller

    def message(
        self, id: str, after: timedelta = timedelta(0), *, event_name: str = "event", **more: Any
    ) -> Message:
        """A message due so long after the start, created later than all made before it."""
        more.setdefault("created_at", self.start + next(self._numbers) * MICROSECOND)
        more.setdefault("scheduled_at", self.start + after)
        return Message(event_name, id=id, **more)

    async def put(
        self, *items: str | Message, after: timedelta = timedelta(0), replace: bool = False
    ) -> Sequence[Message]:
        """Store messages in one group, those given by id due so long after the start."""
        messages = [
            item if isinstance(item, Message) else self.message(item, after) for item in items
        ]
        assert await self.outcomes(Group(messages, replace)) == [None]
        return messages

    async def put_as_is(self, *messages: Message, replace: bool = False) -> None:
        """Store messages in one group, as they are."""
        assert await self.outcomes(Group(messages, replace, as_is=True)) == [None]

    async def outcomes(self, *groups: Group) -> Sequence[type[Exception] | None]:
        """Store groups; for each the type of error that refused it, or None."""
        errors = await self.store.put(groups)
        assert len(errors) == len(groups)
        return [None if error is None else type(error) for error in errors]

    async def state(self, id: str) -> State | None:
        """The state a message is in; None when there is none."""
        message = await self.store.get(id)
        return None if message is None else message.state

    @property
    def lines(self) -> bool:
        """Whether the store has lines."""
        return isinstance(self.store, SupportsLines) and self.store.lines

    async def aside(self, id: str) -> bool:
        """Whether a message stands in a siding."""
        assert isinstance(self.store, SupportsWhere), "a store with lines tells where a message is"
        found = await self.store.where(id)
        assert found is not None
        return found.aside

    async def listed(
        self, from_key: tuple[datetime, str] | None = None, **bounds: Any
    ) -> Sequence[str]:
        """The ids that a filter with these bounds finds, in the order of the list."""
        return [found.id for found in await self.store.list(Filter(**bounds), from_key=from_key)]

    async def counts(self) -> tuple[int, int, int]:
        """How many are scheduled, claimed and dead."""
        stats = await self.store.stats()
        return stats.scheduled, stats.claimed, stats.dead

    async def check_books(self) -> None:
        """Check that get, list and stats agree; called at the end of every case."""
        await self.store.open()  # a case may have closed it
        messages = await self.store.list(Filter())
        if any(message.event_name == UNREADABLE for message in messages):
            return  # listed as DEAD, and counted as what they were
        states = Counter(message.state for message in messages)
        assert await self.counts() == tuple(states[state] for state in State)
        assert list(messages) == sorted(messages, key=lambda each: (each.scheduled_at, each.id))
        for message in messages[:: len(messages) // 10 + 1]:
            assert await self.store.get(message.id) == message

    async def check_leftovers(self) -> None:
        """Check that no traces stay of messages that are gone, if the clock is turned by hand."""
        if self.clock is None:
            return
        await self.store.cancel(await self.listed())
        if isinstance(self.store, SupportsNotes):
            for name, note in (await self.store.notes("")).items():
                await self.store.write_note(name, None, note.revision)
        self.clock.advance(days=1000)  # no lease is longer
        batch = await self.claim()
        assert not batch.claims
        assert list(await self._harness.leftovers(self.namespace)) == []

    # --- for the scheduler

    async def claim(
        self,
        limit: int = 100,
        *,
        lease: timedelta = LEASE,
        suspects: bool = True,
        settle: Sequence[Settle] = (),
        most: Mapping[str, int] = NO_LIMITS,
        owner: str = "host:1:case",
        by: Store | None = None,
    ) -> Batch:
        """Claim, and check what holds of every batch."""
        more: dict[str, Any] = {"most": most} if most else {}  # not every store knows it
        batch = await (by or self.store).claim(
            limit=limit, lease=lease, owner=owner, suspects=suspects, settle=settle, **more
        )
        assert (batch.token is None) == (not batch.claims)
        assert len(batch.claims) <= limit
        assert len({claim.key for claim in batch.claims}) == len(batch.claims)
        assert len(batch.settled) == len(settle)
        assert all(claim.message.state is State.CLAIMED for claim in batch.claims)
        assert all(claim.message.next_attempt_at <= batch.now for claim in batch.claims), "early"
        assert most or not batch.aside, "kept back what nothing was said of"
        if batch.next_due is not None and not batch.more:
            assert batch.next_due > batch.now, "something is due, but more is False"
        return batch

    async def claim_all(self, limit: int = 100) -> Sequence[Claim]:
        """Claim batches until nothing is due."""
        claims: list[Claim] = []
        while (batch := await self.claim(limit)).claims:
            claims += batch.claims
        assert not batch.more
        return claims

    async def settle(
        self,
        batch: Batch,
        exceptions: Outcomes | None = None,
        *,
        only: Iterable[str] | None = None,
        by: Store | None = None,
    ) -> bool:
        """Settle a batch, its messages named by their ids."""
        (outcome,) = await (by or self.store).settle([settle_of(batch, exceptions, only=only)])
        assert outcome is not None, "a part of the store does not answer"
        return outcome

    async def renew(self, batch: Batch, lease: timedelta = LEASE) -> Collection[str] | None:
        """Renew a batch's lease; the ids that were withdrawn, sorted, None when it is lost."""
        assert batch.token is not None
        (keys,) = await self.store.renew([batch.token], lease)
        if keys is None:
            return None
        names = {claim.key: claim.message.id for claim in batch.claims}
        return sorted(names[key] for key in keys)


def settle_of(
    batch: Batch,
    exceptions: Outcomes | None = None,
    *,
    only: Iterable[str] | None = None,
) -> Settle:
    """A Settle of a batch, its messages named by their ids."""
    assert batch.token is not None
    keys = {claim.message.id: claim.key for claim in batch.claims}
    return Settle(
        batch.token,
        {keys[id]: settlement for id, settlement in (exceptions or {}).items()},
        None if only is None else [keys[id] for id in only],
    )


def ids(batch: Batch) -> Sequence[str]:
    """The ids of a batch, in its order."""
    return [claim.message.id for claim in batch.claims]
