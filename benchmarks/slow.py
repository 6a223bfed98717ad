"""Transports that take their time, and one event name of ten that hangs."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import duly
from benchmarks.grounds import Ground
from benchmarks.lateness import Lateness, Watch
from benchmarks.load import chunks, due, emptied
from benchmarks.section import Figure, Section, in_turn

__all__ = ["hanging", "slow"]

_GOAL = 0.6  # of what so many slots could do
_STEP = timedelta(milliseconds=10)
_AT_ONCE = timedelta(0)


async def slow(ground: Ground, waits: Sequence[float], slots: int, rounds: int) -> Section:
    """Messages per second when each publish takes a while."""
    section = Section(
        "Slow transports",
        f"Store: {ground.name}; `max_in_flight={slots}`, ten event names, batches of 500; every "
        "publish sleeps. Ideal is what the slots could do if nothing else took any time.",
        ["publish takes", "messages/s", "ideal", "share"],
    )
    for wait in waits:
        ideal = slots / wait
        count = int(min(30_000, ideal))
        found = await in_turn({"duly": partial(_rate, ground, count, wait, slots)}, rounds)
        share = found["duly"].share_of(Figure((ideal,)))
        section.add(
            f"{wait * 1000:g} ms", found["duly"], f"{ideal:,.0f}", f"{share:.0%}",
            wait=wait, rate=found["duly"].values, ideal=ideal,
        )  # fmt: skip
        section.expect(f"publishes of {wait * 1000:g} ms at {slots} slots", share, _GOAL)
    return section


async def _rate(ground: Ground, count: int, wait: float, slots: int) -> float:
    async def publish(envelope: duly.Envelope) -> None:
        await asyncio.sleep(wait)

    async with (
        ground.fresh() as url,
        duly.Scheduler(url, publish, batch_size=500, max_in_flight=slots) as scheduler,
    ):
        for chunk in chunks(due(count)):
            await scheduler.schedule_many(chunk)
        start = time.perf_counter()
        async with scheduler.running():
            await emptied(scheduler)
            return count / (time.perf_counter() - start)


async def hanging(ground: Ground, backlog: int, seconds: float) -> Section:
    """Lateness of others while a name hangs that has older messages."""
    section = Section(
        "A name that hangs",
        f"Store: {ground.name}, default settings; 100 messages a second of other names for "
        f"{seconds:g} s, with and without {backlog:,} older messages whose publish never ends. "
        "Lateness of the others, in milliseconds.",
        ["older messages that hang", "p50", "p99", "max"],
    )
    for older in (0, backlog):
        found = await _others(ground, older, seconds)
        section.add(
            f"{older:,}", *(f"{found.at(share):.1f}" for share in (0.5, 0.99, 1)),
            older=older, values=[round(value, 3) for value in found.values],
        )  # fmt: skip
    return section


async def _others(ground: Ground, older: int, seconds: float) -> Lateness:
    watch = Watch("steady")

    async def publish(envelope: duly.Envelope) -> None:
        if envelope.event_name == "hangs":
            await asyncio.Event().wait()

    async with (
        ground.fresh() as url,
        duly.Scheduler(url, publish, plugins=[watch]) as scheduler,
    ):
        past = duly.after(seconds=-60)
        for chunk in chunks([duly.Message("hangs", scheduled_at=past) for _ in range(older)]):
            await scheduler.schedule_many(chunk)
        async with scheduler.running():
            await asyncio.sleep(1)
            for _ in range(int(seconds)):
                start = duly.after(seconds=0.5)
                await scheduler.schedule_many(
                    duly.Message("steady", scheduled_at=start + number * _STEP)
                    for number in range(100)
                )
                await asyncio.sleep(1)
            await asyncio.sleep(1)
            await scheduler.stop(timeout=_AT_ONCE)
    return Lateness(sorted(watch.late))
