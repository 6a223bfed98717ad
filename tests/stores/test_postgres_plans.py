"""How PostgreSQL goes about the statements: by an index at each step, however much is stored."""

import itertools
import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from tests.stores.postgres_kit import Place, place

from duly import Filter, State
from duly.message import UNREADABLE
from duly_postgres import (
    sql_ahead,
    sql_claiming,
    sql_lines,
    sql_passing,
    sql_putting,
    sql_series,
    sql_settling,
    sql_sharing,
    sql_storing,
)
from duly_postgres.connector import SETTINGS
from duly_postgres.listing import statement_for
from duly_postgres.names import Names

__all__ = ["place"]

MOMENT = datetime(2030, 1, 1, tzinfo=UTC)
STATEMENTS = {
    name: getattr(module, name)
    for module in (
        sql_ahead,
        sql_claiming,
        sql_lines,
        sql_passing,
        sql_putting,
        sql_series,
        sql_settling,
        sql_sharing,
        sql_storing,
    )
    for name in module.__all__
    if name not in ("GIVEN_COLUMNS", "DECLARED_COLUMNS", "KEPT_COLUMNS", "IN_LEASES", "STATE")
    and name != "from_json"
    and not name.startswith("LISTED")
}
FILTERS = [
    Filter(event_name=name, state=state, before=before, after=since, limit=10)
    for name, state, before, since in itertools.product(
        [None, "event", UNREADABLE], [None, *State], [None, MOMENT], [None, MOMENT]
    )
]
MANY = 20_000
# By the ends of their names: the first columns of indexes.
FIRST = {
    "pkey": r"\bkey\b", "id_key": r"\bid\b", "due_pkey": r"\bsuspect\b",
    "event_name_idx": r"\bevent_name\b", "time_idx": r"\bscheduled_at\b", "dead_idx": "",
    "declared_idx": r"\bdeclared_by\b", "series_idx": "", "aside_pkey": r"\bevent_name\b",
    "notes_pkey": r"\bname\b",
}  # fmt: skip


@pytest.fixture
async def direct(place: Place) -> AsyncIterator[asyncpg.Connection]:
    """A connection with the settings that the store makes, over tables that are empty."""
    store = place.store()
    await store.open()
    await store.close()
    connection = await asyncpg.connect(place.url, server_settings=SETTINGS)
    for table in place.tables:
        if not table.endswith("_version"):
            await connection.execute(f"TRUNCATE {table}")
        await connection.execute(f"VACUUM ANALYZE {table}")  # so that it knows how small they are
    yield connection
    await connection.close()


async def fill(connection: asyncpg.Connection, place: Place, count: int, due: str) -> None:
    """Store messages a microsecond apart, the first due at that moment."""
    table = place.table
    await connection.execute(
        f"""
        WITH added AS (
            INSERT INTO {table} (
                due_at, format, id, event_name, payload, scheduled_at, created_at, next_attempt_at
            )
            SELECT at, 1, md5(at::text), 'event-' || n % 7, '', at, now(), at
            FROM generate_series(1, {count}) AS n,
                LATERAL (SELECT {due} + n * interval '1 microsecond' AS at) AS moment
            RETURNING due_at, key
        )
        INSERT INTO {table}_due SELECT false, due_at, key FROM added
        """
    )
    for name in place.tables:
        await connection.execute(f"ANALYZE {name}")


async def plan(connection: asyncpg.Connection, statement: str) -> Any:
    """The plan of a statement prepared once for all arguments; of these all are NULL."""
    count = max([0, *map(int, re.findall(r"\$(\d+)", statement))])
    arguments = f"({', '.join(['NULL'] * count)})" if count else ""
    await connection.execute(f"PREPARE asked AS {statement}")
    try:
        found = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE asked{arguments}")
    finally:
        await connection.execute("DEALLOCATE asked")
    return json.loads(found)[0]["Plan"]


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from steps(part)


def scans(plan: dict[str, Any], place: Place, *also: str) -> Sequence[str]:
    """The steps that look at every message, or at all of the line or of another table.

    An index serves only who knows its first column.
    """
    return [
        f"{step['Node Type']} of {step['Relation Name']} by {step.get('Index Name')}"
        for step in steps(plan)
        if step.get("Relation Name") in (place.table, f"{place.table}_due", *also)
        and step["Node Type"] not in ("ModifyTable", "Tid Scan")
        and not re.search(FIRST.get(end_of(step), "never"), step.get("Index Cond", ""))
    ]


def end_of(step: dict[str, Any]) -> str:
    """The name of the index that a step goes by, without that of the table."""
    return str(step.get("Index Name", "")).partition("_")[2].partition("_")[2]


