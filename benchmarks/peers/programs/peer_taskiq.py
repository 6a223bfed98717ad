"""taskiq on Redis: a scheduler process that sends what is due, and a worker."""

import asyncio
import subprocess
import sys

from journal import SERVER, main, moment, note
from taskiq import TaskiqScheduler
from taskiq_redis import ListQueueBroker, ListRedisScheduleSource

broker = ListQueueBroker(SERVER)
source = ListRedisScheduleSource(SERVER)
scheduler = TaskiqScheduler(broker, [source])


@broker.task(task_name="job")
async def job(number: int, due: float) -> None:
    note(number, due)


def schedule(moments: list[float]) -> None:
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
        ["scheduler", "peer_taskiq:scheduler"],
    )
    parts = [subprocess.Popen([sys.executable, "-m", "taskiq", *each]) for each in commands]
    for part in parts:
        part.wait()


if __name__ == "__main__":
    main(schedule, work)
