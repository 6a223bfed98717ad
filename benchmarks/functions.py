"""What handlers cost: a task for each async call, a turn in a thread for each plain one."""

from functools import partial

from benchmarks import load
from benchmarks.grounds import Ground
from benchmarks.section import Section, in_turn

__all__ = ["functions"]

_BATCH = 500
_WAYS = {
    "transport": "a transport",
    "async": "an async function",
    "typed": "an async function of a typed event, its payload a dataclass",
    "plain": "a plain function",
}


async def functions(ground: Ground, count: int, rounds: int) -> Section:
    """A drain to functions that return at once, beside a transport that accepts at once."""
    section = Section(
        "Functions",
        f"Drain from {ground.name}, batch {_BATCH}, to a transport or function that returns at "
        "once. Async functions run in a task of their own, plain ones in one of 12 threads.",
        ["to", "messages/s", "more, us a message"],
    )
    found = await in_turn({way: partial(_drain, ground, count, way) for way in _WAYS}, rounds)
    without = found["transport"].median
    for way, figure in found.items():
        more = 1e6 / figure.median - 1e6 / without
        section.add(_WAYS[way], figure, f"{more:.1f}", way=way, rate=figure.values)
    return section


async def _drain(ground: Ground, count: int, way: str) -> float:
    async with ground.fresh() as url:
        return await load.drain(url, count, _BATCH, way=way)
