"""APScheduler 3 with its jobs in Redis."""

from urllib.parse import urlsplit

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.redis import RedisJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.blocking import BlockingScheduler
from journal import SERVER, main, moment, note


def _options() -> dict[str, object]:
    url = urlsplit(SERVER)
    return {
        "jobstores": {"default": RedisJobStore(host=url.hostname, port=url.port)},
        "executors": {"default": ThreadPoolExecutor(20)},
        "job_defaults": {"misfire_grace_time": None},
        "timezone": "UTC",
    }


def schedule(moments: list[float]) -> None:
    scheduler = BackgroundScheduler(**_options())
    scheduler.start(paused=True)
    for number, due in enumerate(moments):
        scheduler.add_job(note, "date", run_date=moment(due), args=(number, due))
    scheduler.shutdown()


def work() -> None:
    BlockingScheduler(**_options()).start()


if __name__ == "__main__":
    main(schedule, work)
