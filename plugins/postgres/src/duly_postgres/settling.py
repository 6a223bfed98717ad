"""What ends claims: deliveries, put-backs, burials."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from duly import Message, State
from duly.message import with_changes
from duly.moment import to_microseconds
from duly.record import UnreadableRecord, from_record, occurrence, to_record
from duly.store import Bury, Key, Release, Reschedule, Settle, Settlement
from duly_postgres.connection import Executor
from duly_postgres.names import Names
from duly_postgres.sql_settling import HOLD, INSERT_DEAD, IS_TAKEN, LOAD, SETTLE

__all__ = ["is_plain", "settle"]


def is_plain(settle: Settle) -> bool:
    """Whether all of a batch was delivered, so that its token says everything."""
    return settle.only is None and not settle.exceptions


async def settle(
    db: Executor, names: Names, now: datetime | None, settle: Settle
) -> tuple[bool, bool]:
    """Do what a settle says: whether its token was valid, and whether something is due again.

    One statement; where something is buried, some more in one transaction.
    """
    if not any(isinstance(each, Bury) for each in settle.exceptions.values()):
        return await _settle(db, names, now, settle, exceptions=settle.exceptions, buried={})
    async with db.transaction():
        held = await db.fetch(names(HOLD), now, settle.token)
        if not held:
            return False, False
        exceptions, buried = await _bury(db, names, settle, held[0]["keys"])
        return await _settle(db, names, now, settle, exceptions=exceptions, buried=buried)


async def _settle(
    db: Executor,
    names: Names,
    now: datetime | None,
    settle: Settle,
    *,
    exceptions: Mapping[Key, Settlement],
    buried: Mapping[Key, str],
) -> tuple[bool, bool]:
    releases = [
        (key, to_microseconds(each.at))
        for key, each in exceptions.items()
        if isinstance(each, Release)
    ]
    put_back = [
        _put_back(key, each) for key, each in exceptions.items() if isinstance(each, Reschedule)
    ]
    (row,) = await db.fetch(
        names(SETTLE),
        now,
        settle.token,
        None if settle.only is None else list(settle.only),
        [*exceptions, *buried],
        *_columns(releases, 2),
        *_columns(put_back, 6),
        list(buried),
        list(buried.values()),
    )
    return row["valid"], row["soon"]


def _put_back(key: Key, reschedule: Reschedule) -> tuple[Any, ...]:
    counters = reschedule.counters
    return (
        key,
        to_microseconds(reschedule.next_attempt_at),
        to_microseconds(counters.scheduled_at),
        counters.retry_count,
        counters.occurrence_count,
        None if counters.last_error is None else _storable(counters.last_error),
    )


async def _bury(
    db: Executor, names: Names, settle: Settle, held: Sequence[int]
) -> tuple[Mapping[Key, Settlement], Mapping[Key, str]]:
    """Make dead letters of occurrences of series; what is to become of the rest.

    That is the settlements but for burials, and the reasons of messages to be buried as they are.
    """
    settled = set(held) if settle.only is None else {*held} & {*settle.only}
    exceptions, buried = dict(settle.exceptions), dict[Key, str]()
    buries = {key: each for key, each in settle.exceptions.items() if isinstance(each, Bury)}
    for key in buries:
        del exceptions[key]
        buried[key] = ""  # of what is gone; it is not there to be buried
    for key, *record in await db.fetch(names(LOAD), sorted(buries.keys() & settled)):
        bury = buries[key]
        reason = buried[key] = _storable(bury.reason)
        try:
            message = from_record(record, State.CLAIMED)
        except UnreadableRecord:  # since it was claimed; as a dead letter it will be listed so
            continue
        if message.recurrence is None:
            continue
        del buried[key]
        await _insert_dead(db, names, occurrence(message, reason))
        if bury.next is not None:
            exceptions[key] = bury.next
    return exceptions, buried


async def _insert_dead(db: Executor, names: Names, message: Message) -> None:
    while await db.fetch(names(IS_TAKEN), message.id):
        message = with_changes(message, id=f"{message.id}+")
    record = to_record(message)
    await db.fetch(names(INSERT_DEAD), record.next_attempt_at, *record)


def _storable(text: str) -> str:
    """The text with what PostgreSQL cannot hold replaced."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> Sequence[Sequence[Any]]:
    return list(zip(*rows, strict=True)) if rows else [()] * width
