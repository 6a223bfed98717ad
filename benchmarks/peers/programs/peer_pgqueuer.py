"""pgqueuer on PostgreSQL, in batches of BATCH."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from datetime import timedelta

import asyncpg
from journal import SERVER, main, note
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries


async def _queries(connection: asyncpg.Connection) -> Queries:
    queries = Queries(AsyncpgDriver(connection))
    if not await queries.has_table("pgqueuer"):
        await queries.install()
    return queries


def schedule(moments: Iterator[float]) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(SERVER)
        queries = await _queries(connection)
        for number, due in enumerate(moments):
            payload = json.dumps([number, due]).encode()
            wait = timedelta(seconds=max(0.0, due - time.time()))
            await queries.enqueue(["job"], [payload], [0], execute_after=[wait])
        await connection.close()

    asyncio.run(run())


def work() -> None:
    async def run() -> None:
        connection = await asyncpg.connect(SERVER)
        manager = PgQueuer.from_asyncpg_connection(connection)

        @manager.entrypoint("job")
        async def job(found: Job) -> None:
            note(*json.loads(found.payload or b""))

        await manager.run(batch_size=int(os.environ["BATCH"]))

    asyncio.run(run())


if __name__ == "__main__":
    main(schedule, work)
