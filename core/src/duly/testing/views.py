"""The outside as one process sees it; the history learns what happened there, answered or not."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from duly.message import Filter, Message, State
from duly.store import (
    Batch,
    Group,
    Key,
    Settle,
    Stats,
    Store,
    SupportsPeeking,
    SupportsWakeups,
    Token,
)
from duly.testing.history import History
from duly.transport import Envelope

__all__ = ["Act", "Receive", "SeenStore", "SeenTransport", "Seer", "seen_store"]

T = TypeVar("T")

Act = Callable[[], Awaitable[T]]
"""What a call does at its other end, once it gets there."""

Receive = Callable[[Envelope], Awaitable[object]]
"""The receiving end of a transport: returns when it has accepted, or raises."""


class Seer(Protocol):
    """Who calls the outside."""

    name: str
    alive: bool

    async def carry(self, verb: str, act: Act[T], /) -> T:
        """Call the outside, if it is still alive."""
        ...


class SeenTransport:
    """How a process publishes."""

    def __init__(self, process: Seer, receive: Receive, history: History) -> None:
        self._process = process
        self._receive = receive
        self._history = history

    async def open(self) -> None:
        """There is nothing to connect to."""

    async def close(self) -> None:
        """There is nothing to give back."""

    async def publish(self, envelope: Envelope) -> None:
        process, history = self._process, self._history

        async def act() -> None:
            await self._receive(envelope)
            history.note_publish("accepted", process.name, envelope)

        if process.alive:
            history.note_publish("begun", process.name, envelope)
        try:
            await process.carry("publish", act)
        finally:
            if process.alive:
                history.note_publish("ended", process.name, envelope)


class SeenStore:
    """A store as one process sees it; the history learns what the store did, answered or not."""

    def __init__(self, process: Seer, inner: Store, history: History) -> None:
        self._process = process
        self._inner = inner
        self._history = history

    async def open(self) -> None:
        await self._process.carry("open", self._inner.open)

    async def close(self) -> None:
        """The store outlives its processes."""

    async def put(
        self, groups: Sequence[Group], *, within: Any = None
    ) -> Sequence[Exception | None]:
        async def act() -> Sequence[Exception | None]:
            for group in groups:
                self._history.note_asked(self._process.name, group)
            outcomes = await self._inner.put(groups, within=within)
            for group, outcome in zip(groups, outcomes, strict=True):
                if outcome is None:
                    self._history.note_stored(self._process.name, group)
            return outcomes

        return await self._process.carry("put", act)

    async def cancel(
        self, ids: Sequence[str], *, of_state: State | None = None, within: Any = None
    ) -> Sequence[State | None]:
        async def act() -> Sequence[State | None]:
            for id in ids:
                self._history.note_verb("cancelling", self._process.name, id)
            found = await self._inner.cancel(ids, of_state=of_state, within=within)
            for id, state in zip(ids, found, strict=True):
                what = "too late" if state is State.CLAIMED else state and "cancelled"
                self._history.note_verb(what or "unknown", self._process.name, id)
            return found

        return await self._process.carry("cancel", act)

    async def reschedule(
        self, id: str, at: datetime | None, *, of_state: State, within: Any = None
    ) -> State | None:
        async def act() -> State | None:
            found = await self._inner.reschedule(id, at, of_state=of_state, within=within)
            if found is of_state:
                self._history.note_verb("moved", self._process.name, id, at)
            return found

        return await self._process.carry("reschedule", act)

    async def get(self, id: str) -> Message | None:
        return await self._process.carry("get", lambda: self._inner.get(id))

    async def list(
        self, filter: Filter, *, from_key: tuple[datetime, str] | None = None
    ) -> Sequence[Message]:
        return await self._process.carry(
            "list", lambda: self._inner.list(filter, from_key=from_key)
        )

    async def claim(self, *, settle: Sequence[Settle] = (), **more: Any) -> Batch:
        async def act() -> Batch:
            batch = await self._inner.claim(settle=settle, **more)
            self._history.note_claimed(self._process.name, batch)
            return batch

        # Apart, so that a claim that settles can be told from one that does not.
        return await self._process.carry("settle and claim" if settle else "claim", act)

    async def renew(
        self, tokens: Sequence[Token], lease: timedelta
    ) -> Sequence[Collection[Key] | None]:
        return await self._process.carry("renew", lambda: self._inner.renew(tokens, lease))

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool]:
        return await self._process.carry("settle", lambda: self._inner.settle(settles))

    async def stats(self) -> Stats:
        return await self._process.carry("stats", self._inner.stats)


class _Waking(SeenStore):
    async def wait_for_change(self) -> None:
        assert isinstance(self._inner, SupportsWakeups)
        await self._inner.wait_for_change()


class _Peeking(SeenStore):
    async def changed(self) -> bool:
        assert isinstance(self._inner, SupportsPeeking)
        return await self._process.carry("changed", self._inner.changed)


class _WakingAndPeeking(_Waking, _Peeking):
    pass


def seen_store(process: Seer, inner: Store, history: History) -> Store:
    """What the engine asks of a store by isinstance, the view must have as the store has."""
    kinds = {
        (False, False): SeenStore,
        (True, False): _Waking,
        (False, True): _Peeking,
        (True, True): _WakingAndPeeking,
    }
    kind = kinds[isinstance(inner, SupportsWakeups), isinstance(inner, SupportsPeeking)]
    return kind(process, inner, history)
