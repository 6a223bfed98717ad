"""``python -m benchmarks``: measure, write a report, and say what falls short.

Quick by default (under five minutes on a machine that does nothing else); ``--full`` measures more
of it, longer, beside the Python peers too and in a long mixed run, in some 90 minutes. ``--only
drain,idle``, ``--stores sqlite,redis`` and ``--peers arq,Celery`` measure a part.
"""

import argparse
import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import attrs

from benchmarks import pictures, report
from benchmarks.aside import Backlog, aside
from benchmarks.beside import peers
from benchmarks.drain import drained, drained_by_several, scheduled
from benchmarks.functions import functions
from benchmarks.grounds import GROUNDS, Ground, ground
from benchmarks.growth import growth
from benchmarks.history import history
from benchmarks.idle import idle
from benchmarks.lateness import lateness
from benchmarks.machine import machine
from benchmarks.mixed import mixed
from benchmarks.pages import pages
from benchmarks.peers.trials import Load
from benchmarks.section import Section
from benchmarks.servers import Servers, Unavailable
from benchmarks.slow import hanging, slow
from benchmarks.traced import traced
from benchmarks.web import web

Scenario = Callable[[Sequence[Ground]], Awaitable[Section]]


@attrs.frozen
class Size:
    """How much is measured."""

    messages: int
    batches: Sequence[int]
    rounds: int
    rates: Sequence[int]
    seconds: float
    backlogs: Sequence[int]
    growth: Sequence[int]
    peers: Load
    mixed: float
    beside: Sequence[Backlog]
    pages: int


LONG = ("peers", "mixed", "web", "pages")  # measured when asked for by name, or with --full
BESIDE = [
    Backlog(0, 1, 0),
    Backlog(3000, 1, 1, limit=10),
    Backlog(200_000, 1, 0.5),
    Backlog(50_000, 4, 0.5),
    Backlog(50_000, 100, 0.5),
]
QUICK = Size(10_000, [500], 3, [50], 5, [0], [10_000, 50_000],
             Load(2000, late=50, step=0.1, idle=5, patience=15, limit=60), 30,
             BESIDE[:2], 100_000)  # fmt: skip
FULL = Size(30_000, [100, 500, 1000], 3, [50, 1000], 30, [0, 1_000_000],
            [10_000, 100_000, 1_000_000],
            Load(10_000, late=300, step=0.1, idle=10, patience=60, limit=200), 150,
            BESIDE, 1_000_000)  # fmt: skip


def scenarios(size: Size, servers: Servers, asked: argparse.Namespace) -> Mapping[str, Scenario]:
    """By name, in the order of the report."""
    return {
        "drain": lambda all_: drained(all_, size.messages, size.batches, size.rounds),
        "processes": lambda all_: drained_by_several(all_, size.messages, 500, 2),
        "schedule": lambda all_: scheduled(all_, size.messages, size.rounds),
        "functions": lambda all_: functions(all_[0], size.messages, size.rounds),
        "traced": lambda all_: traced(all_[0], size.messages, size.rounds),
        "history": lambda all_: history(all_, size.messages, size.rounds),
        "lateness": lambda all_: lateness(all_, size.rates, size.seconds, size.backlogs),
        "idle": lambda all_: idle(all_, 10),
        "slow": lambda all_: slow(all_[0], [0.005, 0.05], 200, size.rounds),
        "hanging": lambda all_: hanging(all_[0], 5000, size.seconds),
        "aside": lambda all_: aside(all_, size.beside, 300),
        "growth": lambda all_: growth(all_, size.growth, size.messages, 500, size.rounds),
        "web": lambda all_: web(all_, size.messages, size.pages, size.rounds),
        "pages": lambda all_: pages(all_, size.pages, size.pages // 20, 20),
        "peers": lambda _: peers(
            servers, _names(asked.peers), _names(asked.trials), asked.folder / "peers", size.peers
        ),
        "mixed": lambda all_: mixed(all_, size.mixed),
    }


async def measure(asked: argparse.Namespace) -> Sequence[str]:
    """Measure all that is asked for and write the report; the goals that are missed."""
    facts, notes, sections = machine(), list[str](), list[Section]()
    only, folder = _names(asked.only), asked.folder
    async with contextlib.AsyncExitStack() as stack:
        grounds = []
        servers = await stack.enter_async_context(Servers())
        for name in _names(asked.stores):
            try:
                grounds.append(await stack.enter_async_context(ground(name, servers)))
            except Unavailable as error:
                notes.append(f"{name} was left out: {error}")
        notes += [f"{each.name}: {each.settings}" for each in grounds]
        chosen = scenarios(FULL if asked.full else QUICK, servers, asked)
        for name, scenario in chosen.items():
            if name in only or (not only and (asked.full or name not in LONG)):
                start = time.monotonic()
                print(f"{name} ...", flush=True)
                sections.append(await scenario(grounds))
                print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)
                report.write(folder, facts, notes, sections)  # what is known is kept
    pictures.draw(folder, sections)
    print(report.markdown(facts, notes, sections))
    return report.shortfalls(sections)


def _names(listed: str) -> list[str]:
    return [each.strip() for each in listed.split(",") if each.strip()]


def main() -> None:
    """Read what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="all of it: some 90 minutes")
    parser.add_argument("--only", default="", help="scenarios, with commas between them")
    parser.add_argument("--stores", default=",".join(GROUNDS))
    parser.add_argument("--peers", default="", help="some of the peers, by their names")
    parser.add_argument("--trials", default="", help="some of schedule, drain, lateness, crash")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    asked = parser.parse_args()
    # Told to end, it ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    asyncio.run(measure(asked))
    print(f"written to {asked.folder}")


if __name__ == "__main__":
    main()
