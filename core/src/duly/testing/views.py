"""The outside as one process sees it; the journal learns what happened there, answered or not."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from duly.message import Filter, Message, State
from duly.store import Batch, Group, Key, Settle, Stats, Store, Token
from duly.testing.journal import Journal

__all__ = ["Act", "SeenStore", "Seer"]

T = TypeVar("T")

Act = Callable[[], Awaitable[T]]
"""What a call does at its other end, once it gets there."""


class Seer(Protocol):
    """Who calls the outside."""

    name: str
    alive: bool

    async def carry(self, verb: str, act: Act[T], /) -> T:
        """Call the outside, if it is still alive."""
        ...


class SeenStore:
    """A store as one process sees it; the journal learns what the store did, answered or not."""

    def __init__(self, process: Seer, inner: Store, journal: Journal) -> None:
        self._process = process
        self._inner = inner
        self._journal = journal
        self._held: dict[Token, dict[Key, Message]] = {}  # what is not settled yet

    async def open(self) -> None:
        await self._process.carry("open", self._inner.open)

    async def close(self) -> None:
        """The store outlives its processes."""

    async def put(
        self, groups: Sequence[Group], *, within: Any = None
    ) -> Sequence[Exception | None]:
        ids = [message.id for group in groups for message in group.messages]

        async def act() -> Sequence[Exception | None]:
            before = await self._found(ids)
            outcomes = await self._inner.put(groups, within=within)
            after = await self._found(ids)
            for group, outcome in zip(groups, outcomes, strict=True):
                self._journal.note_put(self._process.name, group, outcome, before, after)
            return outcomes

        return await self._carry("put", act)

    async def cancel(
        self, ids: Sequence[str], *, of_state: State | None = None, within: Any = None
    ) -> Sequence[State | None]:
        async def act() -> Sequence[State | None]:
            before = await self._found(ids)
            found = await self._inner.cancel(ids, of_state=of_state, within=within)
            for id, state in zip(ids, found, strict=True):
                touched = None if of_state not in (None, state) else state
                self._journal.note_cancel(self._process.name, id, before[id], touched)
            return found

        return await self._carry("cancel", act)

    async def reschedule(
        self, id: str, at: datetime | None, *, of_state: State, within: Any = None
    ) -> State | None:
        async def act() -> State | None:
            before = await self._inner.get(id)
            found = await self._inner.reschedule(id, at, of_state=of_state, within=within)
            if found is of_state:
                after = await self._inner.get(id)
                self._journal.note_moved(self._process.name, before, after, at)
            return found

        return await self._carry("reschedule", act)

    async def get(self, id: str) -> Message | None:
        return await self._carry("get", lambda: self._inner.get(id))

    async def list(
        self, filter: Filter, *, from_key: tuple[datetime, str] | None = None
    ) -> Sequence[Message]:
        return await self._carry("list", lambda: self._inner.list(filter, from_key=from_key))

    async def claim(
        self, *, lease: timedelta, owner: str, settle: Sequence[Settle] = (), **more: Any
    ) -> Batch:
        async def act() -> Batch:
            batch = await self._inner.claim(lease=lease, owner=owner, settle=settle, **more)
            self._note_settled(settle, batch.settled)
            self._journal.note_claimed(self._process.name, batch, lease, owner)
            self._claimed(batch, **more)
            if batch.token is not None:
                self._held[batch.token] = {claim.key: claim.message for claim in batch.claims}
            return batch

        # Apart, so that a claim that settles can be told from one that does not.
        return await self._carry("settle and claim" if settle else "claim", act)

    async def renew(
        self, tokens: Sequence[Token], lease: timedelta
    ) -> Sequence[Collection[Key] | None]:
        async def act() -> Sequence[Collection[Key] | None]:
            until = self._journal.clock() + lease
            answers = await self._inner.renew(tokens, lease)
            for token, withdrawn in zip(tokens, answers, strict=True):
                if withdrawn is not None:
                    self._journal.note_renewed(self._process.name, token, until)
            return answers

        return await self._carry("renew", act)

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool | None]:
        async def act() -> Sequence[bool | None]:
            outcomes = await self._inner.settle(settles)
            self._note_settled(settles, outcomes)
            return outcomes

        return await self._carry("settle", act)

    async def stats(self) -> Stats:
        return await self._carry("stats", self._inner.stats)

    def _claimed(self, batch: Batch, **asked: Any) -> None:
        """A claim was asked for and has brought this."""

    async def _carry(self, verb: str, act: Act[T]) -> T:
        return await self._process.carry(verb, lambda: self._journal.in_order(act))

    async def _found(self, ids: Sequence[str]) -> dict[str, Message | None]:
        return {id: await self._inner.get(id) for id in ids}

    def _note_settled(self, settles: Sequence[Settle], outcomes: Sequence[bool | None]) -> None:
        for settle, agreed in zip(settles, outcomes, strict=True):
            held = self._held.get(settle.token, {})
            if agreed:
                for key in list(held) if settle.only is None else settle.only:
                    message = held.pop(key, None)
                    if message is not None:
                        how = settle.exceptions.get(key)
                        self._journal.note_settled(self._process.name, settle.token, message, how)
