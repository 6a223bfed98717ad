"""Leases of batches in hand: ending those that lapsed or are not wanted, renewing the others."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from duly.store import NEWER_PAUSE, Key, Token
from duly_postgres.connection import Connection, Row
from duly_postgres.names import Names
from duly_postgres.passing import past_given_back, past_lapsed
from duly_postgres.sql_claiming import GIVE_BACK, PUT_ASIDE, RECOVER, RENEW

__all__ = ["give_back", "put_aside", "recover", "renew"]


async def recover(db: Connection, names: Names, now: datetime | None) -> Sequence[Row]:
    """Bring back what lapsed; what others hold is brought back later."""

    async def bring_back() -> Sequence[Row]:
        return await db.fetch(names(RECOVER), now)

    async def past() -> Sequence[Row]:
        await past_lapsed(db, names, now)
        return await bring_back()

    return await db.unless_locked(bring_back, past)


async def put_aside(
    db: Connection,
    names: Names,
    now: datetime | None,
    token: Token,
    *,
    unreadable: Sequence[int],
    newer: Sequence[int],
    ends: bool,
) -> None:
    """Take some messages out of a lease, which ``ends`` with them if nothing else is in it."""

    async def work(held: Collection[int] = ()) -> None:
        keys = [[key for key in keys if key not in held] for keys in (unreadable, newer)]
        await db.fetch(names(PUT_ASIDE), now, token, *keys, ends, NEWER_PAUSE)

    async def past() -> None:
        await work(await past_given_back(db, names, now, token, [*unreadable, *newer]))

    await db.unless_locked(work, past)


async def give_back(
    db: Connection, names: Names, now: datetime | None, token: Token | None
) -> None:
    """Put a whole batch back at its place, nothing counted, and end its lease."""
    if token is None:
        return

    async def put_back() -> None:
        await db.fetch(names(GIVE_BACK), token)

    async def past() -> None:
        await past_given_back(db, names, now, token, None)
        await put_back()

    await db.unless_locked(put_back, past)


async def renew(
    db: Connection, names: Names, now: datetime | None, tokens: Sequence[Token], lease: timedelta
) -> Sequence[Collection[Key] | None]:
    """Let leases last from now; the keys that are gone from each, None for a lost one."""

    async def work() -> Sequence[Row]:
        return await db.fetch(names(RENEW), now, lease, list(tokens))

    rows = await db.unless_locked(work, work)  # the first try does not wait for a settle
    gone = {row["token"]: row["gone"] for row in rows}
    return [gone.get(token) for token in tokens]
