"""The store: every verb of the contract, on a namespace that is open."""

import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from duly import Filter, Message, State, Stats, StoreError
from duly.store import (
    NO_LIMITS,
    Batch,
    Clock,
    Declared,
    Ensured,
    Group,
    Key,
    Settle,
    Token,
    Whereabouts,
)
from duly_mongo import changing, leases, listing, schema, series, storing
from duly_mongo.batches import Asked
from duly_mongo.counting import Counting
from duly_mongo.doubts import doubts
from duly_mongo.errors import translated
from duly_mongo.handles import Given, Made, Source, is_session, session_of
from duly_mongo.namespace import Namespace
from duly_mongo.notes import KeepsNotes
from duly_mongo.opening import checked_name, opened, prepared
from duly_mongo.parts import Parts
from duly_mongo.takeover import TakesOver

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorDatabase
    from pymongo.asynchronous.database import AsyncDatabase

__all__ = ["MongoStore"]

_LAST_WORDS: Final = 5.0  # seconds for what is still under way when a store is closed


class MongoStore(KeepsNotes, TakesOver, Counting):
    """Keeps messages in a collection: ``Scheduler(MongoStore(database), transport)``.

    ``database`` is a handle of Motor's (``AsyncIOMotorDatabase``) or of PyMongo's own asynchronous
    client (``AsyncDatabase``), which stays open; with a URL a client is made when the store is
    opened. Messages are in ``collection``, leases in another one of that name plus ``.leases``.
    ``auto_migrate`` lets :meth:`open` make the indexes that are missing. ``clock`` None is the
    server's. :class:`duly.store.Store` tells what each verb does.

    Raises:
        InvalidArgument: a handle of another kind, or a name that no collection can have.
    """

    lists_without_payloads = True
    lines = True
    transactions = "a session of Motor's or of PyMongo's asynchronous client"

    def __init__(
        self,
        database: "AsyncIOMotorDatabase[Any] | AsyncDatabase[Any] | Made",
        *,
        collection: str = "scheduled_messages",
        auto_migrate: bool = True,
        clock: Clock | None = None,
    ) -> None:
        self._source: Source = database if isinstance(database, Made) else Given(database)
        self._collection = checked_name(collection)
        self._auto_migrate = auto_migrate
        self._clock = clock
        self._parts: Parts | None = None
        self._opening = asyncio.Lock()
        self._cleaning: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"MongoStore({self._source!r}, collection={self._collection!r})"

    async def open(self) -> None:
        """Connect, check the server, and make what is missing; a second time does nothing."""
        async with self._opening:
            if self._parts is None:
                self._start(await self._open())

    async def _open(self) -> Namespace:
        try:
            with translated():
                return await prepared(
                    self._source, self._collection, self._clock, migrates=self._auto_migrate
                )
        except BaseException:
            await self._source.close()
            raise

    def _start(self, space: Namespace) -> None:
        self._parts = Parts.over(space)
        if space.transactional:  # then there are change streams, and this is SupportsWakeups
            self.wait_for_change = self._parts.watcher.wait

    async def close(self) -> None:
        """End what runs in the background; a client that was passed in stays open."""
        parts, self._parts = self._parts, None
        if parts is None:
            return
        self._opening = asyncio.Lock()  # the next to open it may run in another event loop
        await parts.watcher.close()
        if self._cleaning:
            await asyncio.wait(self._cleaning, timeout=_LAST_WORDS)
        await parts.space.finish(_LAST_WORDS)
        with contextlib.suppress(StoreError, TimeoutError), translated():
            async with asyncio.timeout(_LAST_WORDS):
                await parts.claimer.give_back_failed()
        await self._source.close()

    async def put(
        self, groups: Sequence[Group], *, within: Any = None
    ) -> Sequence[Exception | None]:
        """Store groups of messages, each whole or not at all."""
        with translated(within=within is not None):
            return await storing.put(await self._space(), groups, session_of(within))

    async def cancel(
        self, ids: Sequence[str], *, of_state: State | None = None, within: Any = None
    ) -> Sequence[State | None]:
        """Remove messages; the state each was found in."""
        with translated(within=within is not None):
            return await changing.cancel(await self._space(), ids, of_state, session_of(within))

    async def reschedule(
        self, id: str, at: datetime | None, *, of_state: State, within: Any = None
    ) -> State | None:
        """Move a message found in ``of_state``; the state it was found in."""
        with translated(within=within is not None):
            session = session_of(within)
            return await changing.reschedule(await self._space(), id, at, of_state, session)

    async def get(self, id: str, *, within: Any = None) -> Message | None:
        """The message of that id, None when there is none."""
        with translated(within=within is not None):
            return await listing.get(await self._space(), id, session_of(within))

    async def where(self, id: str) -> Whereabouts | None:
        """In whose hands a message is, and until when; None when there is none."""
        with translated():
            return await listing.where(await self._space(), id)

    async def list(
        self,
        filter: Filter,
        *,
        from_key: tuple[datetime, str] | None = None,
        payload: bool = True,
        within: Any = None,
    ) -> Sequence[Message]:
        """The messages that match, by ``(scheduled_at, id)``."""
        with translated(within=within is not None):
            session = session_of(within)
            return await listing.list_(
                await self._space(), filter, from_key, session, payload=payload
            )

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
        asked = Asked(limit, lease, owner, suspects, most)
        asked.rooms()  # or it is refused before anything is settled
        with translated():
            claimer = self._opened.claimer
            claim = claimer.claim(asked, settle)
            # A claim cut off halfway is worse than one nobody waits for, which is given back.
            task = asyncio.ensure_future(claim)
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                cleaning = asyncio.create_task(claimer.give_back_unwanted(task, settle))
                self._cleaning.add(cleaning)
                cleaning.add_done_callback(self._cleaning.discard)
                raise

    async def renew(
        self, tokens: Sequence[Token], lease: timedelta
    ) -> Sequence[Collection[Key] | None]:
        """Let leases last ``lease`` from now; the keys taken out of each, None for a lost one."""
        with translated():
            return await leases.renew(self._opened.space, tokens, lease)

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool]:
        """Settle without a claim; False for a token that is not valid."""
        with translated():
            return await self._opened.claimer.settle(settles)

    async def ensure(
        self, wanted: Sequence[Message], *, declared: Declared | None = None
    ) -> Sequence[Ensured | Exception]:
        """See to it that series are there as they are given; one outcome for each."""
        with translated():
            return await series.ensure(await self._space(), wanted, declared)

    async def undeclare(self, by: str, generation: int) -> Sequence[tuple[str, State]]:
        """Remove what ``by`` has declared with a lower generation."""
        with translated():
            return await series.undeclare(await self._space(), by, generation)

    async def stats(self) -> Stats:
        """How much there is, from an index."""
        with translated():
            return await listing.stats(await self._space())

    def accepts(self, within: object) -> bool:
        """Whether ``within`` is a session of Motor's or of PyMongo's asynchronous client."""
        return is_session(within)

    async def migrate(self, *, dry_run: bool = False) -> Sequence[str]:
        """The statements that make what is missing; run, unless ``dry_run``.

        These are indexes and, once no process of an older version is left, the mark that lets
        messages be moved aside. The store may be open or not.
        """
        with translated():
            async with self._opening:
                if self._parts is not None:
                    return await schema.migrate(self._parts.space, dry_run=dry_run, marks=True)
                try:
                    space = await opened(self._source, self._collection, self._clock)
                    return await schema.migrate(space, dry_run=dry_run, marks=True)
                finally:
                    await self._source.close()

    async def check(self) -> Sequence[str]:
        """What is unsafe or slow in the settings, one sentence each."""
        with translated():
            return await doubts(self._opened.space)

    async def _space(self) -> Namespace:
        return await self._opened.usable.space()

    @property
    def _opened(self) -> Parts:
        if self._parts is None:
            raise StoreError("the store is not open")
        return self._parts
