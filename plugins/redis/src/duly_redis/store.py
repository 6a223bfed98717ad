"""The store: every verb of the contract, each a script that Redis carries out in one step."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from duly import Filter, Message, State, Stats, StoreError, Unsupported
from duly.moment import to_microseconds
from duly.store import (
    NO_LIMITS,
    Answered,
    Batch,
    Clock,
    Declared,
    Ensured,
    Group,
    Key,
    Rooms,
    Settle,
    Token,
    Whereabouts,
)
from duly_redis import keys
from duly_redis.calls import Calls, Client
from duly_redis.claiming import Claiming
from duly_redis.counting import Counting
from duly_redis.doubts import doubts
from duly_redis.listing import Listing
from duly_redis.mending import mend, strays
from duly_redis.meta import is_marked, migrate, unmarked
from duly_redis.notes import KeepsNotes
from duly_redis.opening import Terms, check
from duly_redis.records import show
from duly_redis.series import Series
from duly_redis.storing import Storing
from duly_redis.takeover import TakesOver
from duly_redis.wakeups import Wakeups

__all__ = ["RedisStore"]

_LAST_WORDS: Final = 1.0  # seconds that closing waits for


class RedisStore(KeepsNotes, TakesOver, Counting):
    """Keeps messages in Redis: ``Scheduler(RedisStore(client), transport)``.

    ``client`` is a ``Redis`` or a ``RedisCluster`` of :mod:`redis.asyncio`, also one that a
    ``Sentinel`` made, and is left open; or it is a function that makes one at each opening, which
    is then closed with the store. All keys begin with ``key_prefix``. ``shards`` spreads the
    messages over this many slots of a Cluster; it is the same for all who use the prefix. With
    ``allow_eviction`` it opens even if the server may drop messages when its memory is full.
    Without ``auto_migrate`` opening it writes nothing, for those who only look. ``clock``
    None is the server's. :class:`duly.store.Store` tells what each verb does.

    Raises:
        InvalidArgument: no client, a prefix with braces or control characters, a number of
            shards out of range, or what is neither True nor False.
    """

    claims_ahead = True
    lines = True
    lists_without_payloads = True

    def __init__(
        self,
        client: Client | Callable[[], Client],
        *,
        key_prefix: str = "scheduler:",
        shards: int = 1,
        allow_eviction: bool = False,
        auto_migrate: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self._shards = keys.shards(key_prefix, shards)
        self._prefix, self._terms = key_prefix, Terms.of(allow_eviction, auto_migrate)
        self._clock, self._opening = clock, asyncio.Lock()
        name, channel = os.urandom(8).hex(), keys.wake_channel(key_prefix)
        self._calls = Calls(client, channel, shards)
        self._listing = Listing(self._calls, self._shards)
        self._storing = Storing(self._calls, self._shards, self._listing, self._now)
        self._claiming = Claiming(self._calls, self._shards, self._listing, self._now, name)
        self._series = Series(self._calls, self._shards, self._now)
        self._wakeups = Wakeups(self._calls, channel, name)

    def __repr__(self) -> str:
        more = f", shards={len(self._shards)}" if len(self._shards) > 1 else ""
        return f"RedisStore(key_prefix={self._prefix!r}{more})"

    async def open(self) -> None:
        """Connect, and check that server and keys can be used."""
        async with self._opening:
            if self._calls.is_open:
                return
            self._calls.open()
            try:
                self._claiming.moves = await check(
                    self._calls, self._prefix, self._shards, self._terms
                )
                await self._wakeups.check()
            except BaseException:
                await self._calls.close()
                raise

    async def close(self) -> None:
        """Put back what unheard claims took, and close the connections if they are ours."""
        if not self._calls.is_open:
            return
        self._opening = asyncio.Lock()  # the next to open it may run in another event loop
        await self._wakeups.close()
        try:
            # Without an answer it comes back when its lease lapses.
            with contextlib.suppress(StoreError, TimeoutError):
                async with asyncio.timeout(_LAST_WORDS):
                    await self._claiming.give_back()
        finally:
            await self._calls.close()

    async def put(
        self, groups: Sequence[Group], *, within: Any = None
    ) -> Sequence[Exception | None]:
        """Store groups of messages, each whole or not at all; of a single message with shards."""
        _refuse(within)
        return await self._storing.put(groups)

    async def cancel(
        self, ids: Sequence[str], *, of_state: State | None = None, within: Any = None
    ) -> Sequence[State | None]:
        """Remove messages; the state each was found in."""
        _refuse(within)
        return await self._storing.cancel(ids, of_state)

    async def reschedule(
        self, id: str, at: datetime | None, *, of_state: State, within: Any = None
    ) -> State | None:
        """Move a message found in ``of_state``; the state it was found in."""
        _refuse(within)
        return await self._storing.reschedule(id, at, of_state)

    async def get(self, id: str) -> Message | None:
        """The message of that id, None when there is none."""
        (kept,) = await self._listing.read([id])
        return None if kept is None else show(kept)

    async def where(self, id: str) -> Whereabouts | None:
        """In whose hands a message is, and until when; None when there is none."""
        return await self._listing.where(id)

    async def list(
        self,
        filter: Filter,
        *,
        from_key: tuple[datetime, str] | None = None,
        payload: bool = True,
    ) -> Sequence[Message]:
        """The messages that match, by ``(scheduled_at, id)``."""
        return await self._listing.find(filter, from_key, payload=payload)

    async def claim(
        self,
        *,
        limit: int,
        lease: timedelta,
        owner: str,
        suspects: bool = True,
        settle: Sequence[Settle] = (),
        answered: Answered | None = None,
        most: Mapping[str, int] = NO_LIMITS,
    ) -> Batch:
        """First the settles, then up to ``limit`` due messages, of one shard, for ``lease``."""
        Rooms(most)  # raises for what may not be asked for
        return await self._claiming.claim(
            limit=limit,
            lease=lease,
            owner=owner,
            suspects=suspects,
            settle=settle,
            answered=answered,
            most=most,
        )

    async def renew(
        self, tokens: Sequence[Token], lease: timedelta
    ) -> Sequence[Collection[Key] | None]:
        """Let leases last ``lease`` from now; the keys taken out of each, None for no answer."""
        return await self._claiming.renew(tokens, lease)

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool | None]:
        """Settle without a claim; False for a token that is not valid, None for no answer."""
        return await self._claiming.settle(settles)

    async def ensure(
        self, wanted: Sequence[Message], *, declared: Declared | None = None
    ) -> Sequence[Ensured | Exception]:
        """See to it that these series are there as they are given; one outcome for each."""
        return await self._series.ensure(wanted, declared)

    async def undeclare(self, by: str, generation: int) -> Sequence[tuple[str, State]]:
        """Remove what ``by`` has declared with a lower generation."""
        return await self._series.undeclare(by, generation)

    async def stats(self) -> Stats:
        """How much there is, from counts that Redis keeps anyway."""
        return await self._listing.stats(self._now())

    async def wait_for_change(self) -> None:
        """Return when something came in that is due earlier than all that waited before."""
        await self._wakeups.wait()

    async def check(self) -> Sequence[str]:
        """What is unsafe in the servers' settings and the keys, one sentence each."""
        found = await strays(self._calls, self._shards)
        if not self._claiming.moves:
            self._claiming.moves = marked = await is_marked(self._calls, self._prefix)
            found = found if marked else [*found, *await unmarked(self._calls, self._prefix)]
        if away := self._calls.away.sentences():
            return [*away, *found]  # not all servers can be asked about their settings
        return [*await doubts(self._calls), *found]

    async def migrate(self, *, dry_run: bool = False) -> Sequence[str]:
        """The commands that mark the keys of an older version; sent, unless ``dry_run``.

        Call it once no process uses them any more that knows of no sidings.
        """
        return await migrate(self._calls, self._prefix, self._shards, dry_run=dry_run)

    async def mend(self) -> Sequence[str]:
        """Put messages back that are in no place, because keys were deleted or evicted; their ids.

        Each is scheduled at its time again, or a dead letter again. What belongs to no message is
        cleared away. It reads all that is kept, a few messages at a time, while the store goes on,
        and may be repeated.

        Raises:
            StoreUnavailable: the server does not answer, or the store is closed.
            StoreError: the server refuses.
        """
        back = [await mend(self._calls, shard, self._now()) for shard in self._shards]
        return [id for each in back for id in each]

    def _now(self) -> int:
        """In microseconds; 0 for the time of the server."""
        return 0 if self._clock is None else to_microseconds(self._clock())


def _refuse(within: object) -> None:
    if within is not None:
        raise Unsupported("Redis has no transactions to act within: leave within= out")
