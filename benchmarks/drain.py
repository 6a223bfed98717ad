"""How fast what is due leaves a store by a transport that costs nothing; how fast it comes in."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial

import duly
from benchmarks import load
from benchmarks.grounds import Ground
from benchmarks.load import due, emptied, fill
from benchmarks.section import Measure, Section, in_turn

__all__ = ["drained", "drained_by_several", "scheduled"]

_GOALS: Mapping[str, float] = {"SQLite": 0.5, "Redis": 0.4, "PostgreSQL": 0.65}
_BULK: Mapping[str, float] = {"Redis": 0.5, "PostgreSQL": 0.6}
_SINGLY: Mapping[str, float] = {"SQLite": 0.65, "Redis": 0.65, "PostgreSQL": 0.6}
_TOGETHER: Mapping[str, float] = {"Redis": 0.25, "PostgreSQL": 0.3}
_JUDGED = 500  # messages a batch
_SINGLE = 20  # times as fast as one at a time
_CORE = 5.0  # microseconds that the core may take for a message


async def drained(
    grounds: Sequence[Ground], count: int, batches: Sequence[int], rounds: int
) -> Section:
    """Drain, one scheduler, beside the bare ceiling."""
    section = Section(
        "Drain",
        f"{count:,} due messages of 100 bytes, a transport that accepts at once, one scheduler in "
        "one process. Beside it a bare loop sends the same statements or scripts and throws the "
        f"answers away. Median and range of {rounds} interleaved rounds.",
        ["store", "batch", "messages/s", "bare loop", "share"],
    )
    for ground in grounds:
        for batch in batches:
            found = await in_turn(
                {
                    "duly": partial(_drain, ground, count, batch),
                    "bare": partial(ground.bare_drain, count, batch),
                },
                rounds,
            )
            ours, bare = found["duly"], found["bare"]
            share = ours.share_of(bare)
            section.add(
                ground.name, batch, ours, bare, f"{share:.0%}",
                store=ground.name, batch=batch, rate=ours.values, bare=bare.values, share=share,
            )  # fmt: skip
            if batch == _JUDGED and (single := await ground.single_drain(count // 10)):
                times = ours.median / single
                section.add(
                    ground.name, "1 (scripts)", "", f"{single:,.0f}", f"{times:.1f} x",
                    store=ground.name, batch=1, single=single,
                )  # fmt: skip
                if times < _SINGLE:
                    section.short.append(f"{times:.1f} x one at a time on {ground.name}, goal 20")
            if batch == _JUDGED and ground.name == "memory":
                core = 1e6 / ours.median - 1e6 / bare.median
                if core > _CORE:
                    section.short.append(f"the core takes {core:.1f} us a message, the goal is 5")
            elif batch == _JUDGED:
                section.expect(f"drain of {ground.name}", share, _GOALS.get(ground.name, 0))
    return section


async def _drain(ground: Ground, count: int, batch: int) -> float:
    async with ground.fresh() as url:
        return await load.drain(url, count, batch)


async def drained_by_several(
    grounds: Sequence[Ground], count: int, batch: int, rounds: int
) -> Section:
    """The same by one and by two processes."""
    section = Section(
        "Drain by two processes",
        f"{count:,} due messages, batches of {batch}; each scheduler is a process of its own, "
        "timed from the moment all are due until the store is empty.",
        ["store", "one process", "two processes", "gain"],
    )
    for ground in grounds:
        if not ground.shared:
            continue
        measures: dict[str, Measure] = {
            str(number): partial(_drain_by, ground, count, batch, number) for number in (1, 2)
        }
        found = await in_turn(measures, rounds)
        gain = found["2"].share_of(found["1"])
        section.add(
            ground.name, found["1"], found["2"], f"{gain:.2f}",
            store=ground.name, one=found["1"].values, two=found["2"].values,
        )  # fmt: skip
    return section


async def _drain_by(ground: Ground, count: int, batch: int, processes: int) -> float:
    async with ground.fresh() as url, _workers(url, batch, processes), duly.Client(url) as client:
        lead = 1 + count / 10_000  # seconds
        while True:
            messages = due(count, seconds=lead)
            start = messages[0].scheduled_at.timestamp()
            await fill(url, messages)
            in_time = time.time() < start
            await asyncio.sleep(max(0.0, start - time.time()))
            await emptied(client)
            if in_time:
                return count / (time.time() - start)
            lead *= 2  # some were due before all were stored


@contextlib.asynccontextmanager
async def _workers(url: str, batch: int, number: int) -> AsyncIterator[None]:
    """So many schedulers that are ready, in processes of their own."""
    workers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.worker", url, str(batch),
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(number)
    ]  # fmt: skip
    try:
        for worker in workers:
            assert worker.stdout is not None
            await worker.stdout.readline()
        yield
    finally:
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                worker.terminate()
            await worker.wait()


async def scheduled(grounds: Sequence[Ground], count: int, rounds: int) -> Section:
    """One by one, 200 callers at a time, 500 a call; beside raw."""
    section = Section(
        "Schedule",
        f"{count:,} messages of 100 bytes; one by one, a fifth of them. Beside it the bare driver "
        "stores records made before, 500 at a time and one at a time: in a transaction each on "
        "SQLite, by a script on Redis, by a plain insert on PostgreSQL. Shares are those of one "
        "by one, 200 callers and 500 a call.",
        ["store", "one by one", "bare, one by one", "200 callers", "500 a call",
         "bare, 500 at a time", "shares"],
    )  # fmt: skip
    for ground in grounds:
        ways: dict[str, Measure] = {"single": partial(_schedule, ground, count // 5, "single")}
        if await ground.bare_single(1) is not None:
            ways["bare_single"] = partial(_bare_single, ground, count // 5)
        ways |= {
            "together": partial(_schedule, ground, count, "together"),
            "bulk": partial(_schedule, ground, count, "bulk"),
            "bare": partial(ground.bare_schedule, count),
        }
        found = await in_turn(ways, rounds)
        besides = {"single": "bare_single", "together": "bare", "bulk": "bare"}
        shares = {w: found[w].share_of(found[b]) for w, b in besides.items() if b in found}
        cells = [found["single"], found.get("bare_single", ""), *list(found.values())[-3:]]
        section.add(
            ground.name, *cells, ", ".join(f"{share:.0%}" for share in shares.values()),
            store=ground.name, **{way: each.values for way, each in found.items()},
        )  # fmt: skip
        for way, goals in (("single", _SINGLY), ("together", _TOGETHER), ("bulk", _BULK)):
            if ground.name in goals:
                section.expect(f"schedule, {way}, {ground.name}", shares[way], goals[ground.name])
    return section


async def _bare_single(ground: Ground, count: int) -> float:
    rate = await ground.bare_single(count)
    assert rate is not None
    return rate


async def _schedule(ground: Ground, count: int, way: str) -> float:
    async with ground.fresh() as url:
        return await load.schedule(url, count, way)
