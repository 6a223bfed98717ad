"""What a scheduler costs that has nothing to do: commands of the server, and CPU of its own."""

import asyncio
import time
from collections.abc import Sequence

import duly
from benchmarks.grounds import Ground
from benchmarks.load import NoTransport, due
from benchmarks.section import Section

__all__ = ["idle"]


async def idle(grounds: Sequence[Ground], seconds: float) -> Section:
    """An idle scheduler, with messages an hour away."""
    section = Section(
        "Idle",
        f"One scheduler, default settings, 1,000 messages due in an hour, for {seconds:g} s. "
        "Counted are the commands sent to Redis and the transactions of PostgreSQL, without those "
        "of the counting itself.",
        ["store", "commands or transactions/s", "CPU"],
    )
    for ground in grounds:
        async with ground.fresh() as url, duly.Scheduler(url, NoTransport()) as scheduler:
            await scheduler.schedule_many(due(1000, seconds=3600))
            async with scheduler.running():
                await asyncio.sleep(2)
                start, cpu = time.perf_counter(), time.process_time()
                rate = await ground.served(seconds)
                cpu = (time.process_time() - cpu) / (time.perf_counter() - start)
        section.add(
            ground.name, "not counted" if rate is None else f"{rate:.2f}", f"{cpu:.2%}",
            store=ground.name, commands=rate, cpu=cpu,
        )  # fmt: skip
        if rate is not None and rate > 1:
            section.short.append(f"{ground.name}: {rate:.1f} commands a second when idle, goal 1")
    return section
