"""taskiq on Redis: a scheduler process that sends what is due, and a worker.

The scheduler sees what is new when it reads its schedules again, each minute by default: here it
does so each second. Streams are the broker that acknowledges.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator

from journal import SERVER, main, moment, note
from taskiq import TaskiqScheduler
from taskiq_redis import ListRedisScheduleSource, RedisStreamBroker

broker = RedisStreamBroker(SERVER)
source = ListRedisScheduleSource(SERVER)
scheduler = TaskiqScheduler(broker, [source])


@broker.task(task_name="job")
async def job(number: int, due: float) -> None:
    note(number, due)


def schedule(moments: Iterator[float]) -> None:
    async def run() -> None:
        await broker.startup()
        await source.startup()
        for number, due in enumerate(moments):
            await job.schedule_by_time(source, moment(due), number, due)
        await source.shutdown()
        await broker.shutdown()

    asyncio.run(run())


def work() -> None:
    commands = (
        ["worker", "peer_taskiq:broker", "--workers", "1", "--max-async-tasks", "1000"],
        ["scheduler", "peer_taskiq:scheduler", "--update-interval", "1"],
    )
    parts = [subprocess.Popen([sys.executable, "-m", "taskiq", *each]) for each in commands]
    for part in parts:
        part.wait()


if __name__ == "__main__":
    main(schedule, work)
