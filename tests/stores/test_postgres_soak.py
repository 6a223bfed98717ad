"""Very many messages: what one costs stays what it was, however many came before or wait beside.

What it costs is told in blocks that the server looks at, not in time.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from itertools import count

import pytest
from tests.servers.postgres import PostgresServer
from tests.stores.postgres_kit import Place
from tests.stores.test_postgres_plans import fill

from duly import Message, after
from duly.store import Group, Settle
from duly_postgres import PostgresStore

pytestmark = pytest.mark.slow

BATCH = 500
LEASE = timedelta(minutes=5)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    settings = ("autovacuum_naptime=1s", "synchronous_commit=off", "max_wal_size=1GB")
    with PostgresServer(*settings) as server:
        yield Place(server.url)


class Turnover:
    """Messages that come in and go out, batch by batch."""

    def __init__(self, place: Place, store: PostgresStore) -> None:
        self._place = place
        self._store = store
        self._settle: list[Settle] = []
        self._numbers = count()

    async def run(self, batches: int) -> float:
        """Store so many batches and deliver them; blocks looked at for each message."""
        before = await self.blocks()
        for _ in range(batches):
            number = next(self._numbers)
            moment = after(seconds=-1)
            messages = [
                Message(f"event-{n % 7}", bytes(100), id=f"{number}-{n}", scheduled_at=moment)
                for n in range(BATCH)
            ]
            assert await self._store.put([Group(messages)]) == [None]
            assert len(await self.claim()) == BATCH
        return (await self.blocks() - before) / (batches * BATCH)

    async def claim(self) -> Sequence[str]:
        batch = await self._store.claim(limit=BATCH, lease=LEASE, owner="soak", settle=self._settle)
        assert all(batch.settled)
        self._settle = [] if batch.token is None else [Settle(batch.token)]
        return [each.message.id for each in batch.claims]

    async def blocks(self) -> int:
        """How many were looked at so far, which each connection tells when it is asked to."""
        for connections in (self._store._desk.callers, self._store._desk.schedulers):
            await connections.run(lambda db: db.fetch("SELECT pg_stat_force_next_flush()"))
        async with self._place.connection() as connection:
            blocks = await connection.fetchval(
                "SELECT sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read) "
                f"FROM pg_statio_user_tables WHERE relname LIKE '{self._place.table}%'"
            )
        return int(blocks)


async def megabytes(place: Place) -> float:
    (row,) = await place.fetch(
        "SELECT sum(pg_total_relation_size(oid)) / 1e6 AS size FROM pg_class "
        "WHERE relkind = 'r' AND relname LIKE '{t}%'"
    )
    return float(row["size"])


async def test_six_hundred_thousand_in_and_out(place: Place) -> None:
    async with place.opened() as store:
        turnover = Turnover(place, store)
        costs, sizes = [], []
        for _ in range(6):
            costs.append(await turnover.run(100_000 // BATCH))
            sizes.append(await megabytes(place))
    assert max(costs[1:]) < 2 * costs[0]
    assert sizes[-1] < 2 * max(sizes[:2])


async def test_a_reader_that_holds_an_old_snapshot(place: Place) -> None:
    async with place.opened() as store:
        turnover = Turnover(place, store)
        await turnover.run(20)
        async with place.connection() as reader, reader.transaction(isolation="repeatable_read"):
            await reader.execute(f"SELECT FROM {place.table} LIMIT 1")
            await fill_due(place, 200_000)
            first = await cost(turnover, 40)
            await cost(turnover, 300)
            last = await cost(turnover, 40)
    assert last < 2 * first


async def cost(turnover: Turnover, batches: int) -> float:
    """Blocks for each message of a backlog that is drained."""
    before = await turnover.blocks()
    for _ in range(batches):
        assert len(await turnover.claim()) == BATCH
    return (await turnover.blocks() - before) / (batches * BATCH)


async def fill_due(place: Place, number: int) -> None:
    async with place.connection() as connection:
        await fill(connection, place, number, "now() - interval '1 hour'")


async def test_a_million_that_are_not_due(place: Place) -> None:
    async with place.opened() as store:
        turnover = Turnover(place, store)
        costs = []
        for future in (10_000, 990_000):
            async with place.connection() as connection:
                await fill(connection, place, future, f"now() + interval '{future} minutes'")
            costs.append(await turnover.run(100))
        stats = await store.stats()
        assert stats.scheduled == 1_000_000
    assert costs[1] < 1.5 * costs[0]
