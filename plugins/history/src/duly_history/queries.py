"""What is asked of the tables: each function runs in a thread, on a connection of its own."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, Final

import attrs
import sqlalchemy as sa

from duly_history.database import Database
from duly_history.rows import instant
from duly_history.tables import ENTRY_COLUMNS
from duly_history.upkeep import KILLED, is_gone
from duly_history.values import ChangeMade, Entry, Hole, What

__all__ = ["Asked", "changes", "entries", "holes", "minutes", "moment"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HOLES: Final = 1000  # that are told one by one


@attrs.frozen(kw_only=True)
class Asked:
    """Which entries: of all that is given together."""

    message_id: str | None = None
    id_prefix: str | None = None
    event: str | None = None
    what: Sequence[What] = ()
    error_class: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def moment(microseconds: int) -> datetime:
    """A moment as it was kept."""
    return _EPOCH + timedelta(microseconds=microseconds)


def entries(
    database: Database, asked: Asked, limit: int, *, oldest_first: bool = False
) -> Sequence[Entry]:
    """At most so many."""
    table = database.tables.entries
    order: list[sa.ColumnElement[Any]] = [table.c.at, table.c.turn]
    if not oldest_first:
        order = [each.desc() for each in order]
    columns = [table.c[name] for name in ENTRY_COLUMNS]
    statement = sa.select(*columns).where(*_conditions(table, asked)).order_by(*order).limit(limit)
    with database.transaction() as connection:
        return [_entry(row) for row in connection.execute(statement)]


def minutes(
    database: Database,
    event: str | None,
    since: datetime,
    until: datetime,
    *,
    columns: Sequence[str],
    by: str,
    limit: int,
) -> Sequence[Sequence[Any]]:
    """Sums of columns by ``minute`` or ``event_name``, at most so many of them, in their order."""
    table = database.tables.minutes
    # A sum is of a wider type on PostgreSQL.
    sums = [sa.cast(sa.func.sum(table.c[name]), sa.BigInteger()) for name in columns]
    begin = instant(since)
    statement = (
        sa.select(table.c[by], *sums)
        .where(table.c.minute >= begin - begin % 60_000_000, table.c.minute <= instant(until))
        .where(*_named(table.c.event_name, event))
        .group_by(table.c[by])
        .order_by(table.c[by].desc() if by == "minute" else table.c[by])
        .limit(limit)
    )
    with database.transaction() as connection:
        return [tuple(row) for row in connection.execute(statement)]


def holes(
    database: Database, since: datetime | None, until: datetime | None, now: datetime
) -> Sequence[Hole]:
    """Those that touch that time, of processes that fell silent too; of many the earlier as one."""
    table, writers = database.tables.holes, database.tables.writers
    statement = sa.select(
        table.c.from_at, table.c.to_at, table.c.number, table.c.source, table.c.reason
    )
    silent = sa.select(writers.c.seen_at, writers.c.source)
    if since is not None:
        statement = statement.where(table.c.to_at >= instant(since))
    if until is not None:
        statement = statement.where(table.c.from_at <= instant(until))
        silent = silent.where(writers.c.seen_at <= instant(until))
    statement = statement.order_by(table.c.from_at.desc(), table.c.source)
    earlier = statement.offset(_HOLES).subquery()
    together = sa.select(
        sa.func.min(earlier.c.from_at), sa.func.max(earlier.c.to_at), sa.func.sum(earlier.c.number),
        sa.func.count(), sa.func.count(earlier.c.number),
    )  # fmt: skip
    with database.transaction() as connection:
        kept = connection.execute(statement.limit(_HOLES)).all()
        rest = connection.execute(together).one() if len(kept) == _HOLES else None
        gone = connection.execute(silent.order_by(writers.c.seen_at).limit(_HOLES)).all()
    several: list[tuple[int, int, int | None, str, str]] = []
    if rest is not None and rest[3]:
        start, end, number, count, counted = rest
        known = int(number) if counted == count else None
        several.append((start, end, known, "several", f"the first {count:,} of more holes"))
    found = [*several, *(tuple(row) for row in kept), *(
        (seen_at, instant(now), None, source, KILLED)
        for seen_at, source in gone
        if is_gone(source, seen_at, instant(now))
    )]  # fmt: skip
    return [
        Hole(
            from_at=moment(from_at), to_at=moment(to_at), number=number, source=source,
            reason=reason,
        )
        for from_at, to_at, number, source, reason in sorted(found, key=itemgetter(0))
    ]  # fmt: skip


def changes(
    database: Database,
    limit: int,
    *,
    since: datetime | None,
    until: datetime | None,
    action: str | None,
    target: str | None,
    by: str | None,
) -> Sequence[ChangeMade]:
    """The latest, at most so many."""
    table = database.tables.changes
    conditions = [
        *([] if since is None else [table.c.at >= instant(since)]),
        *([] if until is None else [table.c.at <= instant(until)]),
        *([] if action is None else [table.c.action == action]),
        *([] if target is None else [table.c.target == target]),
        *([] if by is None else [table.c.by == by]),
    ]
    statement = (
        sa.select(table)
        .where(*conditions)
        .order_by(table.c.at.desc(), table.c.turn.desc())
        .limit(limit)
    )
    with database.transaction() as connection:
        return [_change(row._mapping) for row in connection.execute(statement)]  # noqa: SLF001  # public in SQLAlchemy's docs


def _conditions(table: sa.Table, asked: Asked) -> list[sa.ColumnElement[bool]]:
    column = table.c
    return [
        *([] if asked.message_id is None else [column.message_id == asked.message_id]),
        *([] if asked.id_prefix is None else [
            column.message_id.startswith(asked.id_prefix, autoescape=True)]),
        *_named(column.event_name, asked.event),
        *([] if not asked.what else [column.what.in_([each.value for each in asked.what])]),
        *([] if asked.error_class is None else [column.error_class == asked.error_class]),
        *([] if asked.since is None else [column.at >= instant(asked.since)]),
        *([] if asked.until is None else [column.at <= instant(asked.until)]),
    ]  # fmt: skip


def _named(column: sa.ColumnElement[Any], event: str | None) -> list[sa.ColumnElement[bool]]:
    if event is None or event == "*":
        return []
    if event.endswith(".*"):
        # What sorts between "orders." and "orders/", in whatever order the database has.
        return [column.startswith(event[:-1], autoescape=True)]
    return [column == event]


def _entry(row: Any) -> Entry:
    return Entry(
        at=moment(row.at),
        message_id=row.message_id,
        event_name=row.event_name,
        what=What(row.what),
        attempt=row.attempt,
        due_at=None if row.due_at is None else datetime.fromisoformat(row.due_at),
        next_at=None if row.next_at is None else datetime.fromisoformat(row.next_at),
        lateness=None if row.lateness is None else timedelta(seconds=row.lateness),
        error_class=row.error_class,
        error=row.error,
        receipt=row.receipt,
        detail=row.detail,
        source=row.source,
    )


def _change(row: Any) -> ChangeMade:
    facts = {name: each for name, each in row.items() if name != "turn"}
    for name in ("at", "ended_at"):
        facts[name] = None if facts[name] is None else moment(facts[name])
    facts["filter"] = None if facts["filter"] is None else json.loads(facts["filter"])
    facts["details"] = json.loads(facts["details"] or "{}")
    return ChangeMade(**facts)
