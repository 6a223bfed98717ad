"""One call of a scheduler for work: first what is settled, then the claim."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from duly import StoreError
from duly.store import Answered, Batch, Rooms, Settle
from duly_postgres import claiming, leases
from duly_postgres.connection import Connection
from duly_postgres.desk import Desk
from duly_postgres.finishing import settle_all, settle_alone
from duly_postgres.settling import is_plain
from duly_postgres.turns import Turns

__all__ = ["Taking"]


class Taking:
    """What is asked for, and how it is done on a connection."""

    def __init__(
        self,
        desk: Desk,
        mark: claiming.Mark,
        turns: Turns,
        clock: Callable[[], datetime | None],
        *,
        limit: int,
        lease: timedelta,
        owner: str,
        suspects: bool,
        settle: Sequence[Settle],
        most: Mapping[str, int],
        answered: Answered | None,
    ) -> None:
        self._usable, self._names = desk.usable, desk.names
        self._mark, self._turns = mark, turns
        self._now = clock
        self._limit, self._lease = limit, lease
        self._owner, self._suspects = owner, suspects
        self._settle, self._most = settle, most
        Rooms(most)  # raises what is wrong with it before anything is settled
        self._answered = answered
        self._plain = all(map(is_plain, settle))

    async def take(self, db: Connection) -> tuple[Batch, bool]:
        """The batch, and whether something is due again of which others should know."""
        names, settle = self._names, self._settle
        try:
            await self._usable.see(db, names)
        except StoreError:
            if not settle:
                raise
            settled, soon = await settle_alone(db, names, self._now(), settle)
            return await claiming.nothing(db, self._now(), settled), soon
        if self._plain:
            return await self._claim(db)
        return await db.unless_locked(lambda: self._both(db), lambda: self._both(db))

    async def undo(self, db: Connection, outcome: tuple[Batch, bool]) -> None:
        """Give back what nobody waits for any more."""
        await leases.give_back(db, self._names, self._now(), outcome[0].token)

    async def _both(self, db: Connection) -> tuple[Batch, bool]:
        async with db.transaction():
            settled, soon = await settle_all(db, self._names, self._now(), self._settle)
            if soon:
                self._mark.forget()
            batch, recovered = await self._claim(db)
        return claiming.with_settled(batch, settled), soon or recovered

    async def _claim(self, db: Connection) -> tuple[Batch, bool]:
        plain = self._plain
        return await claiming.claim(
            db,
            self._names,
            self._now(),
            self._mark,
            self._turns,
            limit=self._limit,
            lease=self._lease,
            owner=self._owner,
            suspects=self._suspects,
            most=self._most,
            delivered=[each.token for each in self._settle] if plain else (),
            alone=plain,
            answered=self._answered if plain else None,  # else it is not committed by then
        )
