"""procrastinate on PostgreSQL."""

import asyncio
from collections.abc import Iterator

import procrastinate
from journal import SERVER, main, moment, note

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=SERVER))


@app.task(name="job")
async def job(number: int, due: float) -> None:
    note(number, due)


def schedule(moments: Iterator[float]) -> None:
    async def run() -> None:
        async with app.open_async():
            if not await app.check_connection_async():
                await app.schema_manager.apply_schema_async()
            for number, due in enumerate(moments):
                await job.configure(schedule_at=moment(due)).defer_async(number=number, due=due)

    asyncio.run(run())


def work() -> None:
    async def run() -> None:
        async with app.open_async():
            await app.run_worker_async(concurrency=100, delete_jobs="successful")

    asyncio.run(run())


if __name__ == "__main__":
    main(schedule, work)
