"""dramatiq on Redis; what is delayed waits in the memory of a worker."""

import math
import subprocess
import sys
import time
from collections.abc import Iterator

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from journal import SERVER, main, note

dramatiq.set_broker(RedisBroker(url=SERVER))


@dramatiq.actor(actor_name="job", max_retries=0)
def job(number: int, due: float) -> None:
    note(number, due)


def schedule(moments: Iterator[float]) -> None:
    for number, due in enumerate(moments):
        wait = max(0, math.ceil((due - time.time()) * 1000))
        job.send_with_options(args=(number, due), delay=wait)


def work() -> None:
    command = [sys.executable, "-m", "dramatiq", "peer_dramatiq", "-p", "1", "-t", "8"]
    subprocess.Popen(command).wait()


if __name__ == "__main__":
    main(schedule, work)
