"""What schedulers do with leases: claim and renew. Each runs within a transaction."""

import os
import sqlite3
from collections.abc import Collection, Sequence
from datetime import timedelta
from operator import itemgetter
from typing import Any, Final

from duly import Message, State
from duly.moment import from_microseconds
from duly.record import NewerRecord, UnreadableRecord, from_record
from duly.store import Batch, Claim, Key, Rooms, Token
from duly_sqlite import sql, sql_lines
from duly_sqlite.aside import postpone, set_aside
from duly_sqlite.line import heads, put_in_line
from duly_sqlite.looking import Lines
from duly_sqlite.records import fetch, show
from duly_sqlite.series import take_place
from duly_sqlite.sidings import Turn

__all__ = ["claim", "give_back", "lapse", "nothing", "nothing_due", "renew"]

_MICROSECOND: Final = timedelta(microseconds=1)
_LAST: Final = 2**63 - 1
_PLACE: Final = itemgetter(0, 1)


def nothing_due(db: sqlite3.Cursor, now: int, rooms: Rooms, *, suspects: bool) -> Batch | None:
    """The answer to a claim when nothing is due, without a transaction; None when something is."""
    lines = Lines(db, now, rooms)
    due_at, end = _ahead(db, "", lines, suspects=suspects)
    if any(moment is not None and moment <= now for moment in (due_at, end)):
        return None
    if lines.sidings.give():
        return None
    return _batch(now, due_at, end, lines, token=None, claims=())


def claim(
    db: sqlite3.Cursor,
    now: int,
    *,
    limit: int,
    lease: timedelta,
    owner: str,
    suspects: bool,
    settled: Sequence[bool],
    rooms: Rooms,
    turn: Turn,
) -> Batch:
    """Bring back what lapsed, then take what is due."""
    _recover(db, now)
    lines = Lines(db, now, rooms)
    moved = 0
    if lines.plain:
        rows = _take(db, now, limit, suspects=suspects)
    else:
        keys, moved = lines.take(limit, turn, suspects=suspects)
        rows = sorted(fetch(db, sql_lines.TAKEN, (str(keys),)), key=_PLACE)
    if over := [row[1] for row in rows if row[3]]:
        gone = take_place(db, over)
        rows = [row for row in rows if row[1] not in gone]
    claims, unreadable, newer = _sorted(rows)
    aside = [set_aside(db, key, message) for key, message in unreadable.items()]
    if newer:
        postpone(db, newer, now)
    token = os.urandom(16).hex()
    if claims:
        held = str([claim.key for claim in claims])
        db.execute(sql.LEASE, (token, now + lease // _MICROSECOND, owner, held))
    due_at, end = _ahead(db, token, lines, suspects=suspects)
    return _batch(
        now,
        due_at,
        end,
        lines,
        token=token if claims else None,
        claims=claims,
        settled=settled,
        unreadable=aside,
        newer=len(newer),
        moved=moved,
    )


def _take(db: sqlite3.Cursor, now: int, limit: int, *, suspects: bool) -> list[tuple[Any, ...]]:
    """Take what is due out of the line, whatever its name."""
    suspect = suspects and _suspect_comes_first(db, now)
    wanted = 1 if suspect else limit
    rows = fetch(db, sql.TAKE, (suspect, now, wanted))
    last = rows[-1][:2] if len(rows) == wanted else (now, _LAST)
    db.execute(sql.LEAVE_LINE_UP_TO, (suspect, *last))
    return rows


def nothing(now: int, settled: Sequence[bool]) -> Batch:
    """The batch of a claim that may only settle."""
    return Batch(now=from_microseconds(now), token=None, claims=(), settled=settled)


def _batch(now: int, due_at: int | None, end: int | None, lines: Lines, **found: Any) -> Batch:
    next_due = min((moment for moment in (due_at, end) if moment is not None), default=None)
    return Batch(
        now=from_microseconds(now),
        next_due=None if next_due is None else from_microseconds(next_due),
        more=(due_at is not None and due_at <= now) or lines.sidings.give(),
        aside=lines.sidings.kept_back(),
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


def lapse(db: sqlite3.Cursor, now: int, owner: str) -> int:
    """End the leases of an owner; how many messages they held."""
    ((held,),) = db.execute(sql.HELD_BY, (owner, now))
    db.execute(sql.END_LEASES_OF, (now, owner, now))
    return int(held)


def _ahead(
    db: sqlite3.Cursor, but: Token, lines: Lines, *, suspects: bool
) -> tuple[int | None, int | None]:
    """When something that waits is due next, and when the first lease other than this ends."""
    ordinary, suspect = heads(db)
    if suspects and suspect is not None and not lines.plain:
        found = lines.first_suspect()
        suspect = None if found is None else found[0]
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
