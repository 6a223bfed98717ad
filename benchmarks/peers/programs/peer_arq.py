"""arq on Redis."""

import asyncio
from collections.abc import Iterator
from typing import Any

from arq import create_pool, run_worker
from arq.connections import RedisSettings
from journal import SERVER, main, moment, note


async def job(context: Any, number: int, due: float) -> None:
    note(number, due)


class Settings:
    functions = [job]
    redis_settings = RedisSettings.from_dsn(SERVER)
    max_jobs = 1000
    keep_result = 0


def schedule(moments: Iterator[float]) -> None:
    async def run() -> None:
        pool = await create_pool(Settings.redis_settings)
        for number, due in enumerate(moments):
            await pool.enqueue_job("job", number, due, _defer_until=moment(due))
        await pool.aclose()

    asyncio.run(run())


if __name__ == "__main__":
    main(schedule, lambda: run_worker(Settings))
