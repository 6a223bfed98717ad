"""Python's task queues and duly: delayed jobs that do nothing, on the same servers."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs

from benchmarks.lateness import Lateness
from benchmarks.peers.environments import OURS, PEERS, NotInstalled, Peer, python_of, version_of
from benchmarks.peers.team import Team
from benchmarks.peers.trials import TRIALS, Load, Trial
from benchmarks.section import Section
from benchmarks.servers import Servers, Unavailable

__all__ = ["peers"]

_FIRST: Final = "schedule"  # the trial that tells how long all others take to store their jobs
_GOAL: Final = 5.0  # times the best of the others
_UNKNOWN: Final = "-"


async def peers(
    servers: Servers, chosen: Sequence[str], trials: Sequence[str], folder: Path, load: Load
) -> Section:
    """Each trial by each peer in turn, so that what else the machine does weighs on all of them.

    Each on a server that nobody else uses; all peers and all trials when none is chosen.
    """
    section = Section(
        "Peers",
        "Delayed jobs that do nothing but note their run, by one worker of each. Schedule: "
        f"{load.jobs:,}, one by one. Drain: {load.jobs:,} due at one instant, from the first that "
        f"runs to the last. Lateness: {load.late} jobs, {1 / load.step:g} a second, at the peer's "
        "own polling. Idle: commands or transactions of the server a second, over "
        f"{load.idle:g} s. Crash: `kill -9` of the worker when a fifth of {load.jobs:,} had run, "
        f"another one started at once: jobs that did not run in the next {load.patience:g} s, "
        "that ran twice, and the seconds until all had run.",
        ["queue", "server", "how it runs", "schedule/s", "drain/s", "p50 ms", "p99 ms", "early",
         "idle/s", "not run", "twice", "recovery", "remarks"],
    )  # fmt: skip
    entrants = [
        await _entrant(peer, folder)
        for peer in (*OURS, *PEERS)
        if not chosen or peer.name in chosen
    ]
    for name, trial in TRIALS.items():
        if name == _FIRST or not trials or name in trials:
            start = time.monotonic()
            for each in entrants:
                await _tried(each, name, trial, servers, load)
            print(f"  {name}: {time.monotonic() - start:.0f} s", flush=True)
    for each in entrants:
        peer, found, remarks = each.peer, each.found, each.remarks
        section.add(
            *_row(peer, found, remarks, load),
            peer=peer.name, server=peer.server, remarks=remarks, **found,
        )  # fmt: skip
    _judge(section)
    return section


@attrs.define
class _Entrant:
    """A peer, what is known of it so far, and why the rest is not; no Python, no trials."""

    peer: Peer
    python: Path | None = None
    found: dict[str, Any] = attrs.field(factory=dict)
    remarks: list[str] = attrs.field(factory=list)


async def _entrant(peer: Peer, folder: Path) -> _Entrant:
    entrant = _Entrant(peer)
    try:
        python = await python_of(peer, folder)
        entrant.found["version"] = await version_of(peer, python)
        entrant.python = python
    except NotInstalled as error:
        entrant.remarks.append(f"cannot be installed here: {error}")
    return entrant


async def _tried(entrant: _Entrant, name: str, trial: Trial, servers: Servers, load: Load) -> None:
    """Put a peer to a trial, unless it could not even store."""
    peer, python, found, remarks = entrant.peer, entrant.python, entrant.found, entrant.remarks
    if python is None or (name != _FIRST and _FIRST not in found):
        return
    try:
        async with asyncio.timeout(load.limit), _team(peer, python, servers) as team:
            served = partial(servers.served, peer.server)
            found |= await trial(team, load, found.get(_FIRST, 0.0), served)
    except TimeoutError:
        remarks.append(f"{name}: not within {load.limit:g} s")
    except RuntimeError as error:
        remarks.append(f"{name}: {error}")
    except Unavailable as error:
        remarks.append(str(error))
        entrant.python = None


@contextlib.asynccontextmanager
async def _team(peer: Peer, python: Path, servers: Servers) -> AsyncIterator[Team]:
    """On an empty server; nothing of it is left afterwards."""
    url = await servers.emptied(peer.server)
    with tempfile.TemporaryDirectory() as folder:
        team = Team(peer, python, url, Path(folder))
        try:
            await team.schedule(0)  # which makes the tables that a worker wants to find
            yield team
        finally:
            await team.kill()
            await servers.emptied(peer.server)


def _row(peer: Peer, found: Mapping[str, Any], remarks: Sequence[str], load: Load) -> Sequence[str]:
    cells = [f"{found[name]:,.0f}" if name in found else _UNKNOWN for name in ("schedule", "drain")]
    if "late" in found:
        late = Lateness(found["late"])
        cells += [f"{late.at(share):,.1f}" for share in (0.5, 0.99)]
        cells += [str(late.early), f"{found['idle']:.1f}"]
    else:
        cells += [_UNKNOWN] * 4
    if "lost" in found:
        recovery = found["recovery"]
        cells += [f"{found['lost']:,}", f"{found['twice']:,}"]
        cells += [f"not within {load.patience:g} s" if recovery is None else f"{recovery:.1f} s"]
    else:
        cells += [_UNKNOWN] * 3
    told = "; ".join(remarks).replace("|", "/") or _UNKNOWN
    name = f"{peer.name}, {found['version']}" if "version" in found else peer.name
    return [name, peer.server, peer.settings, *cells, told]


def _judge(section: Section) -> None:
    """Five times the best drain on the same server, and later than nobody."""
    names = {peer.name for peer in OURS}
    others = [each for each in section.data if each["peer"] not in names]
    for ours in (each for each in section.data if each["peer"] in names):
        name = ours["peer"]
        drains = {each["peer"]: float(each["drain"]) for each in others
                  if "drain" in each and each["server"] == ours["server"]}  # fmt: skip
        if drains and "drain" in ours:
            best = max(drains, key=lambda each: drains[each])
            times = ours["drain"] / drains[best]
            if times < _GOAL:
                section.short.append(f"{name} drains {times:.1f} x as fast as {best}, goal 5")
        for share in (0.5, 0.99):
            late = {each["peer"]: Lateness(each["late"]).at(share) for each in others
                    if "late" in each}  # fmt: skip
            if late and "late" in ours:
                least = min(late, key=lambda each: late[each])
                own = Lateness(ours["late"]).at(share)
                if own >= late[least]:
                    section.short.append(
                        f"{name}: p{share * 100:.0f} is {own:.1f} ms late, "
                        f"{least} {late[least]:.1f} ms; the goal is less than all others"
                    )
