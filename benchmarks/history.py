"""What a history costs a drain: with every message kept, with figures alone, without one."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import load
from benchmarks.grounds import Ground
from benchmarks.section import Section, in_turn
from duly_history import History

__all__ = ["history"]

_BATCH = 500

_WAYS: Mapping[str, Mapping[str, Any] | None] = {
    "none": None,
    "figures alone": {"messages": False},
    "every message": {},
}


async def history(grounds: Sequence[Ground], count: int, rounds: int) -> Section:
    """A drain of each store beside a history in a file of SQLite."""
    section = Section(
        "History",
        f"Drain, batch {_BATCH}, with a history in a file of SQLite that has its own thread: what "
        "was delivered, and the minutes. Behind: seconds from the last delivery until all of it "
        "was in the file.",
        ["store", "history", "messages/s", "of that without", "more, us a message", "behind, s"],
    )
    for ground in grounds:
        behind: dict[str, float] = {}
        found = await in_turn(
            {name: partial(_drain, ground, count, name, behind) for name in _WAYS}, rounds
        )
        without = found["none"]
        for name, figure in found.items():
            share = figure.share_of(without)
            more = 1e6 / figure.median - 1e6 / without.median
            section.add(
                ground.name, name, figure, f"{share:.0%}", f"{more:.1f}", f"{behind[name]:.1f}",
                store=ground.name, history=name, rate=figure.values, share=share,
            )  # fmt: skip
    return section


async def _drain(ground: Ground, count: int, way: str, behind: dict[str, float]) -> float:
    options = _WAYS[way]
    with tempfile.TemporaryDirectory() as folder:
        kept = [] if options is None else [
            History(f"sqlite:///{Path(folder) / 'history.db'}", **options, most_waiting=10**7)
        ]  # fmt: skip
        async with ground.fresh() as url:
            rate = await load.drain(url, count, _BATCH, plugins=kept)
            ended = time.perf_counter()
            for each in kept:
                await each.flush()
            behind[way] = time.perf_counter() - ended
            for each in kept:
                await each.close()
                figures = await each.rates()
                assert figures.delivered == count, figures
        return rate
