"""What every peer goes through: the same trials, each on an emptied server, none without an end."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import attrs

from benchmarks.peers.team import Team

__all__ = ["TRIALS", "Load", "Trial"]

_LEAD: Final = 3.0  # seconds, more than it takes to store all, until the first job is due
_SLACK: Final = 2.5  # times as long as it took to store as many with no worker beside
_QUIET: Final = 3.0  # seconds after which nothing is left to do


@attrs.frozen
class Load:
    """How much there is to do, and how long it may take.

    ``late`` jobs are due ``step`` seconds apart; ``idle`` is how many seconds an idle worker is
    watched, ``patience`` how many it has to run all that is due, and ``limit`` how many a trial may
    take in all, before it is given up.
    """

    jobs: int
    late: int
    step: float
    idle: float
    patience: float
    limit: float


Served = Callable[[float], Awaitable[float]]
Trial = Callable[[Team, Load, float, Served], Awaitable[Mapping[str, Any]]]
"""Called with the jobs a second that a peer was seen to store, 0 in the first trial."""


async def _schedule(team: Team, load: Load, _rate: float, _served: Served) -> Mapping[str, Any]:
    seconds, _ = await team.schedule(load.jobs, lead=86_400)
    return {"schedule": load.jobs / seconds}


async def _drain(team: Team, load: Load, rate: float, _served: Served) -> Mapping[str, Any]:
    """The rate counts from the first run on: what passes before that is lateness."""
    await _until_due(team, load, rate)
    if not await team.ran(load.jobs, within=load.patience):
        raise RuntimeError(f"{_different(team):,} of {load.jobs:,} ran in {load.patience:g} s")
    moments = sorted(run.at for run in team.runs())
    return {"drain": (len(moments) - 1) / (moments[-1] - moments[0])}


async def _late(team: Team, load: Load, rate: float, served: Served) -> Mapping[str, Any]:
    """Milliseconds, sorted; then what the same worker asks of the server when nothing is left."""
    await team.work()
    await team.ready()
    lead = _LEAD + _SLACK * load.late / rate
    _, due = await team.schedule(load.late, lead=lead, step=load.step)
    _check(due)
    if not await team.ran(load.late, within=lead + load.late * load.step + load.patience):
        raise RuntimeError(f"{_different(team):,} of {load.late:,} ran")
    late = sorted(round((run.at - run.due) * 1000, 3) for run in team.runs())
    await asyncio.sleep(_QUIET)
    return {"late": late, "idle": await served(load.idle)}


async def _crash(team: Team, load: Load, rate: float, _served: Served) -> Mapping[str, Any]:
    """The worker is killed when a fifth has run; another one is started at once."""
    await _until_due(team, load, rate)
    if not await team.ran(load.jobs // 5, within=load.patience):
        raise RuntimeError(f"{_different(team):,} of {load.jobs:,} ran, none was killed")
    await team.kill()
    died, before = time.time(), _different(team)
    if before >= load.jobs:
        raise RuntimeError("all had run before the worker could be killed")
    await team.work()
    whole = await team.ran(load.jobs, within=load.patience)
    runs = team.runs()
    different = len({run.number for run in runs})
    return {
        "before": before,
        "lost": load.jobs - different,
        "twice": len(runs) - different,
        "recovery": max(run.at for run in runs) - died if whole else None,
    }


async def _until_due(team: Team, load: Load, rate: float) -> None:
    """Sleep until all the jobs are due at once, which a worker that is ready waits for.

    Raises:
        RuntimeError: they could not be stored in time.
    """
    await team.work()
    await team.ready()
    _, due = await team.schedule(load.jobs, lead=_LEAD + _SLACK * load.jobs / rate)
    _check(due)
    await asyncio.sleep(due - time.time())


def _check(due: float) -> None:
    if time.time() > due:
        raise RuntimeError("jobs were due before all were stored")


def _different(team: Team) -> int:
    return len({run.number for run in team.runs()})


TRIALS: Final[Mapping[str, Trial]] = {
    "schedule": _schedule,
    "drain": _drain,
    "lateness": _late,
    "crash": _crash,
}
