"""Storing past what somebody else's transaction holds."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from duly.store import Group, HeldUp
from duly_postgres.connection import Connection
from duly_postgres.names import Names
from duly_postgres.storing import named, put

__all__ = ["put_past"]

_WAIT: Final = timedelta(milliseconds=25)  # for each of many groups, which are answered together
_MOST: Final = 80  # groups that are waited for: the others are HeldUp at once, and asked again


async def put_past(
    db: Connection, names: Names, now: datetime | None, groups: Sequence[Group]
) -> tuple[Sequence[Exception | None], bool]:
    """Store groups although others hold too long what some need: the rest are stored."""
    if len(groups) == 1:
        return [_held(names, groups[0])], False
    await db.wait_at_most(_WAIT)
    outcomes, held, soon = list[Exception | None](), 0, False
    for group in groups:
        if held >= _MOST:
            outcomes.append(_held(names, group))
            continue
        try:
            async with db.transaction():
                (outcome,), due = await put(db, names, now, [group])
        except asyncpg.LockNotAvailableError as error:
            outcome, due = _held(names, group), False
            outcome.__cause__ = error
            # Waiting for a row concerns one group; waiting for the table, all that follow too.
            held = held + 1 if error.context else _MOST
        outcomes.append(outcome)
        soon = soon or due
    return outcomes, soon


def _held(names: Names, group: Group) -> HeldUp:
    return HeldUp(
        f"PostgreSQL, {names}: another transaction holds {named(group)}, and did not end in time"
    )
