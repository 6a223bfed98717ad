"""Doing what was noted while somebody else's transaction held a message."""

import contextlib
import os
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from duly.store import Settle
from duly_postgres.connection import Connection
from duly_postgres.names import Names
from duly_postgres.notes import Lapse, read
from duly_postgres.passing import locked
from duly_postgres.settling import Settled, settle
from duly_postgres.sql_passing import BRING_BACK, END, NARROW, NOTED

__all__ = ["Finished", "finish", "settle_all", "settle_alone"]


class Finished(NamedTuple):
    """What came of it."""

    left: bool = False
    """Whether some messages are still held."""

    back: bool = False
    """Whether some are in the line again, or will be when what has lapsed is recovered."""


async def finish(db: Connection, names: Names, now: datetime | None) -> Finished:
    """Do what was noted for messages that nobody holds any more.

    What was cancelled or replaced meanwhile is gone, and its note is ignored, as everything else
    that a holder says of such a message.
    """
    left = back = False
    async with db.transaction():
        leases = await db.fetch(names(NOTED))
        held = await locked(db, names, [key for lease in leases for key in lease["keys"]])
        for token, owner, keys, text in leases:
            free = [key for key in keys if key not in held]
            ends, outcome = len(free) == len(keys), read(text)
            left = left or not ends
            if not free:
                continue
            if isinstance(outcome, Lapse):
                await db.fetch(names(BRING_BACK), now, os.urandom(16).hex(), owner, free)
                if ends:
                    await db.fetch(names(END), token)
                else:
                    await db.fetch(names(NARROW), token, free)
                back = True
                continue
            outcomes = {} if outcome is None else dict.fromkeys(free, outcome)
            try:
                async with db.transaction():
                    done = await settle(
                        db, names, now, Settle(token, outcomes, None if ends else free)
                    )
                back = back or done.soon
            except asyncpg.LockNotAvailableError:  # somebody stores the id of the dead letter
                left = True
    return Finished(left, back)


async def settle_all(
    db: Connection, names: Names, now: datetime | None, settles: Sequence[Settle]
) -> tuple[Sequence[bool], bool]:
    """Do what settles say, in a transaction: which tokens were valid, and if something is due."""
    return _told([await settle(db, names, now, each) for each in settles])


async def settle_alone(
    db: Connection, names: Names, now: datetime | None, settles: Sequence[Settle]
) -> tuple[Sequence[bool], bool]:
    """The same if no claim follows, which would see to what is noted."""

    async def all_of_them() -> Sequence[Settled]:
        async with db.transaction():
            return [await settle(db, names, now, each) for each in settles]

    if len(settles) == 1:
        outcomes: Sequence[Settled] = [await settle(db, names, now, settles[0])]
    else:
        outcomes = await db.unless_locked(all_of_them, all_of_them)
    settled, soon = _told(outcomes)
    if any(each.noted for each in outcomes):
        # It is settled anyway, and the next settle or claim does what is not done now.
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            soon = (await finish(db, names, now)).back or soon
    return settled, soon


def _told(outcomes: Sequence[Settled]) -> tuple[Sequence[bool], bool]:
    return [each.valid for each in outcomes], any(each.soon for each in outcomes)
