"""RQ on Redis, with its simple worker, which does not fork for each job.

It keeps due times in whole seconds, cut off.
"""

import math
from collections.abc import Iterator

from journal import SERVER, main, moment, note
from redis import Redis
from rq import Queue, SimpleWorker

connection = Redis.from_url(SERVER)
queue = Queue(connection=connection)


def schedule(moments: Iterator[float]) -> None:
    for number, due in enumerate(moments):
        queue.enqueue_at(moment(math.ceil(due)), note, number, due, result_ttl=0)


def work() -> None:
    SimpleWorker([queue], connection=connection).work(with_scheduler=True, logging_level="ERROR")


if __name__ == "__main__":
    main(schedule, work)
