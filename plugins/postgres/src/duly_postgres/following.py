"""What follows a series: how it is kept beside it, and how it takes its place."""

import contextlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from duly import Message, State
from duly.moment import to_microseconds
from duly.record import UnreadableRecord, from_record, successor_of, successor_text
from duly.store import Declared, Key, Successor, Token, succeeded, to_be_moved
from duly_postgres.connection import Connection, Executor
from duly_postgres.foreign import native
from duly_postgres.giving import record_as_json
from duly_postgres.names import Names
from duly_postgres.passing import past_given_back
from duly_postgres.sql_passing import END, NARROW
from duly_postgres.sql_series import FOLLOWED, REWRITE
from duly_postgres.sql_settling import HOLD, LOAD
from duly_postgres.sql_storing import REMOVE

__all__ = ["followed", "following", "give_way_to_move", "rewrite", "successor_in", "take_place"]

_DAMAGE: Final = (ValueError, TypeError, KeyError, OverflowError)
"""What :func:`duly.record.successor_of` raises for a text that is none."""


def followed(
    record: Sequence[Any], text: str | None, state: State
) -> tuple[Message, Successor | None]:
    """A message, and what follows it.

    Raises:
        UnreadableRecord: one of the two cannot be read.
    """
    message = from_record(record, state)
    successor = successor_in(text)
    if successor is None and text is not None:
        raise UnreadableRecord("what follows it cannot be read")
    return message, successor


def successor_in(text: str | None) -> Successor | None:
    """What follows a series; None for nothing, and for what cannot be read."""
    with contextlib.suppress(*_DAMAGE):
        return None if text is None else successor_of(text)
    return None


def following(record: Sequence[Any], text: str | None) -> Message | None:
    """The series that takes the place of another by and by, as it will wait; None for nothing."""
    with contextlib.suppress(UnreadableRecord):
        message, successor = followed(record, text, State.SCHEDULED)
        if successor is not None:
            return succeeded(message, successor, message.occurrence_count)
    return None


async def rewrite(
    db: Executor,
    names: Names,
    now: datetime | None,
    key: Key,
    message: Message,
    *,
    moves: bool,
    successor: Successor | None = None,
    declared: Declared | None = None,
) -> bool:
    """Let a message, which is held, be another; whether it is due soon.

    If it ``moves`` it waits at its ``next_attempt_at``, with lapses 0; else its place stays.
    """
    ((soon,),) = await db.fetch(
        names(REWRITE),
        None if now is None else now.isoformat(),
        key,
        moves,
        record_as_json(message, at_least=1 if successor is None else 2),
        None if successor is None else successor_text(successor),
        None if successor is None else successor.cut.isoformat(),
        None if declared is None else declared.by,
        None if declared is None else declared.generation,
    )
    return bool(soon)


async def give_way_to_move(db: Executor, names: Names, key: Key) -> None:
    """Before a series is moved: what follows it takes its place, as far as both can be read."""
    for text, *record in await db.fetch(names(FOLLOWED), key):
        with contextlib.suppress(UnreadableRecord):
            series = followed(native(record), text, State.SCHEDULED)
            await rewrite(db, names, None, key, to_be_moved(*series), moves=False)


async def take_place(
    db: Connection, names: Names, now: datetime | None, token: Token, keys: Sequence[int]
) -> Mapping[int, int | None]:
    """What follows takes the place of series that were claimed although they are over.

    Those that are in the lease no more: by key, when they are due, None for what does not wait. The
    others are what they were, as what follows them cannot be read.
    """

    async def work(held: Collection[int] = ()) -> Mapping[int, int | None]:
        gone: dict[int, int | None] = dict.fromkeys(keys)
        async with db.transaction():
            lease = await db.fetch(names(HOLD), now, token)
            if not lease:
                return gone  # it has lapsed already
            free = [key for key in keys if key not in held]
            for key, text, *record in await db.fetch(names(LOAD), free, free):
                try:
                    message, successor = followed(record, text, State.SCHEDULED)
                except UnreadableRecord:
                    successor = None
                if successor is None:
                    del gone[key]
                    continue
                follows = succeeded(message, successor, message.occurrence_count)
                if follows is None:
                    await db.fetch(names(REMOVE), [key])
                else:
                    await rewrite(db, names, now, key, follows, moves=True)
                    gone[key] = to_microseconds(follows.next_attempt_at)
            if gone.keys() >= {*lease[0]["keys"]}:
                await db.fetch(names(END), token)
            else:
                await db.fetch(names(NARROW), token, [*gone])
        return gone

    async def past() -> Mapping[int, int | None]:
        return await work(await past_given_back(db, names, now, token, keys))

    return await db.unless_locked(work, past)
