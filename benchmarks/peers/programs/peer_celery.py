"""Celery on Redis; what is delayed waits in the memory of a worker."""

from collections.abc import Iterator

from celery import Celery
from journal import SERVER, main, moment, note

app = Celery("peer_celery", broker=SERVER)
app.conf.update(
    task_ignore_result=True, worker_prefetch_multiplier=0, broker_connection_retry_on_startup=True
)


@app.task(name="job")
def job(number: int, due: float) -> None:
    note(number, due)


def schedule(moments: Iterator[float]) -> None:
    for number, due in enumerate(moments):
        job.apply_async((number, due), eta=moment(due))


def work() -> None:
    app.worker_main(["worker", "--concurrency", "2", "--loglevel", "ERROR"])


if __name__ == "__main__":
    main(schedule, work)
