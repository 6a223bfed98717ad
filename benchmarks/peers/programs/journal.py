"""What a job does in every peer: note that it ran. Stands alone, for the peers' own environments.

``main(schedule, work)`` makes a program of a peer: ``peer.py schedule COUNT DUE STEP`` stores jobs
that are due from the moment DUE on, in seconds since 1970, STEP seconds apart, and prints how many
seconds that took; ``peer.py work`` runs a worker until it is told to end. The server's URL stands
in ``SERVER``, the file to note runs in in ``JOURNAL``.
"""

import os
import struct
import sys
import time
from collections.abc import Callable
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


def main(schedule: Callable[[list[float]], None], work: Callable[[], None]) -> None:
    """Do what the command line says."""
    if sys.argv[1] == "work":
        work()
        return
    count, due, step = int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    moments = [due + number * step for number in range(count)]
    start = time.perf_counter()
    schedule(moments)
    print(time.perf_counter() - start, flush=True)
