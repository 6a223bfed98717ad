"""huey on Redis."""

from collections.abc import Iterator

from huey import RedisHuey
from journal import SERVER, main, moment, note

huey = RedisHuey(url=SERVER, results=False, utc=True)


@huey.task(name="job")
def job(number: int, due: float) -> None:
    note(number, due)


def schedule(moments: Iterator[float]) -> None:
    for number, due in enumerate(moments):
        job.schedule((number, due), eta=moment(due))


def work() -> None:
    huey.create_consumer(workers=8, worker_type="thread").run()


if __name__ == "__main__":
    main(schedule, work)
