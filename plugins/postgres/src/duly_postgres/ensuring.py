"""Series that are ensured and declared: each in a transaction of its own.

It holds the newest generation of who declares, then the row, then its place in the line: who
claims, settles or changes something takes the last two in the same order.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from duly import DuplicateMessage, Message, State
from duly.message import with_changes
from duly.moment import from_microseconds
from duly.record import NewerRecord, UnreadableRecord
from duly.store import Declared, Ensured, EnsurePlan, ensured
from duly_postgres.connection import Executor
from duly_postgres.desk import Desk
from duly_postgres.following import followed, rewrite
from duly_postgres.giving import given
from duly_postgres.names import Names
from duly_postgres.sql_putting import PUT_DECLARED
from duly_postgres.sql_series import (
    DECLARE,
    DECLARE_AGAIN,
    DECLARED_BEFORE,
    FLOOR,
    HELD_FLOOR,
    HOLD_SERIES,
    PLACE,
    RAISE_FLOOR,
    TAKE_BACK,
)
from duly_postgres.sql_storing import REMOVE, WAITING_ASIDE
from duly_postgres.standing import Standing, already_there
from duly_postgres.storing import state_of, waiting

__all__ = ["ensure", "undeclare"]

_AT_ONCE: Final = 500  # series whose records are read together

Outcome = Ensured | DuplicateMessage


async def ensure(
    desk: Desk,
    clock: Callable[[], datetime | None],
    wanted: Sequence[Message],
    declared: Declared | None,
) -> Sequence[Outcome]:
    """See to it that series are there; one outcome for each."""
    names = desk.names
    if declared is not None and await desk.change(partial(_is_older, names, declared)):
        return [Ensured.OLDER] * len(wanted)
    outcomes = list[Outcome]()
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]

        async def look(
            db: Executor, some: Sequence[Message] = some
        ) -> tuple[Collection[str], bool]:
            return await _already_there(db, names, some, declared), False

        there = await desk.change(look)
        for message in some:
            if message.id in there:
                outcomes.append(Ensured.SAME)
            else:
                one = _One(names, clock, message, declared)
                outcomes.append(await desk.change(one.ensure))
    return outcomes


async def _is_older(names: Names, declared: Declared, db: Executor) -> tuple[bool, bool]:
    """Whether a newer generation has been declared; if not, this is the newest from now on."""
    floors = await db.fetch(names(FLOOR), declared.by)
    if not floors or floors[0][0] < declared.generation:
        await db.fetch(names(RAISE_FLOOR), declared.by, declared.generation)
        floors = await db.fetch(names(FLOOR), declared.by)
    return floors[0][0] > declared.generation, False


async def _already_there(
    db: Executor, names: Names, wanted: Sequence[Message], declared: Declared | None
) -> Collection[str]:
    """The ids of those that are there as they are wanted, and now belong to who declares them."""
    found = await already_there(db, names, wanted)
    if declared is None:
        return {each.id for each in found}
    there = {each.id for each in found if each.declared == declared}
    again = [each for each in found if each.declared != declared]
    if again:
        async with db.transaction():
            ((newest,),) = await db.fetch(names(HELD_FLOOR), declared.by)
            if newest == declared.generation:
                rows = await db.fetch(
                    names(DECLARE_AGAIN),
                    declared.by,
                    declared.generation,
                    [each.key for each in again],
                    [each.version for each in again],
                )
                there |= {id for (id,) in rows}
    return there


async def undeclare(
    db: Executor, names: Names, by: str, generation: int
) -> Sequence[tuple[str, State]]:
    """Remove what was declared with a lower generation; the ids, and the state of each."""
    async with db.transaction():
        rows = await db.fetch(names(DECLARED_BEFORE), by, generation)
        if not rows:
            return []
        there = await waiting(db, names, [row["key"] for row in rows if not row["dead"]])
        await db.fetch(names(REMOVE), [row["key"] for row in rows])
    return [(row["id"], state_of(row["dead"], row["key"] in there)) for row in rows]


class _One:
    """A series that is to be there."""

    def __init__(
        self,
        names: Names,
        clock: Callable[[], datetime | None],
        wanted: Message,
        declared: Declared | None,
    ) -> None:
        self._names = names
        self._clock = clock
        self._wanted = wanted
        self._declared = declared

    async def ensure(self, db: Executor) -> tuple[Outcome, bool]:
        """The outcome, and whether something is due soon."""
        done = None
        while done is None:
            async with db.transaction():
                done = await self._ensure(db)
        return done

    async def _ensure(self, db: Executor) -> tuple[Outcome, bool] | None:
        """None: somebody else was storing the same id, and it is there by now."""
        names, declared = self._names, self._declared
        if declared is not None:
            for (newest,) in await db.fetch(names(HELD_FLOOR), declared.by):
                if newest > declared.generation:
                    return Ensured.OLDER, False
        rows = await db.fetch(names(HOLD_SERIES), self._wanted.id)
        found = Standing.of(rows[0]) if rows else None
        key = None if found is None else found.key
        ((waits, now),) = await db.fetch(names(PLACE), self._clock(), key)
        if found is None:
            plan = ensured(None, None, self._wanted, from_microseconds(now))
            return await self._store(db, plan)
        if not waits and not found.dead and await db.fetch(names(WAITING_ASIDE), [key]):
            ((_, now),) = await db.fetch(names(PLACE), self._clock(), key)
            waits = True
        state = state_of(bool(found.dead), waits)
        try:
            message, follows = followed(found.record, found.successor, state)
        except UnreadableRecord as error:
            return await self._leave(db, found, error), False
        soon = False
        if found.dead and follows is not None:
            # The version before had it in hand, was to bury a fire of it, and could not read it.
            message = with_changes(
                message, state=State.SCHEDULED, last_error=None, error_class=None, died_at=None
            )
            ((soon,),) = await db.fetch(names(TAKE_BACK), self._clock(), key)
        plan = ensured(message, follows, self._wanted, from_microseconds(now))
        return plan.outcome, await self._change(db, found, plan) or soon

    async def _store(self, db: Executor, plan: EnsurePlan) -> tuple[Outcome, bool] | None:
        if plan.stored is None:
            return plan.outcome, False
        by = self._declared
        added = await db.fetch(
            self._names(PUT_DECLARED),
            self._clock(),
            *given(plan.stored),
            None if by is None else by.by,
            None if by is None else by.generation,
        )
        return (plan.outcome, bool(added[0][0])) if added else None

    async def _leave(self, db: Executor, found: Standing, error: UnreadableRecord) -> Outcome:
        """What is there stays as it is, and stays declared if it was."""
        if found.declared is not None:
            await self._declare(db, found)
        if isinstance(error, NewerRecord):
            return Ensured.NEWER
        return DuplicateMessage(f"the record under the id {found.id!r} cannot be read")

    async def _change(self, db: Executor, found: Standing, plan: EnsurePlan) -> bool:
        """Do what is planned for what is there; whether it is due soon."""
        if plan.removes:
            await db.fetch(self._names(REMOVE), [found.key])
        elif plan.stored is not None:
            return await rewrite(
                db,
                self._names,
                self._clock(),
                found.key,
                plan.stored,
                moves=plan.moves,
                successor=plan.successor,
                declared=self._declared,
            )
        elif isinstance(plan.outcome, Ensured):
            await self._declare(db, found)
        return False

    async def _declare(self, db: Executor, found: Standing) -> None:
        by = self._declared
        if by is not None and by != found.declared:
            await db.fetch(self._names(DECLARE), found.key, by.by, by.generation)
