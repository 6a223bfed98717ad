"""Going past what a caller's open transaction holds.

A caller that cancels, moves or replaces a message in a transaction holds its row until that ends.
Outcomes for it meanwhile are noted and done later, see :mod:`duly_postgres.finishing`: nobody
waits, and messages that are not held go on. Each function here runs in a transaction before the
statement that would wait, so that this finds only messages in its lease that it can have.
"""

import os
from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime

from duly.moment import from_microseconds
from duly.store import Release, Settle, Token
from duly_postgres.connection import Executor, Row
from duly_postgres.names import Names
from duly_postgres.notes import Lapse, Outcome, format_for, written
from duly_postgres.sql_passing import LAPSED, LEASE, LOCKED, NARROW, NOTE

__all__ = ["locked", "past_given_back", "past_lapsed", "past_settled"]


async def locked(db: Executor, names: Names, keys: Collection[int]) -> Mapping[int, Row]:
    """The messages that others hold, each with its place in the line; we hold the rest."""
    return {row["key"]: row for row in await db.fetch(names(LOCKED), [*keys])}


async def past_settled(db: Executor, names: Names, now: datetime | None, settle: Settle) -> None:
    """Note the outcomes that a settle has for what others hold."""
    for lease in await db.fetch(names(LEASE), now, settle.token):
        if lease["valid"]:
            only = None if settle.only is None else {*settle.only}
            keys = [key for key in lease["keys"] if only is None or key in only]
            held = await locked(db, names, keys)
            await _note(db, names, lease, held, {key: settle.exceptions.get(key) for key in held})


async def past_given_back(
    db: Executor, names: Names, now: datetime | None, token: Token, keys: Collection[int] | None
) -> Collection[int]:
    """Note that what others hold, of these keys or of all, goes back to its place."""
    held: Mapping[int, Row] = {}
    for lease in await db.fetch(names(LEASE), now, token):
        held = await locked(db, names, lease["keys"] if keys is None else keys)
        outcomes = {key: Release(from_microseconds(row["due_at"])) for key, row in held.items()}
        await _note(db, names, lease, held, outcomes)
    return held


async def past_lapsed(db: Executor, names: Names, now: datetime | None) -> None:
    """Note that the lease has lapsed of what others hold."""
    leases = await db.fetch(names(LAPSED), now)
    held = await locked(db, names, [key for lease in leases for key in lease["keys"]])
    for lease in leases:
        lapses = {key: Lapse() for key in lease["keys"] if key in held}
        await _note(db, names, lease, held, lapses)


async def _note(
    db: Executor,
    names: Names,
    lease: Row,
    held: Mapping[int, Row],
    outcomes: Mapping[int, Outcome],
) -> None:
    if not outcomes:
        return
    alike = defaultdict[tuple[str, int], list[int]](list)
    for key, outcome in outcomes.items():
        alike[written(outcome), format_for(outcome, held[key]["format"])].append(key)
    for (text, needed), keys in alike.items():
        await db.fetch(names(NOTE), os.urandom(16).hex(), lease["owner"], keys, text, needed)
    await db.fetch(names(NARROW), lease["token"], [*outcomes])
