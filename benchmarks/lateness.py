"""How late messages leave: at a steady rate, beside a drain of something else, over a backlog."""

import asyncio
import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import attrs

import duly
from benchmarks.grounds import Ground
from benchmarks.load import NoTransport, chunks, due, emptied, fill
from benchmarks.section import Section

__all__ = ["Lateness", "Watch", "lateness"]

_P50, _P99 = 3.0, 20.0  # milliseconds, the goal at 50 messages a second
_OTHERS = 2000  # messages a second of other names, where there is a drain
_STORED = 15_000  # messages a second, fewer than any store takes: all are there before one is due
_FAR = 86_400  # seconds until the messages of a backlog are due
_MEMORY = "memory://"


@attrs.frozen
class Lateness:
    """Published minus scheduled, in milliseconds, sorted."""

    values: Sequence[float]

    def at(self, share: float) -> float:
        """What that share of the messages is not later than."""
        return self.values[min(len(self.values) - 1, math.floor(share * len(self.values)))]

    @property
    def early(self) -> int:
        return sum(value < 0 for value in self.values)


class Watch:
    """Takes note of what is delivered under one event name."""

    def __init__(self, event_name: str) -> None:
        self._event_name = event_name
        self.late: list[float] = []

    @duly.hookimpl
    def duly_delivered(self, deliveries: Sequence[duly.Delivery]) -> None:
        self.late += [
            each.lateness / timedelta(milliseconds=1)
            for each in deliveries
            if each.message.event_name == self._event_name
        ]


async def lateness(
    grounds: Sequence[Ground], rates: Sequence[int], seconds: float, backlogs: Sequence[int]
) -> Section:
    """At each rate, alone and beside a drain, with so many future messages in the store."""
    section = Section(
        "Lateness",
        f"Messages due at a steady rate for {seconds:g} s, all scheduled in advance; publish time "
        "minus due time by the store's clock, in milliseconds. Default settings. Beside a drain "
        f"means that {_OTHERS:,} messages a second of other names come due meanwhile.",
        ["store", "messages/s", "future messages", "beside", "p50", "p95", "p99", "max", "early"],
    )
    for ground in grounds:
        for backlog in backlogs:
            async with ground.fresh() as url:
                if url != _MEMORY:
                    await fill(url, due(backlog, seconds=_FAR))
                for rate, busy in [(rates[0], False), (rates[0], True), *_others(rates, backlog)]:
                    found = await _measure(url, rate, seconds, backlog, busy=busy)
                    section.add(
                        ground.name, f"{rate:,}", f"{backlog:,}", "a drain" if busy else "nothing",
                        *(f"{found.at(share):.1f}" for share in (0.5, 0.95, 0.99, 1)), found.early,
                        store=ground.name, rate=rate, backlog=backlog, busy=busy,
                        values=[round(value, 3) for value in found.values],
                    )  # fmt: skip
                    where = f"{ground.name} with {backlog:,} future messages"
                    _judge(section, where, rate, found, busy=busy)
    return section


def _others(rates: Sequence[int], backlog: int) -> Sequence[tuple[int, bool]]:
    """The higher rates, where nothing else is in the store."""
    return [] if backlog else [(rate, False) for rate in rates[1:]]


def _judge(section: Section, where: str, rate: int, found: Lateness, *, busy: bool) -> None:
    if found.early:
        section.short.append(f"{where}: {found.early} messages were early")
    if rate <= 50 and not busy:
        for share, goal in ((0.5, _P50), (0.99, _P99)):
            if found.at(share) >= goal:
                section.short.append(
                    f"lateness of {where} at {rate}/s: p{share * 100:.0f} is "
                    f"{found.at(share):.2f} ms, the goal is under {goal:g}"
                )


async def _measure(url: str, rate: int, seconds: float, backlog: int, *, busy: bool) -> Lateness:
    watch = Watch("steady")
    async with duly.Scheduler(url, NoTransport(), plugins=[watch]) as scheduler:
        if url == _MEMORY:  # each scheduler begins with nothing
            for chunk in chunks(due(backlog, seconds=_FAR)):
                await scheduler.schedule_many(chunk)
        others = _OTHERS if busy else 0
        start = duly.after(seconds=1.5 + seconds * (rate + others) / _STORED)
        for name, number in (("steady", rate), ("other", others)):
            for chunk in chunks(_steady(name, number, seconds, start)):
                await scheduler.schedule_many(chunk)
        async with scheduler.running():
            await asyncio.sleep((start - duly.after()).total_seconds() + seconds)
            await emptied(scheduler, backlog)
    return Lateness(sorted(watch.late))


def _steady(name: str, rate: int, seconds: float, start: datetime) -> list[duly.Message]:
    return [
        duly.Message(name, bytes(100), scheduled_at=start + timedelta(seconds=number / rate))
        for number in range(int(rate * seconds))
    ]