@pytest.mark.parametrize("name", sorted(STATEMENTS))
async def test_no_statement_looks_at_every_message(
    direct: asyncpg.Connection, place: Place, name: str
) -> None:
    found = await plan(direct, place.names(STATEMENTS[name]))
    looked = scans(found, place, f"{place.table}_aside", f"{place.table}_notes")
    if name in ("STATS", "IN_SPANS"):  # counts what waits and dead letters by indexes
        assert all(step.startswith("Index Only Scan") for step in looked)
    else:
        assert looked == []


@pytest.mark.parametrize("from_key", [None, (MOMENT, "a")], ids=["first", "next"])
async def test_a_page_costs_a_page(
    direct: asyncpg.Connection, place: Place, from_key: tuple[datetime, str] | None
) -> None:
    await fill(direct, place, 2000, "now()")
    for filter, within in itertools.product(FILTERS, [False, True]):
        statement, _ = statement_for(filter, from_key, within=within)
        found = await plan(direct, place.names(statement))
        kinds = {step["Node Type"] for step in steps(found)}
        if filter.state is not State.CLAIMED:  # which are few, and sorted
            assert not {"Sort", "Hash Join", "Merge Join", "Bitmap Heap Scan"} & kinds, filter
            of_table = [each for each in steps(found) if each.get("Relation Name") == place.table]
            assert from_key is None or "scheduled_at" in of_table[0]["Index Cond"], filter
        elif filter.event_name != UNREADABLE:  # which are never claimed
            assert scans(found, place) == [], filter


async def test_a_plan_made_for_empty_tables_is_good_for_full_ones(
    direct: asyncpg.Connection, place: Place
) -> None:
    before = await plan(direct, place.names(sql_claiming.TAKE))
    await fill(direct, place, MANY, "now() + interval '1 day'")
    after = await plan(direct, place.names(sql_claiming.TAKE))
    assert [step["Node Type"] for step in steps(before)] == [
        step["Node Type"] for step in steps(after)
    ]


async def test_without_its_settings_it_looks_at_no_table_either(place: Place) -> None:
    """As behind a pooler, where each statement is planned anew for its arguments."""
    store = place.store()
    await store.open()
    connection = await asyncpg.connect(place.url)
    await fill(connection, place, MANY, "now()")
    explained = await claimed(connection, place, limit=100)
    assert scans(explained, place) == []
    await connection.close()
    await store.close()


async def claimed(
    connection: asyncpg.Connection, place: Place, *, limit: int, since: str = "0001-01-01"
) -> dict[str, Any]:
    """The plan by which a claim was carried out, with what it cost."""
    arguments = (
        f"NULL, '{{}}', {limit}, '{since}', '0001-01-01', gen_random_uuid()::text, '1 minute', "
        "'test', true, false"
    )
    await connection.execute(f"PREPARE asked AS {place.names(sql_claiming.TAKE)}")
    try:
        found = await connection.fetchval(
            f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE asked ({arguments})"
        )
    finally:
        await connection.execute("DEALLOCATE asked")
    explained: dict[str, Any] = json.loads(found)[0]["Plan"]
    return explained


def blocks(plan: dict[str, Any]) -> int:
    """How many blocks of 8 KiB it looked at."""
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


class TestMuch:
    """Beside very many messages."""

    async def test_a_claim_costs_what_it_claims(
        self, direct: asyncpg.Connection, place: Place
    ) -> None:
        await fill(direct, place, 500, "now() - interval '1 hour'")
        few = await claimed(direct, place, limit=100)
        await fill(direct, place, MANY, "now() + interval '1 day'")
        many = await claimed(direct, place, limit=100)
        assert blocks(many) < 2 * blocks(few)

    async def test_a_mark_keeps_claims_flat_beside_an_old_snapshot(
        self, direct: asyncpg.Connection, place: Place
    ) -> None:
        """Which keeps all that was taken in the index, for who looks from the start."""
        await fill(direct, place, MANY, "now() - interval '1 hour'")
        async with place.connection() as reader, reader.transaction(isolation="repeatable_read"):
            await reader.execute(f"SELECT FROM {place.table} LIMIT 1")
            first = await claimed(direct, place, limit=100)
            await claimed(direct, place, limit=MANY - 1000)
            left = f"SELECT min(due_at)::text FROM {place.table}_due"
            marked = await claimed(direct, place, limit=100, since=await direct.fetchval(left))
            unmarked = await claimed(direct, place, limit=100)
        assert blocks(marked) < blocks(first) + 50
        assert blocks(marked) < blocks(unmarked) - 100


def test_names_are_filled_in_once() -> None:
    names = Names("orders", "shop")
    assert names("SELECT FROM {due}") == 'SELECT FROM "shop"."orders_due"'
    assert names("SELECT FROM {due}") is names("SELECT FROM {due}")
