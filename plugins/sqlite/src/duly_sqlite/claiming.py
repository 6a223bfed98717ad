"""What schedulers do with leases: claim and renew. Each runs within a transaction."""

import os
import sqlite3
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final

from duly import Message, State
from duly.moment import from_microseconds
from duly.record import NewerRecord, UnreadableRecord, from_record
from duly.store import Batch, Claim, Key, Token
from duly_sqlite import sql
from duly_sqlite.aside import postpone, set_aside
from duly_sqlite.line import heads, put_in_line
from duly_sqlite.records import fetch, show
from duly_sqlite.series import take_place

__all__ = ["claim", "give_back", "nothing", "nothing_due", "renew"]

_MICROSECOND: Final = timedelta(microseconds=1)
_LAST: Final = 2**63 - 1


def nothing_due(db: sqlite3.Cursor, now: int, *, suspects: bool) -> Batch | None:
    """The answer to a claim when nothing is due, without a transaction; None when something is."""
    due_at, end = _ahead(db, "", suspects=suspects)
    if any(moment is not None and moment <= now for moment in (due_at, end)):
        return None
    return _batch(now, due_at, end, token=None, claims=())


def claim(
    db: sqlite3.Cursor,
    now: int,
    *,
    limit: int,
    lease: timedelta,
    owner: str,
    suspects: bool,
    settled: Sequence[bool],
) -> Batch:
    """Bring back what lapsed, then take what is due."""
    _recover(db, now)
    suspect = suspects and _suspect_comes_first(db, now)
    wanted = 1 if suspect else limit
    rows = fetch(db, sql.TAKE, (suspect, now, wanted))
    last = rows[-1][:2] if len(rows) == wanted else (now, _LAST)
    db.execute(sql.LEAVE_LINE_UP_TO, (suspect, *last))
    if over := [row[1] for row in rows if row[3]]:
        gone = take_place(db, over)
        rows = [row for row in rows if row[1] not in gone]
    claims, unreadable, newer = _sorted(rows)
    aside = [set_aside(db, key, message) for key, message in unreadable.items()]
    if newer:
        postpone(db, newer, now)
    token = os.urandom(16).hex()
    if claims:
        keys = str([claim.key for claim in claims])
        db.execute(sql.LEASE, (token, now + lease // _MICROSECOND, owner, keys))
    due_at, end = _ahead(db, token, suspects=suspects)
    return _batch(
        now,
        due_at,
        end,
        token=token if claims else None,
        claims=claims,
        settled=settled,
        unreadable=aside,
        newer=len(newer),
    )


def nothing(now: int, settled: Sequence[bool]) -> Batch:
    """The batch of a claim that may only settle."""
    return _batch(now, None, None, token=None, claims=(), settled=settled)


def _batch(now: int, due_at: int | None, end: int | None, **found: Any) -> Batch:
    next_due = min((moment for moment in (due_at, end) if moment is not None), default=None)
    return Batch(
        now=from_microseconds(now),
        next_due=None if next_due is None else from_microseconds(next_due),
        more=due_at is not None and due_at <= now,
        **found,
    )


def give_back(db: sqlite3.Cursor, batch: Batch) -> None:
    """Put a whole batch back at its place, nothing counted, and end its lease."""
    if db.execute(sql.END_LEASE, (batch.token,)).rowcount:
        put_in_line(db, str([claim.key for claim in batch.claims]))


def renew(
    db: sqlite3.Cursor, now: int, tokens: Sequence[Token], lease: timedelta
) -> Sequence[Collection[Key] | None]:
    """Let leases last from now; the keys that are gone from each, None for a lost one."""
    answers: list[Collection[Key] | None] = []
    for token in tokens:
        renewed = db.execute(sql.RENEW, (now + lease // _MICROSECOND, token, now)).rowcount
        answers.append([key for (key,) in db.execute(sql.GONE, (token,))] if renewed else None)
    return answers


def _ahead(db: sqlite3.Cursor, but: Token, *, suspects: bool) -> tuple[int | None, int | None]:
    """When something that waits is due next, and when the first lease other than this ends."""
    ordinary, suspect = heads(db)
    end = db.execute(sql.FIRST_END, (but,)).fetchone()
    due = [moment for moment in (ordinary, suspect if suspects else None) if moment is not None]
    return min(due, default=None), None if end is None else end[0]


def _recover(db: sqlite3.Cursor, now: int) -> None:
    if db.execute(sql.ANY_LAPSED, (now,)).fetchone():
        (keys,) = db.execute(sql.LAPSED_KEYS, (now,)).fetchone()
        db.execute(sql.REMOVE_LAPSED, (now,))
        db.execute(sql.COUNT_LAPSE, (keys,))
        put_in_line(db, keys)


def _suspect_comes_first(db: sqlite3.Cursor, now: int) -> bool:
    suspect = db.execute(sql.FIRST_DUE, (1, now)).fetchone()
    if suspect is None:
        return False
    ordinary = db.execute(sql.FIRST_DUE, (0, now)).fetchone()
    return ordinary is None or suspect < ordinary


def _sorted(
    rows: Sequence[Sequence[Any]],
) -> tuple[Sequence[Claim], dict[int, Message], Sequence[int]]:
    """The claims, what cannot be read, by key, and the keys of records of a newer format."""
    claims, unreadable, newer = [], {}, []
    for row in rows:
        key, record = row[1], row[4:]
        try:
            claims.append(Claim(key, from_record(record, State.CLAIMED), row[2]))
        except NewerRecord:
            newer.append(key)
        except UnreadableRecord:
            unreadable[key] = show(key, record, State.DEAD)
    return claims, unreadable, newer
