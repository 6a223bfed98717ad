"""Python's task queues and duly: delayed jobs that do nothing, on the same servers."""

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.lateness import Lateness
from benchmarks.peers.environments import PEERS, NotInstalled, Peer, python_of
from benchmarks.peers.team import Team
from benchmarks.section import Section
from benchmarks.servers import Servers

__all__ = ["peers"]

_SCHEDULED: Final = 2000
_DRAINED: Final = 10_000
_LATE: Final = 300  # over half a minute
_STEP: Final = 0.1  # seconds
_WARM: Final = 6.0  # seconds in which a worker is ready
_PATIENCE: Final = 180.0
_IDLE: Final = 10.0
_GOAL: Final = 5.0  # times the best of the others

OURS: Final = (
    Peer("duly, Redis", "peer_duly.py", "redis", []),
    Peer("duly, PostgreSQL", "peer_duly.py", "postgres", []),
)


async def peers(servers: Servers, chosen: Sequence[str], folder: Path) -> Section:
    """Each peer in turn, on a server that nobody else uses."""
    section = Section(
        "Peers",
        f"Delayed jobs that do nothing but note their run. Schedule: {_SCHEDULED:,}, one by one. "
        f"Drain: {_DRAINED:,} due at one instant, one worker. Lateness: {_LATE} over 30 s, default "
        f"polling. Idle: commands or transactions of the server. Crash: `kill -9` of the worker "
        f"after 2,000 of {_DRAINED:,}, another one at once; jobs lost, run twice, and the seconds "
        f"until all had run, {_PATIENCE:g} at most.",
        ["queue", "server", "settings", "schedule/s", "drain/s", "p50 ms", "p99 ms", "early",
         "idle/s", "lost", "twice", "recovery"],
    )  # fmt: skip
    for peer in (*OURS, *PEERS):
        if chosen and peer.name not in chosen:
            continue
        print(f"  {peer.name} ...", flush=True)
        found: Mapping[str, Any]
        try:
            found = await _measure(peer, servers, folder)
        except (NotInstalled, RuntimeError) as error:
            found = {"trouble": str(error)}
        section.add(*_row(peer, found), peer=peer.name, **found)
    _judge(section)
    return section


async def _measure(peer: Peer, servers: Servers, folder: Path) -> dict[str, Any]:
    python = Path(sys.executable) if peer in OURS else await python_of(peer, folder)
    found: dict[str, Any] = {}
    async with _team(peer, python, servers) as team:
        found["schedule"] = _SCHEDULED / await team.schedule(_SCHEDULED, time.time() + 3600)
    async with _team(peer, python, servers) as team:
        found["drain"] = await _drain(team)
    async with _team(peer, python, servers) as team:
        found["late"] = await _late(team)
        before = await servers.served(peer.server)
        await asyncio.sleep(_IDLE)
        found["idle"] = (await servers.served(peer.server) - before) / _IDLE
    async with _team(peer, python, servers) as team:
        found |= await _crash(team)
    return found


@contextlib.asynccontextmanager
async def _team(peer: Peer, python: Path, servers: Servers) -> AsyncIterator[Team]:
    """At work on an empty server."""
    url = await servers.emptied(peer.server)
    with tempfile.TemporaryDirectory() as folder:
        team = Team(python, peer.program, url, Path(folder) / "journal")
        try:
            yield team
        finally:
            await team.kill()


async def _filled(team: Team) -> float:
    """When a load is due that is stored by then, with a worker that waits for it."""
    pace = await team.schedule(100, time.time() + 86_400) / 100
    due = time.time() + _WARM + 1.5 * pace * _DRAINED
    await team.schedule(_DRAINED, due)
    await asyncio.sleep(max(0.0, due - time.time() - _WARM))
    await team.work()
    return due


async def _drain(team: Team) -> float | None:
    due = await _filled(team)
    if not await team.ran(_DRAINED, within=due - time.time() + _PATIENCE):
        return None
    return _DRAINED / (max(run.at for run in team.runs()) - due)


async def _late(team: Team) -> Sequence[float]:
    """Milliseconds, sorted."""
    await team.work()
    await asyncio.sleep(_WARM)
    await team.schedule(_LATE, time.time() + 3, _STEP)
    await team.ran(_LATE, within=_LATE * _STEP + 60)
    return sorted(round((run.at - run.due) * 1000, 3) for run in team.runs())


async def _crash(team: Team) -> dict[str, Any]:
    due = await _filled(team)
    await team.ran(_DRAINED // 5, within=due - time.time() + _PATIENCE)
    await team.kill()
    died = time.time()
    await team.work()
    whole = await team.ran(_DRAINED, within=_PATIENCE)
    runs = team.runs()
    different = {run.number for run in runs}
    return {
        "lost": _DRAINED - len(different),
        "twice": len(runs) - len(different),
        "recovery": max(run.at for run in runs) - died if whole else None,
    }


def _row(peer: Peer, found: Mapping[str, Any]) -> Sequence[str]:
    if "trouble" in found:
        return [peer.name, peer.server, f"not measured: {found['trouble']}", *[""] * 9]
    late = Lateness(found["late"])
    drain, recovery = found["drain"], found["recovery"]
    return [
        peer.name, peer.server, peer.settings, f"{found['schedule']:,.0f}",
        "not in time" if drain is None else f"{drain:,.0f}",
        *(f"{late.at(share):,.1f}" if late.values else "none ran" for share in (0.5, 0.99)),
        str(late.early), f"{found['idle']:.1f}", str(found["lost"]), str(found["twice"]),
        "not in time" if recovery is None else f"{recovery:.1f} s",
    ]  # fmt: skip


def _judge(section: Section) -> None:
    names = {peer.name for peer in OURS}
    for ours in section.data:
        if ours["peer"] not in names or not ours.get("drain"):
            continue
        server = next(peer.server for peer in OURS if peer.name == ours["peer"])
        same = {peer.name for peer in PEERS if peer.server == server}
        others = [each for each in section.data if each["peer"] in same and each.get("drain")]
        if others:
            best = max(others, key=lambda each: float(each["drain"]))
            times = ours["drain"] / best["drain"]
            if times < _GOAL:
                section.short.append(
                    f"{ours['peer']} drains {times:.1f} times as fast as {best['peer']}, goal 5"
                )
