"""What a job does in every peer: note that it ran. Stands alone, for the peers' own environments.

``main(schedule, work)`` makes a program of a peer. ``peer.py schedule COUNT LEAD STEP`` stores jobs
that are due STEP seconds apart, the first one LEAD seconds after it was asked for, and prints how
many seconds it took until all were stored, and when the first one is due, in seconds since 1970.
``peer.py work`` runs a worker until it is told to end. The server's URL stands in ``SERVER``, the
file to note runs in in ``JOURNAL``.
"""

import os
import struct
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone

SERVER = os.environ.get("SERVER", "")
LINE = struct.Struct("<qdd")  # number of the job, when it was due, when it ran
_FILES: dict[int, int] = {}  # by process: a worker may fork


def note(number: int, due: float) -> None:
    """The job itself."""
    pid = os.getpid()
    if pid not in _FILES:
        _FILES[pid] = os.open(os.environ["JOURNAL"], os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(_FILES[pid], LINE.pack(number, due, time.time()))


def moment(due: float) -> datetime:
    """A moment as most peers want it: aware, in UTC."""
    return datetime.fromtimestamp(due, timezone.utc)  # noqa: UP017  # as old a Python as a peer needs


def main(schedule: Callable[[Iterator[float]], None], work: Callable[[], None]) -> None:
    """Do what the command line says."""
    if sys.argv[1] == "work":
        work()
        return
    count, lead, step = int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    schedule(_moments(count, lead, step))


def _moments(count: int, lead: float, step: float) -> Iterator[float]:
    """One after the other, as each has been stored."""
    start, due = time.perf_counter(), time.time() + lead
    for number in range(count):
        yield due + number * step
    print(time.perf_counter() - start, due, flush=True)
