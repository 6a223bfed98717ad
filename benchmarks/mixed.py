"""A long mixed run: does rate, lateness, memory or the size of the store drift?"""

import asyncio
import random
import resource
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import duly
from benchmarks.grounds import Ground
from benchmarks.lateness import Lateness
from benchmarks.section import Section

__all__ = ["mixed"]

_RATE = 500  # messages a second
_PARTS = 10


class _Watch:
    """Counts all, and takes note of how late those are that did not have to be tried again."""

    def __init__(self) -> None:
        self.count = 0
        self.late: list[float] = []

    @duly.hookimpl
    def duly_delivered(self, deliveries: Sequence[duly.Delivery]) -> None:
        self.count += len(deliveries)
        self.late += [
            each.lateness / timedelta(milliseconds=1)
            for each in deliveries
            if each.message.event_name != "fails"
        ]


async def mixed(grounds: Sequence[Ground], seconds: float) -> Section:
    """Schedules, cancels, retries and series, in ten parts of equal length."""
    section = Section(
        "A long mixed run",
        f"{_RATE} messages a second for {seconds:g} s, a tenth of them cancelled, a tenth failing "
        "once, and ten series; in ten parts of equal length. Lateness is that of messages that "
        "do not fail; memory is what the process holds at the end of a part.",
        ["store", "part", "delivered/s", "p50 ms", "p99 ms", "memory, MiB", "store, KiB"],
    )
    for ground in grounds:
        await _live(section, ground, seconds)
    return section


async def _live(section: Section, ground: Ground, seconds: float) -> None:
    watch, failed = _Watch(), set[str]()

    async def publish(envelope: duly.Envelope) -> None:
        if envelope.event_name == "fails" and envelope.message_id not in failed:
            failed.add(envelope.message_id)
            raise ConnectionError("not this time")
        failed.discard(envelope.message_id)

    again = duly.Backoff(initial=timedelta(milliseconds=100))
    async with (
        ground.fresh() as url,
        duly.Scheduler(url, publish, recovery=again, plugins=[watch]) as scheduler,
        scheduler.running(),
    ):
        for number in range(10):
            every = duly.Every(timedelta(seconds=1 + number / 10))
            await scheduler.schedule(
                duly.Message("series", id=f"series-{number}", recurrence=every)
            )
        for part in range(_PARTS):
            watch.count = 0
            watch.late.clear()
            start = time.perf_counter()
            await _busy(scheduler, seconds / _PARTS)
            rate = watch.count / (time.perf_counter() - start)
            late = Lateness(sorted(watch.late))
            memory = _memory()
            size = await ground.size(url)
            section.add(
                ground.name, part + 1, f"{rate:,.0f}",
                f"{late.at(0.5):.1f}", f"{late.at(0.99):.1f}",
                f"{memory:,.0f}", "not known" if size is None else f"{size / 1024:,.0f}",
                store=ground.name, part=part, rate=rate, p50=late.at(0.5), p99=late.at(0.99),
                memory=memory, size=size,
            )  # fmt: skip


def _memory() -> float:
    """MiB that this process holds now, or at most where that is not known."""
    now = Path("/proc/self/statm")
    if now.exists():
        return int(now.read_text().split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def _busy(scheduler: duly.Scheduler, seconds: float) -> None:
    """One hand schedules what the other one cancels."""
    end = time.perf_counter() + seconds
    chance = random.Random(1)
    while time.perf_counter() < end:
        began = time.perf_counter()
        messages = [
            duly.Message(
                "fails" if number % 10 == 0 else "event",
                bytes(100),
                scheduled_at=duly.after(seconds=chance.uniform(0.2, 2)),
            )
            for number in range(_RATE // 10)
        ]
        await scheduler.schedule_many(messages)
        await asyncio.gather(
            *(scheduler.cancel(each.id, missing_ok=True) for each in messages[1::10])
        )
        await asyncio.sleep(max(0, 0.1 - (time.perf_counter() - began)))
