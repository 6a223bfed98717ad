"""What a backlog of future messages costs: drain, a claim, bytes."""

import time
from collections.abc import Sequence

from benchmarks.grounds import Ground
from benchmarks.load import LEASE, drain, due, fill
from benchmarks.section import Figure, Section
from duly.store import Group, Settle, Store

__all__ = ["growth"]

_GOAL = 0.6  # of the drain over the smallest backlog
_CLAIMS = 20


async def growth(
    grounds: Sequence[Ground], backlogs: Sequence[int], count: int, batch: int, rounds: int
) -> Section:
    """The same drain over growing backlogs."""
    section = Section(
        "Growth",
        f"{count:,} due messages are drained (batch {batch}) while the future messages are due in "
        "a day. Claim is the time of a claim of one message; bytes are the size of the whole store "
        "by message.",
        ["store", "future messages", "drain, messages/s", "share", "claim, ms", "bytes/message"],
    )
    for ground in grounds:
        if not ground.shared:  # each of its clients begins with nothing
            continue
        first: Figure | None = None
        for backlog in backlogs:
            async with ground.fresh() as url:
                await fill(url, due(backlog, seconds=86_400))
                size = await ground.size(url)
                claim = await _claim(ground.store(url))
                values = []
                for _ in range(rounds):
                    await fill(url, due(count))
                    await ground.at_rest()
                    values.append(await drain(url, count, batch, filled=True))
            rate = Figure(tuple(values))
            first = first or rate
            share = rate.share_of(first)
            section.add(
                ground.name, f"{backlog:,}", rate, f"{share:.0%}", f"{claim * 1000:.2f}",
                "not known" if size is None else f"{size / backlog:,.0f}",
                store=ground.name, backlog=backlog, rate=rate.values, claim=claim, size=size,
            )  # fmt: skip
            section.expect(f"drain of {ground.name} over {backlog:,}", share, _GOAL)
    return section


async def _claim(store: Store) -> float:
    """Seconds, of a claim that takes one message, the best of some."""
    best = float("inf")
    await store.open()
    try:
        for _ in range(_CLAIMS):
            await store.put([Group(due(1))])
            start = time.perf_counter()
            batch = await store.claim(limit=1, lease=LEASE, owner="bench")
            best = min(best, time.perf_counter() - start)
            assert batch.token is not None
            await store.settle([Settle(batch.token)])
    finally:
        await store.close()
    return best
