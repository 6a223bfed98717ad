"""How PostgreSQL looks between two moments: what it costs is by what it finds."""

import json
from typing import Any

import asyncpg
from tests.stores.postgres_kit import place
from tests.stores.test_postgres_plans import MANY, blocks, direct, fill, scans, steps

from duly_postgres import sql_ahead

__all__ = ["direct", "place"]


async def looked(connection: asyncpg.Connection, place: Any, limit: int) -> dict[str, Any]:
    """The plan by which it looked an hour ahead, with what that cost."""
    await connection.execute(f"PREPARE asked AS {place.names(sql_ahead.BETWEEN)}")
    try:
        found = await connection.fetchval(
            "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) "
            f"EXECUTE asked (false, now() + '1 hour', now() + '2 hours', {limit})"
        )
    finally:
        await connection.execute("DEALLOCATE asked")
    explained: dict[str, Any] = json.loads(found)[0]["Plan"]
    return explained


async def test_it_reads_no_more_of_the_line_than_it_finds(
    direct: asyncpg.Connection, place: Any
) -> None:
    await fill(direct, place, 500, "now() + interval '90 minutes'")
    few = await looked(direct, place, 100)
    await fill(direct, place, MANY, "now() + interval '1 minute'")
    await fill(direct, place, MANY, "now() + interval '91 minutes'")
    await fill(direct, place, MANY, "now() + interval '1 day'")
    many = await looked(direct, place, 100)
    assert many["Actual Rows"] == few["Actual Rows"] == 100
    assert not {"Sort", "Bitmap Heap Scan"} & {step["Node Type"] for step in steps(many)}
    assert scans(many, place) == []
    assert blocks(many) < 2 * blocks(few)
