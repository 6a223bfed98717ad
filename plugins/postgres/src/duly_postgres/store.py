"""The store: every verb of the contract, each one statement or one transaction."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from duly import Filter, InvalidArgument, Message, State, Stats
from duly.store import (
    NO_LIMITS,
    Answered,
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
from duly_postgres import claiming, ensuring, leases, listing, schema, storing
from duly_postgres.connection import Executor
from duly_postgres.counting import Counting
from duly_postgres.desk import Desk
from duly_postgres.doubts import doubts
from duly_postgres.finishing import settle_alone
from duly_postgres.names import Names
from duly_postgres.sharing import Sharing
from duly_postgres.storing_past import put_past
from duly_postgres.taking import Taking
from duly_postgres.turns import Turns
from duly_postgres.within import NAMED, accepts

__all__ = ["PostgresStore"]


class PostgresStore(Sharing, Counting):
    """Keeps messages in tables: ``Scheduler(PostgresStore(engine), transport)``.

    ``engine`` is an :class:`~sqlalchemy.ext.asyncio.AsyncEngine` for ``postgresql+asyncpg``. The
    store makes at most six connections of its own through it, and leaves it open. ``table`` is the
    name of the table of messages and the beginning of all other names, ``schema`` the schema they
    are in, None for the first of the search path. With ``auto_migrate`` false nothing is made:
    see :meth:`migrate`. ``clock`` None is the server's. :class:`duly.store.Store` tells what each
    verb does.

    Raises:
        InvalidArgument: no such engine, or a name that cannot be used.
    """

    claims_ahead = True
    lines = True
    lists_without_payloads = True

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        table: str = "scheduled_messages",
        schema: str | None = None,
        auto_migrate: bool = True,
        clock: Clock | None = None,
    ) -> None:
        if not isinstance(engine, AsyncEngine) or engine.dialect.driver != "asyncpg":
            raise InvalidArgument(
                "a PostgresStore takes an AsyncEngine: "
                f'create_async_engine("postgresql+asyncpg://..."), not {type(engine).__name__}'
            )
        self._clock, self._auto_migrate = clock, auto_migrate
        self._desk = Desk(engine, Names(table, schema))
        self._mark = claiming.Mark()
        self._turns = Turns()
        self.time_limit: timedelta | None = None  # of SupportsTimeLimit

    def __repr__(self) -> str:
        return f"PostgresStore({self._desk.place!s})"

    @property
    def transactions(self) -> str:
        """What ``within`` may be, and what to do in transactions of blocking code."""
        function = self._desk.names("{schedule}").replace('"', "")
        return f"{NAMED}; in any other transaction call the SQL function {function}"

    async def open(self) -> None:
        """Connect, and check that the tables are there; make them if ``auto_migrate`` is true."""
        await self._desk.open(
            lambda db, names: schema.prepare(db, names, auto_migrate=self._auto_migrate),
            self.time_limit,
        )

    async def close(self) -> None:
        """Let the calls under way end and close the connections; the engine stays open."""
        await self._desk.close()

    async def put(
        self, groups: Sequence[Group], *, within: Any = None
    ) -> Sequence[Exception | None]:
        """Store groups of messages, each whole or not at all."""
        names = self._desk.names
        if within is None:
            outcomes = await self._desk.change(
                lambda db: storing.put(db, names, self._now(), groups),
                past=lambda db: put_past(db, names, self._now(), groups),
            )
        else:
            outcomes = await self._desk.change(
                lambda db: storing.put_within(db, names, self._now(), groups), within
            )
        self._mark.came_in(message for group in groups for message in group.messages)
        return outcomes

    async def cancel(
        self, ids: Sequence[str], *, of_state: State | None = None, within: Any = None
    ) -> Sequence[State | None]:
        """Remove messages; the state each was found in."""

        async def cancel(db: Executor) -> tuple[Sequence[State | None], bool]:
            return await storing.cancel(db, self._desk.names, ids, of_state), False

        return await self._desk.change(cancel, within)

    async def reschedule(
        self, id: str, at: datetime | None, *, of_state: State, within: Any = None
    ) -> State | None:
        """Move a message found in ``of_state``; the state it was found in."""
        found = await self._desk.change(
            lambda db: storing.reschedule(
                db, self._desk.names, self._now(), id=id, at=at, of_state=of_state
            ),
            within,
        )
        self._mark.forget()
        return found

    async def get(self, id: str, *, within: Any = None) -> Message | None:
        """The message of that id, None when there is none."""
        return await self._desk.look(lambda db: listing.get(db, self._desk.names, id), within)

    async def where(self, id: str) -> Whereabouts | None:
        """In whose hands a message is, and until when; None when there is none."""
        return await self._desk.look(lambda db: listing.where(db, self._desk.names, id), None)

    async def list(
        self,
        filter: Filter,
        *,
        from_key: tuple[datetime, str] | None = None,
        payload: bool = True,
        within: Any = None,
    ) -> Sequence[Message]:
        """The messages that match, by ``(scheduled_at, id)``."""
        return await self._desk.look(
            lambda db: listing.list_(db, self._desk.names, filter, from_key, payload=payload),
            within,
        )

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
        """First the settles, then up to ``limit`` due messages for ``lease``."""
        taking = Taking(
            self._desk,
            self._mark,
            self._turns,
            self._now,
            limit=limit,
            lease=lease,
            owner=owner,
            suspects=suspects,
            settle=settle,
            most=most,
            answered=answered,
        )
        batch, soon = await self._desk.schedulers.run(taking.take, undo=taking.undo)
        if soon:
            self._desk.notifier.tell()
        return batch

    async def renew(
        self, tokens: Sequence[Token], lease: timedelta
    ) -> Sequence[Collection[Key] | None]:
        """Let leases last ``lease`` from now; the keys taken out of each, None for a lost one."""
        return await self._desk.schedulers.run(
            lambda db: leases.renew(db, self._desk.names, self._now(), tokens, lease)
        )

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool]:
        """Settle without a claim; False for a token that is not valid."""
        settled, soon = await self._desk.schedulers.run(
            lambda db: settle_alone(db, self._desk.names, self._now(), settles)
        )
        if soon:
            self._mark.forget()
            self._desk.notifier.tell()
        return settled

    async def stats(self) -> Stats:
        """How much there is, from the narrow tables."""
        names = self._desk.names
        return await self._desk.look(lambda db: listing.stats(db, names, self._now()), None)

    async def ensure(
        self, wanted: Sequence[Message], *, declared: Declared | None = None
    ) -> Sequence[Ensured | Exception]:
        """See to it that series are there as they are given; one outcome for each."""
        outcomes = await ensuring.ensure(self._desk, self._now, wanted, declared)
        self._mark.forget()
        return outcomes

    async def undeclare(self, by: str, generation: int) -> Sequence[tuple[str, State]]:
        """Remove what was declared with a lower generation; the state each was found in."""

        async def remove(db: Executor) -> tuple[Sequence[tuple[str, State]], bool]:
            return await ensuring.undeclare(db, self._desk.names, by, generation), False

        return await self._desk.change(remove)

    async def wait_for_change(self) -> None:
        """Return when something came in that may be due earlier, stored by any process.

        Behind a transaction pooler only what this object stores is noticed.
        """
        self._desk.listen()
        await self._desk.bell.wait()

    def accepts(self, within: object) -> bool:
        """Whether ``within`` is a session or connection of SQLAlchemy, or one of asyncpg."""
        return accepts(within)

    async def migrate(self, *, dry_run: bool = False) -> Sequence[str]:
        """The statements that bring the schema up to date; run, unless ``dry_run``."""
        return await self._desk.apart(lambda db, names: schema.migrate(db, names, dry_run=dry_run))

    async def check(self) -> Sequence[str]:
        """What is unsafe or slow in the database and the way to it, one sentence each."""
        desk = self._desk
        return [*await desk.ask(lambda db: doubts(db, desk.names)), *desk.doubts()]

    def _now(self) -> datetime | None:
        return None if self._clock is None else self._clock()
