"""How late is an urgent name beside backlogs of names that are slow or limited?"""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

import attrs

import duly
from benchmarks import load
from benchmarks.grounds import Ground
from benchmarks.lateness import Lateness
from benchmarks.section import Section
from duly.transport import Limits

__all__ = ["Backlog", "aside"]

_URGENT = "urgent"
_EVERY = 0.02  # seconds from one urgent message to the next
_AHEAD = 0.2  # seconds that they are scheduled before they are due
_PATIENCE = 60.0  # seconds to look past a backlog


@attrs.frozen
class Backlog:
    """So many messages that are due, of so many names, each publish of which takes so long."""

    messages: int
    names: int
    seconds: float
    limit: int | None = None  # publishes at a time, of all names

    def __str__(self) -> str:
        if not self.messages:
            return "nothing"
        limited = "" if self.limit is None else f", {self.limit} at a time"
        return f"{self.messages:,} of {self.names} names, {self.seconds:g} s each{limited}"


class _Slow(load.NoTransport):
    """Takes its time for all but the urgent ones, and notes how late those are, in ms."""

    def __init__(self, backlog: Backlog) -> None:
        self.late: list[float] = []
        self._seconds = backlog.seconds
        limited = {} if backlog.limit is None else {"slow.*": backlog.limit}
        self._limits = Limits(by_name=limited)

    def limits(self) -> Limits:
        return self._limits

    async def publish(self, envelope: duly.Envelope) -> None:
        if envelope.event_name != _URGENT:
            await asyncio.sleep(self._seconds)
            return
        self.late.append((time.time() - envelope.scheduled_at.timestamp()) * 1000)


async def aside(grounds: Sequence[Ground], backlogs: Sequence[Backlog], count: int) -> Section:
    """Urgent messages beside each backlog, and how long it takes to look past that."""
    section = Section(
        "Beside slow names",
        f"{count} urgent messages, {1 / _EVERY:g} a second, while older ones of slow or limited "
        "names are due; counted once those were looked past. By the clock of this host.",
        ["store", "beside", "looked past in", "urgent", "p50 ms", "p99 ms"],
    )
    for ground in grounds:
        for backlog in backlogs:
            await _measure(section, ground, backlog, count)
    return section


async def _measure(section: Section, ground: Ground, backlog: Backlog, count: int) -> None:
    transport = _Slow(backlog)
    async with (
        ground.fresh() as url,
        duly.Scheduler(url, transport, publish_timeout=timedelta(minutes=5)) as scheduler,
    ):
        at = duly.after(seconds=-100)
        messages = [
            duly.Message(f"slow.{n % backlog.names}", scheduled_at=at)
            for n in range(backlog.messages)
        ]
        for chunk in load.chunks(messages):
            await scheduler.schedule_many(chunk)
        began = time.perf_counter()
        async with scheduler.running():
            past = await _looked_past(scheduler, began)
            for _ in range(count):
                at = duly.after(seconds=_AHEAD)
                await scheduler.schedule(duly.Message(_URGENT, scheduled_at=at))
                await asyncio.sleep(_EVERY)
            await asyncio.sleep(2 * _AHEAD)
            late = Lateness(sorted(transport.late))
            await scheduler.stop(timedelta(0))
    known = bool(transport.late)
    p50, p99 = (late.at(0.5), late.at(0.99)) if known else (None, None)
    section.add(
        ground.name, backlog, "never" if past is None else f"{past:.1f} s",
        f"{len(transport.late)} of {count}",
        "-" if p50 is None else f"{p50:.1f}", "-" if p99 is None else f"{p99:.1f}",
        store=ground.name, backlog=attrs.asdict(backlog), past=past, count=len(transport.late),
        p50=p50, p99=p99,
    )  # fmt: skip


async def _looked_past(scheduler: duly.Scheduler, began: float) -> float | None:
    """Seconds until nothing that is due stands before what comes; None: it takes too long."""
    while time.perf_counter() - began < _PATIENCE:
        if (await scheduler.stats()).oldest_due is None:
            return time.perf_counter() - began
        await asyncio.sleep(0.05)
    return None
