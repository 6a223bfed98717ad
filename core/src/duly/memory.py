"""``memory://``: messages rest in this process and are gone with it. For tests and small tools.

Clients and schedulers of one process share a store by sharing the object; each ``memory://`` URL
makes a store of its own.
"""

import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from duly._memory.beside import Beside
from duly._memory.clock import forward_clock
from duly._memory.ledger import Ledger
from duly._memory.notes import Notes
from duly._memory.places import earliest, moment_of, place_after, whereabouts
from duly._memory.series import Series
from duly._memory.wakeups import Wakeups
from duly.errors import InvalidArgument, Unsupported
from duly.hookspecs import StoreFactory, hookimpl
from duly.message import Filter, Message, State
from duly.store import (
    NO_LIMITS,
    Batch,
    Claim,
    Clock,
    Declared,
    Ensured,
    Group,
    Key,
    Rooms,
    Settle,
    Stats,
    Token,
    Whereabouts,
)
from duly.url import parse

__all__ = ["MemoryStore", "duly_stores"]


class MemoryStore(Beside):
    """Keeps messages in this process: ``Scheduler(MemoryStore(), transport)``.

    Any number of clients and schedulers may share it, on any event loop and thread of the
    process. What it holds outlives :meth:`close` and ends with the object. ``clock`` None is this
    host's, kept from running backwards. :class:`duly.store.Store` tells what each verb does.
    """

    any_loop = True
    lines = True

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = forward_clock() if clock is None else clock
        self._ledger = Ledger()
        self._series = Series(self._ledger)
        self._kept = Notes()
        self._lock = threading.Lock()
        self._wakeups = Wakeups()

    async def open(self) -> None:
        """There is nothing to connect to."""

    async def close(self) -> None:
        """There is nothing to give back; the messages stay."""

    async def put(
        self, groups: Sequence[Group], *, within: Any = None
    ) -> Sequence[Exception | None]:
        """Store groups of messages, each whole or not at all."""
        _refuse(within)
        with self._lock:
            outcomes = self._ledger.put(groups)
        self._wakeups.changed()
        return outcomes

    async def cancel(
        self, ids: Sequence[str], *, of_state: State | None = None, within: Any = None
    ) -> Sequence[State | None]:
        """Remove messages; the state each was found in."""
        _refuse(within)
        found: list[State | None] = []
        with self._lock:
            for id in ids:
                entry = self._ledger.shelf.entries.get(id)
                found.append(None if entry is None else entry.message.state)
                if entry is not None and of_state in (None, entry.message.state):
                    self._ledger.remove(entry)
        return found

    async def reschedule(
        self, id: str, at: datetime | None, *, of_state: State, within: Any = None
    ) -> State | None:
        """Move a message found in ``of_state``; the state it was found in."""
        _refuse(within)
        with self._lock:
            entry = self._ledger.shelf.entries.get(id)
            if entry is None or entry.message.state is not of_state:
                return None if entry is None else entry.message.state
            self._ledger.reschedule(entry, at)
        self._wakeups.changed()
        return of_state

    async def ensure(
        self, wanted: Sequence[Message], *, declared: Declared | None = None
    ) -> Sequence[Ensured | Exception]:
        """See to it that series are there as they are given; one outcome for each."""
        with self._lock:
            outcomes = self._series.ensure(wanted, declared, self._clock())
        self._wakeups.changed()
        return outcomes

    async def undeclare(self, by: str, generation: int) -> Sequence[tuple[str, State]]:
        """Remove what ``by`` has declared with a lower generation."""
        with self._lock:
            return self._series.undeclare(by, generation)

    async def get(self, id: str) -> Message | None:
        """The message of that id, None when there is none."""
        with self._lock:
            entry = self._ledger.shelf.entries.get(id)
            return None if entry is None else entry.message

    async def where(self, id: str) -> Whereabouts | None:
        """In whose hands a message is, and until when; None when there is none."""
        with self._lock:
            entry = self._ledger.shelf.entries.get(id)
            return None if entry is None else whereabouts(entry)

    async def list(
        self, filter: Filter, *, from_key: tuple[datetime, str] | None = None
    ) -> Sequence[Message]:
        """The messages that match, by ``(scheduled_at, id)``."""
        end = None if filter.limit is None else min(filter.offset + filter.limit, sys.maxsize)
        with self._lock:
            matching = self._ledger.shelf.listed(filter, from_key)
            return list(islice(matching, filter.offset, end))

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
        """First the settles, then up to ``limit`` due messages for ``lease``."""
        ledger, lines, rooms = self._ledger, self._ledger.lines, Rooms(most)
        with self._lock:
            now = self._clock()
            end = now + lease  # before anything is changed: it may be beyond the calendar
            not_due = place_after(now)
            settled = self._settle(settle, now, not_due)
            ledger.recover(not_due)
            entries, moved = lines.take(not_due, limit, rooms, suspects=suspects)
            waiting = lines.first_of(rooms, suspects=suspects)
            next_due = earliest(waiting, ledger.first_lapse())
            token: Token | None = None
            claims: Sequence[Claim] = ()
            if entries:
                token, claims = ledger.lease(entries, owner, end)
        return Batch(
            token=token,
            claims=claims,
            now=now,
            next_due=None if next_due is None else moment_of(next_due),
            more=(waiting is not None and waiting < not_due) or lines.sidings.gives(not_due, rooms),
            settled=settled,
            moved=moved,
            aside=lines.sidings.kept_back(rooms),
        )

    async def renew(
        self, tokens: Sequence[Token], lease: timedelta
    ) -> Sequence[Collection[Key] | None]:
        """Let leases last ``lease`` from now; the keys taken out of each, None for a lost one."""
        answers: list[Collection[Key] | None] = []
        with self._lock:
            now = self._clock()
            for token in tokens:
                held = self._ledger.lease_of(token, place_after(now))
                if held is not None:
                    self._ledger.renew(held, now + lease)
                answers.append(None if held is None else frozenset(held.gone))
        return answers

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool]:
        """Settle without a claim; False for a token that is not valid."""
        with self._lock:
            now = self._clock()
            return self._settle(settles, now, place_after(now))

    async def lapse(self, owner: str) -> int:
        """End all leases of that owner; how many messages they held."""
        with self._lock:
            held = self._ledger.lapse(owner, self._clock())
        self._wakeups.changed()
        return held

    async def stats(self) -> Stats:
        """How much there is, without reading it."""
        with self._lock:
            return self._ledger.stats(self._clock())

    async def wait_for_change(self) -> None:
        """Return when something was stored or moved since the calling task last waited."""
        await self._wakeups.wait()

    def _settle(self, settles: Sequence[Settle], now: datetime, not_ended: int) -> Sequence[bool]:
        outcomes = [self._ledger.settle(each, now, not_ended) for each in settles]
        if any(each.exceptions for each in settles):
            self._wakeups.changed()
        return outcomes


def _refuse(within: object) -> None:
    if within is not None:
        raise Unsupported("memory:// has no transactions: leave within= out")


def _from_url(text: str) -> MemoryStore:
    url = parse(text)
    url.take_options()
    if url.hosts or url.path or url.username or url.password:
        raise InvalidArgument(f"{url}: memory:// takes no host, path or user")
    return MemoryStore()


@hookimpl
def duly_stores() -> Mapping[str, StoreFactory]:
    """Offers ``memory://``."""
    return {"memory": _from_url}
