"""Which process this is, and whether another one of this host still lives."""

import os
import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import attrs

__all__ = ["Process", "lives", "moment_of_start", "this_process"]

_PROC: Final = Path("/proc")
_STARTED: Final = 18  # the place of the start among what follows the state of a process, from 0
_NEVER: Final = -1  # of one that is dead, though its parent has not asked for it yet


@attrs.frozen
class Process:
    """A process: its number among those of ``table``, and when it started there.

    ``started`` counts ticks of the clock since the host was booted. ``table`` tells one boot of a
    host, and one container on it, from others: a number means another process in each. Both are
    None where the system does not tell (it is no Linux).
    """

    host: str
    pid: int
    started: int | None
    table: str | None


def this_process() -> Process:
    """The process that asks."""
    pid = os.getpid()
    return Process(socket.gethostname(), pid, _start_of(pid), _table())


def lives(process: Process) -> bool | None:
    """Whether a process is there; None: that cannot be told from here.

    It can be told in the container, or on the host without any, in which the process runs.
    """
    if os.name != "posix" or process.host != socket.gethostname() or process.table != _table():
        return None
    started = None if process.started is None else _start_of(process.pid)
    return _is_there(process.pid) if started is None else started == process.started


def moment_of_start(process: Process) -> datetime | None:
    """When this process started, by this host's clock; None where the system does not tell."""
    if process.started is None:
        return None
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - process.started / os.sysconf("SC_CLK_TCK")
    return datetime.now(UTC) - timedelta(seconds=age)


def _start_of(pid: int) -> int | None:
    """When a process started, in ticks since the boot; None where nobody tells."""
    try:
        told = (_PROC / str(pid) / "stat").read_text(errors="replace")
        state, *rest = told.rpartition(")")[2].split()  # a name may hold anything
        return _NEVER if state in "ZX" else int(rest[_STARTED])
    except (OSError, ValueError, IndexError):
        return None


def _table() -> str | None:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return None


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True
