"""How SQLite goes about the statements: by an index at each step, however much is stored."""

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Self

import pytest

from duly import Filter, State
from duly.message import UNREADABLE
from duly_sqlite import listing, sql, sql_ahead
from duly_sqlite.file import writer

MOMENT = datetime(2030, 1, 1, tzinfo=UTC)
STATEMENTS = {
    name: text
    for name, text in (*vars(sql).items(), *vars(sql_ahead).items())
    if isinstance(text, str)
    and text.startswith(("SELECT", "DELETE", "UPDATE", "INSERT"))
    and not name.startswith(("LIST_", "_", "OUR_TABLES"))
}
FILTERS = [
    Filter(event_name=name, state=state, before=before, after=after, limit=10)
    for name, state, before, after in itertools.product(
        [None, "event", UNREADABLE], [None, *State], [None, MOMENT], [None, MOMENT]
    )
]


GROUPED = {"OVERDUE"}  # what these sort has a limit of its own


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(writer(tmp_path_factory.mktemp("plans") / "orders.db")) as connection:
        yield connection


def plan(db: sqlite3.Connection, statement: str, parameters: Sequence[Any]) -> list[str]:
    return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]


class Explaining(sqlite3.Cursor):
    """Keeps the plan of what it is told to execute."""

    plan: list[str]

    def execute(self, statement: str, parameters: Any = ()) -> Self:
        self.plan = plan(self.connection, statement, parameters)
        super().execute(statement, parameters)
        return self


def scans(plan: list[str]) -> list[str]:
    """The steps that look at every message."""
    return [step for step in plan if "SCAN duly_messages" in step and "USING" not in step]


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_looks_at_every_message(db: sqlite3.Connection, name: str) -> None:
    found = plan(db, STATEMENTS[name], [None] * STATEMENTS[name].count("?"))
    assert scans(found) == []
    if name not in GROUPED:
        assert "USE TEMP B-TREE" not in " ".join(found)


def test_counting_reads_no_message(db: sqlite3.Connection) -> None:
    found = [step for step in plan(db, sql.STATS, [0, 0]) if "duly_messages_dead" in step]
    assert all("USING COVERING INDEX" in step for step in found)
    assert found


@pytest.mark.parametrize("filter", FILTERS, ids=str)
@pytest.mark.parametrize("from_key", [None, (MOMENT, "a")], ids=["first", "next"])
def test_a_page_costs_a_page(
    db: sqlite3.Connection, filter: Filter, from_key: tuple[datetime, str] | None
) -> None:
    cursor = Explaining(db)
    assert listing.list_(cursor, filter, from_key) == []
    assert scans(cursor.plan) == []
    if filter.state is not State.CLAIMED:  # which are few, and sorted
        assert "USE TEMP B-TREE" not in " ".join(cursor.plan)
    elif filter.event_name != UNREADABLE:
        assert any("INTEGER PRIMARY KEY" in step for step in cursor.plan)
    if from_key is not None and filter.state is not State.CLAIMED:
        assert any("(scheduled_at" in step for step in cursor.plan)
