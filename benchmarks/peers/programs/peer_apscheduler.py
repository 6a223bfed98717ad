"""APScheduler 3 with its jobs in Redis.

It does not notice what another process schedules until it looks at its store anyway; a job of its
own, in memory, makes it look each second.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.jobstores.redis import RedisJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.blocking import BlockingScheduler
from journal import SERVER, main, moment, note


def _options() -> dict[str, object]:
    url = urlsplit(SERVER)
    return {
        "jobstores": {
            "default": RedisJobStore(host=url.hostname, port=url.port),
            "memory": MemoryJobStore(),
        },
        "executors": {"default": ThreadPoolExecutor(20)},
        "job_defaults": {"misfire_grace_time": None},
        "timezone": "UTC",
    }


def schedule(moments: Iterator[float]) -> None:
    scheduler = BackgroundScheduler(**_options())
    scheduler.start(paused=True)
    for number, due in enumerate(moments):
        scheduler.add_job(note, "date", run_date=moment(due), args=(number, due))
    scheduler.shutdown()


def work() -> None:
    scheduler = BlockingScheduler(**_options())
    scheduler.add_job(_look, "interval", seconds=1, jobstore="memory")
    scheduler.start()


def _look() -> None:
    """Do nothing: the store is looked at whenever anything is due."""


if __name__ == "__main__":
    main(schedule, work)
