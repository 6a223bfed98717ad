"""What ends claims: deliveries, put-backs, burials."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from duly import Message
from duly.moment import from_microseconds, to_microseconds
from duly.record import with_next_id
from duly.store import Bury, End, Key, Reschedule, Settle, SettlePlan, plan_settle
from duly_postgres.connection import Connection, Executor
from duly_postgres.following import rewrite
from duly_postgres.giving import recorded, storable_text
from duly_postgres.loading import load
from duly_postgres.names import Names
from duly_postgres.passing import past_settled
from duly_postgres.sql_settling import HOLD, INSERT_DEAD, IS_TAKEN, SETTLE

__all__ = ["Settled", "is_plain", "settle"]


class Settled(NamedTuple):
    """What came of a settle."""

    valid: bool = False
    soon: bool = False
    """Whether something is due again."""

    noted: bool = False
    """Whether outcomes are noted to be done later, of this settle or of others."""


def is_plain(settle: Settle) -> bool:
    """Whether all of a batch was delivered, so that its token says everything."""
    return settle.only is None and not settle.exceptions


async def settle(db: Connection, names: Names, now: datetime | None, settle: Settle) -> Settled:
    """Do what a settle says; what others hold stays, its outcome noted.

    It is one statement; if something is buried, held or followed, several in one transaction.
    """

    async def past() -> Settled:
        await past_settled(db, names, now, settle)
        return await _settle(db, names, now, settle)

    return await db.unless_locked(lambda: _settle(db, names, now, settle), past)


async def _settle(db: Executor, names: Names, now: datetime | None, settle: Settle) -> Settled:
    if not any(isinstance(each, Bury) for each in settle.exceptions.values()):
        plan = plan_settle(settle, settle.exceptions)
        settled = await _carry_out(db, names, now, settle, plan, watched=_moving(settle))
        if settled is not None:
            return settled
    async with db.transaction():
        held = await db.fetch(names(HOLD), now, settle.token)
        if not held:
            return Settled()
        # All of it happens at one moment, at which the lease was valid, however long it takes.
        keys, now = {*held[0]["keys"]}, from_microseconds(held[0]["now"])
        loaded = await load(db, names, now, settle, keys)
        plan = plan_settle(
            loaded.settle, keys, loaded.messages, now=now, successors=loaded.successors
        )
        for message in plan.occurrences.values():
            await _insert_dead(db, names, message)
        settled = await _carry_out(db, names, now, settle, plan) or Settled()
        soon = [
            await rewrite(db, names, now, key, message, moves=True)
            for key, message in plan.succeeded.items()
        ]
        return settled._replace(soon=settled.soon or any(soon))


def _moving(settle: Settle) -> Sequence[Key]:
    """What may go beyond a fire after which something else follows."""
    return [key for key, each in settle.exceptions.items() if isinstance(each, Reschedule | End)]


async def _carry_out(
    db: Executor,
    names: Names,
    now: datetime | None,
    settle: Settle,
    plan: SettlePlan,
    *,
    watched: Sequence[Key] = (),
) -> Settled | None:
    """Do what is planned; None, and nothing, if something follows what is ``watched``."""
    (row,) = await db.fetch(
        names(SETTLE),
        now,
        settle.token,
        None if settle.only is None else list(settle.only),
        [*(settle.exceptions.keys() - plan.deleted)],
        *_columns([(key, to_microseconds(at)) for key, at in plan.released.items()], 2),
        *_columns([_put_back(*each) for each in plan.rescheduled.items()], 9),
        *_columns([_buried(*each) for each in plan.buried.items()], 3),
        watched,
    )
    return None if row["followed"] else Settled(row["valid"], row["soon"], row["noted"])


def _put_back(key: Key, reschedule: Reschedule) -> tuple[Any, ...]:
    counters = reschedule.counters
    return (
        key,
        to_microseconds(reschedule.next_attempt_at),
        to_microseconds(counters.scheduled_at),
        counters.retry_count,
        counters.occurrence_count,
        storable_text(counters.last_error),
        counters.postpone_count or None,
        1 if counters.put_back else None,
        counters.format,
    )


def _buried(key: Key, bury: Bury) -> tuple[Any, ...]:
    return key, storable_text(bury.reason), storable_text(bury.error_class)


async def _insert_dead(db: Executor, names: Names, message: Message) -> None:
    while await db.fetch(names(IS_TAKEN), message.id):
        message = with_next_id(message)
    record = recorded(message)
    await db.fetch(names(INSERT_DEAD), record.next_attempt_at, *record)


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> Sequence[Sequence[Any]]:
    return list(zip(*rows, strict=True)) if rows else [()] * width
