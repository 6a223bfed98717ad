"""What callers do to messages: put, cancel, reschedule.

Each runs on a connection of the store's own or in the caller's transaction. Whoever changes a
message holds its row first and then its place in the line, for which claims do not wait.
"""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from duly import DuplicateMessage, Message, State
from duly.message import with_changes
from duly.moment import from_microseconds
from duly.record import Record, to_record
from duly.store import Group
from duly_postgres.connection import Executor
from duly_postgres.names import Names
from duly_postgres.sql_storing import (
    FIND,
    GIVEN_COLUMNS,
    MOVE,
    PUT,
    PUT_WITHIN,
    REMOVE,
    WAITING,
)

__all__ = ["STATES", "cancel", "put", "put_within", "reschedule", "storable"]

_LAST: Final = datetime.max.replace(tzinfo=UTC)  # no moment is later

STATES: Final = (State.SCHEDULED, State.CLAIMED, State.DEAD)
"""By the number that :data:`duly_postgres.sql_storing.STATE` brings."""

_PLACES: Final = tuple(Record._fields.index(name) for name in GIVEN_COLUMNS)

Grouped = Sequence[tuple[int, Message]]
"""Messages with the number of their group."""


class Found(NamedTuple):
    """What is stored under an id; ``created_at`` in microseconds."""

    key: int
    id: str
    dead: bool
    created_at: int


async def put(
    db: Executor, names: Names, now: datetime | None, groups: Sequence[Group]
) -> tuple[Sequence[Exception | None], bool]:
    """Store groups on a connection of ours; one outcome for each, and whether one is due soon."""
    if not any(group.replace for group in groups):  # one statement, and so one transaction
        return await _put(db, names, now, groups, _numbered(groups))
    async with db.transaction():
        return await _put(db, names, now, groups, await _without_old(db, names, groups))


async def put_within(
    db: Executor, names: Names, now: datetime | None, groups: Sequence[Group]
) -> tuple[Sequence[Exception | None], bool]:
    """The same in a transaction of the caller's."""
    async with db.transaction():
        messages = await _without_old(db, names, groups)
        objects = [
            _as_object(place, number, message) for place, (number, message) in enumerate(messages)
        ]
        ((refused, soon),) = await db.fetch(
            names(PUT_WITHIN), _text(now), json.dumps(objects, ensure_ascii=False)
        )
    return _outcomes(groups, refused), soon


async def _put(
    db: Executor,
    names: Names,
    now: datetime | None,
    groups: Sequence[Group],
    messages: Grouped,
) -> tuple[Sequence[Exception | None], bool]:
    numbers = [number for number, _ in messages]
    columns = list(zip(*[to_record(message) for _, message in messages], strict=True))
    given = [columns[place] for place in _PLACES] if columns else [()] * len(_PLACES)
    ((refused, soon),) = await db.fetch(names(PUT), now, numbers, *given)
    return _outcomes(groups, refused), soon


def _numbered(groups: Sequence[Group]) -> Grouped:
    return [(number, message) for number, group in enumerate(groups) for message in group.messages]


async def _without_old(db: Executor, names: Names, groups: Sequence[Group]) -> Grouped:
    """The messages to store, when those that they replace have made way."""
    replacing = [message.id for group in groups if group.replace for message in group.messages]
    found = {each.id: each for each in await _find(db, names, replacing)}
    if found:
        keys = [each.key for each in found.values()]
        await _waiting(db, names, keys)
        await db.fetch(names(REMOVE), keys)
    return [
        (number, _made_newer(message, found[message.id]) if message.id in found else message)
        for number, message in _numbered(groups)
    ]


def _made_newer(message: Message, old: Found) -> Message:
    replaced = from_microseconds(old.created_at)
    if message.created_at > replaced or replaced == _LAST:
        return message
    newer = replaced + timedelta(microseconds=1)
    return with_changes(message, created_at=newer, _delivery_id=None)


def _outcomes(groups: Sequence[Group], refused: Sequence[int]) -> Sequence[Exception | None]:
    outcomes: list[Exception | None] = [None] * len(groups)
    for number in refused:
        ids = [message.id for message in groups[number].messages]
        named = f"the id {ids[0]!r}" if len(ids) == 1 else f"one of the ids {ids[0]!r}, ..."
        outcomes[number] = DuplicateMessage(f"a message with {named} is stored already")
    return outcomes


async def cancel(
    db: Executor, names: Names, ids: Sequence[str], of_state: State | None
) -> Sequence[State | None]:
    """Remove messages; the state each was found in."""
    async with db.transaction():
        found = await _find(db, names, ids)
        waiting = await _waiting(db, names, [each.key for each in found])
        states = {each.id: _state(each, waiting) for each in found}
        keys = [each.key for each in found if of_state in (None, states[each.id])]
        if keys:
            await db.fetch(names(REMOVE), keys)
    return [states.get(id) for id in ids]


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
        found = await _find(db, names, [id])
        if not found:
            return None, False
        key = found[0].key
        state = _state(found[0], await _waiting(db, names, [key]))
        if state is not of_state:
            return state, False
        ((soon,),) = await db.fetch(names(MOVE), _text(now), key, _text(at))
    return state, soon


def storable(text: str) -> bool:
    """Whether PostgreSQL can hold the text, so that a message may have it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


async def _find(db: Executor, names: Names, ids: Sequence[str]) -> Sequence[Found]:
    wanted = [id for id in ids if storable(id)]
    return [Found(*row) for row in await db.fetch(names(FIND), wanted)] if wanted else []


async def _waiting(db: Executor, names: Names, keys: Sequence[int]) -> set[int]:
    """The keys that are in the line, where nobody can claim them any more."""
    return {row[0] for row in await db.fetch(names(WAITING), keys)} if keys else set()


def _state(found: Found, waiting: set[int]) -> State:
    if found.dead:
        return State.DEAD
    return State.SCHEDULED if found.key in waiting else State.CLAIMED


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _as_object(place: int, number: int, message: Message) -> dict[str, Any]:
    record = to_record(message)
    given: dict[str, Any] = {"place": place, "group_number": number}
    for name in GIVEN_COLUMNS:
        value = getattr(record, name)
        if isinstance(value, bytes):
            value = base64.b64encode(value).decode()
        elif name.endswith("_at") and value is not None:
            value = from_microseconds(value).isoformat()
        given[name] = value
    return given
