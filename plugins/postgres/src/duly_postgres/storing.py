"""What callers do to messages: put, cancel, reschedule.

Each runs on a connection of the store's own or in the caller's transaction. A change locks the row
of a message first and then its place in the line; claims do not wait for a locked place.
"""

import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple, TypeVar

from duly import DuplicateMessage, State
from duly.store import Group, plan_put
from duly_postgres.connection import Executor, Row
from duly_postgres.following import give_way_to_move
from duly_postgres.giving import Grouped, as_arrays, as_json, given, storable
from duly_postgres.names import Names
from duly_postgres.sql_putting import PUT, PUT_AS_IS, PUT_AS_IS_WITHIN, PUT_ONE, PUT_WITHIN
from duly_postgres.sql_storing import FIND, MOVE, REMOVE, WAITING, WAITING_ASIDE

__all__ = ["STATES", "cancel", "named", "put", "put_within", "reschedule", "state_of", "waiting"]

STATES: Final = (State.SCHEDULED, State.CLAIMED, State.DEAD)
"""By the number that :data:`duly_postgres.sql_storing.STATE` brings."""

T = TypeVar("T")


class _Overtaken(Exception):
    """An id that was free when we looked is taken now, and what is there is to be replaced."""


class Found(NamedTuple):
    """What is stored under an id; moments in microseconds."""

    key: int
    id: str
    state: State
    created_at: int
    given_at: int
    followed: bool
    """Whether something is to take its place: it is a series."""


async def put(
    db: Executor, names: Names, now: datetime | None, groups: Sequence[Group]
) -> tuple[Sequence[Exception | None], bool]:
    """Store groups on a connection of ours; one outcome for each, and whether one is due soon."""
    if not any(group.replace or group.as_is for group in groups):
        # One statement, and so one transaction.
        if len(groups) == 1 and len(groups[0].messages) == 1:
            added = await db.fetch(names(PUT_ONE), now, *given(groups[0].messages[0]))
            if added:
                return [None], added[0][0]
        return await _put(db, names, now, groups, _numbered(groups))

    async def replace() -> tuple[Sequence[Exception | None], bool]:
        messages = await _without_old(db, names, groups)
        return await _put(db, names, now, groups, messages)

    return await _in_transaction(db, replace)


async def put_within(
    db: Executor, names: Names, now: datetime | None, groups: Sequence[Group]
) -> tuple[Sequence[Exception | None], bool]:
    """The same in a transaction of the caller's."""
    as_is = _any_as_is(groups)
    statement = names(PUT_AS_IS_WITHIN if as_is else PUT_WITHIN)

    async def replace() -> tuple[Sequence[Exception | None], bool]:
        messages = await _without_old(db, names, groups)
        ((refused, soon),) = await db.fetch(statement, _text(now), as_json(messages, as_is=as_is))
        return _outcomes(groups, refused), soon

    return await _in_transaction(db, replace)


async def _in_transaction(db: Executor, replace: Callable[[], Awaitable[T]]) -> T:
    """The outcome of a replacement, repeated if another was stored under its id meanwhile."""
    while True:
        with contextlib.suppress(_Overtaken):
            async with db.transaction():
                return await replace()


async def _put(
    db: Executor,
    names: Names,
    now: datetime | None,
    groups: Sequence[Group],
    messages: Grouped,
) -> tuple[Sequence[Exception | None], bool]:
    as_is = _any_as_is(groups)
    statement = names(PUT_AS_IS if as_is else PUT)
    ((refused, soon),) = await db.fetch(statement, now, *as_arrays(messages, as_is=as_is))
    return _outcomes(groups, refused), soon


def _any_as_is(groups: Sequence[Group]) -> bool:
    return any(group.as_is for group in groups)


def _numbered(groups: Sequence[Group]) -> Grouped:
    return [(number, message) for number, group in enumerate(groups) for message in group.messages]


async def _without_old(db: Executor, names: Names, groups: Sequence[Group]) -> Grouped:
    """The messages to store, once those that they replace are removed.

    For groups that replace nothing, the statement itself finds out which ids are taken.
    """
    ids = [message.id for group in groups if group.replace for message in group.messages]
    plan = plan_put(groups, await _find(db, names, ids))
    if plan.replaced:
        await db.fetch(names(REMOVE), [each.key for each in plan.replaced.values()])
    inserts = {message.id: message for message in plan.inserts}
    return [
        (number, inserts[message.id])
        for number, message in _numbered(groups)
        if message.id in inserts
    ]


def _outcomes(groups: Sequence[Group], refused: Sequence[int]) -> Sequence[Exception | None]:
    if any(groups[number].replace for number in refused):
        raise _Overtaken
    outcomes: list[Exception | None] = [None] * len(groups)
    for number in refused:
        which = named(groups[number])
        outcomes[number] = DuplicateMessage(f"a message with {which} is stored already")
    return outcomes


def named(group: Group) -> str:
    """A group by its ids, for errors."""
    ids = [message.id for message in group.messages]
    return f"the id {ids[0]!r}" if len(ids) == 1 else f"one of the ids {ids[0]!r}, ..."


async def cancel(
    db: Executor, names: Names, ids: Sequence[str], of_state: State | None
) -> Sequence[State | None]:
    """Remove messages; the state each was found in."""
    async with db.transaction():
        found = await _find(db, names, ids)
        keys = [each.key for each in found.values() if of_state in (None, each.state)]
        if keys:
            await db.fetch(names(REMOVE), keys)
    return [found[id].state if id in found else None for id in ids]


async def reschedule(
    db: Executor,
    names: Names,
    now: datetime | None,
    *,
    id: str,
    at: datetime | None,
    of_state: State,
) -> tuple[State | None, bool]:
    """Move a message found in ``of_state``; the state found, and whether it is due soon."""
    async with db.transaction():
        found = (await _find(db, names, [id])).get(id)
        if found is None or found.state is not of_state:
            return None if found is None else found.state, False
        if found.followed:
            await give_way_to_move(db, names, found.key)
        ((soon,),) = await db.fetch(names(MOVE), _text(now), found.key, _text(at))
    return of_state, soon


async def _find(db: Executor, names: Names, ids: Sequence[str]) -> dict[str, Found]:
    """What is stored under these ids, locked, so that nobody can claim it any more."""
    held: list[Row] = []
    wanted = [id for id in ids if storable(id)]
    while wanted:
        rows = await db.fetch(names(FIND), wanted)
        held += [row for row in rows if row[0] is not None]
        wanted = [row[1] for row in rows if row[0] is None]  # gone meanwhile, or replaced
    if not held:
        return {}
    there = await waiting(db, names, [row[0] for row in held if not row[2]])
    return {
        id: Found(key, id, state_of(dead, key in there), created_at, given_at, followed)
        for key, id, dead, created_at, given_at, followed, _ in held
    }


async def waiting(db: Executor, names: Names, keys: Collection[int]) -> Collection[int]:
    """Which of some messages, held by FIND, wait in a line; they are held there too."""
    there = {row[0] for row in await db.fetch(names(WAITING), [*keys])} if keys else set[int]()
    if elsewhere := [key for key in keys if key not in there]:
        there |= {row[0] for row in await db.fetch(names(WAITING_ASIDE), elsewhere)}
    return there


def state_of(dead: bool, waiting: bool) -> State:
    """The state of a message that is held, and held in the line if it is waiting there."""
    if dead:
        return State.DEAD
    return State.SCHEDULED if waiting else State.CLAIMED


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
