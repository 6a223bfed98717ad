"""Leases end while they are settled and renewed, and others are taken: nothing lost or doubled."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial

import pytest

from duly.message import State
from duly.store import Settle, Store, SupportsPeeking, SupportsWakeups
from duly.testing.stores.abilities import PATIENCE
from duly.testing.stores.bench import Bench, ids, settle_of
from duly.testing.stores.lines import NOTHING, drained, put_of, stand_aside
from duly.testing.stores.quiet import Waking
from duly.testing.stores.situations import HOUR
from duly.testing.stores.takeover import DEAD, back, taken


class TakeoverRaceCases(Waking):
    """Three store objects over one namespace."""

    async def test_taken_over_by_many(self, timed: Bench) -> None:
        names = await _put_some(timed, self.many(60))
        stores = await _three_stores(timed)
        for start in range(0, len(names), 10):
            await timed.claim(10, owner=DEAD, by=stores[start % 3])
        counted = await asyncio.gather(*(taken(store) for store in stores * 3))
        assert sum(counted) == len(names)
        claims = await timed.claim_all()
        assert [(claim.message.id, claim.lapses) for claim in claims] == [(id, 1) for id in names]

    async def test_against_settle(self, timed: Bench) -> None:
        names = await _put_some(timed, self.many(60))
        holder, other, third = await _three_stores(timed)
        batches = [await timed.claim(5, owner=DEAD, by=holder) for _ in names[::5]]
        held = [each for each in batches if each.claims]
        settled, counted = await asyncio.gather(
            asyncio.gather(*(timed.settle(batch, by=holder) for batch in held)),
            _taken_again_and_again(other),
        )
        lost = [
            id for batch, done in zip(held, settled, strict=True) if not done for id in ids(batch)
        ]
        assert counted == len(lost)
        claims = [claim.message.id for claim in await timed.claim_all()]
        assert claims == sorted(lost)
        assert await taken(third) == 0

    async def test_against_renew(self, timed: Bench) -> None:
        names = await _put_some(timed, self.many(60))
        holder, other, _ = await _three_stores(timed)
        batches = [await timed.claim(5, owner=DEAD, by=holder) for _ in names[::5]]
        tokens = [each.token for each in batches if each.token is not None]

        async def renew() -> None:
            for _ in range(5):
                for token in tokens:
                    await holder.renew([token], HOUR)

        _, counted = await asyncio.gather(renew(), _taken_again_and_again(other))
        assert counted == len(names)
        assert list(await holder.renew(tokens, HOUR)) == [None] * len(tokens)
        claims = await timed.claim_all()
        assert [(claim.message.id, claim.lapses) for claim in claims] == [(id, 1) for id in names]

    async def test_against_early_settles_and_cancels(self, timed: Bench) -> None:
        names = await _put_some(timed, self.many(60))
        holder, other, third = await _three_stores(timed)
        batch = await timed.claim(len(names), owner=DEAD, by=holder)
        early = [timed.settle(batch, only=[id], by=holder) for id in names[::3]]
        cancels = [third.cancel([id]) for id in names[1::3]]
        settled, found, counted = await asyncio.gather(
            asyncio.gather(*early), asyncio.gather(*cancels), _taken_again_and_again(other)
        )
        assert {state for states in found for state in states} == {State.CLAIMED}
        lost = [id for id, done in zip(names[::3], settled, strict=True) if not done]
        claims = [claim.message.id for claim in await timed.claim_all()]
        assert claims == sorted([*lost, *names[2::3]])
        assert len(claims) <= counted <= len(claims) + len(names[1::3])

    async def test_against_claims(self, timed: Bench) -> None:
        """Who was taken for dead goes on, as others do; each message is settled once."""
        names = await _put_some(timed, self.many(60))
        holder, other, third = await _three_stores(timed)
        done: Counter[str] = Counter()
        working = asyncio.gather(
            _work(timed, holder, DEAD, done), _work(timed, other, "orders-1", done)
        )
        for _ in range(self.many(20)):
            await taken(third)
            await asyncio.sleep(0.001)
        await working
        await taken(third)
        await _work(timed, third, "heir", done)
        assert done == Counter(names)
        assert await timed.counts() == (0, 0, 0)

    async def test_who_waits_is_woken(self, desk: Bench) -> None:
        """Nobody looks before the lease would have lapsed, unless it is told."""
        store = await desk.another()
        if not isinstance(store, SupportsWakeups):
            pytest.skip("the store cannot wake anybody")
        await desk.put("a")
        await desk.claim(owner=DEAD)
        await self._settled(store)
        assert await taken(desk.store) == 1
        async with asyncio.timeout(PATIENCE):
            await store.wait_for_change()
        assert back(await desk.claim(by=store)) == [("a", 1)]

    async def test_who_asks_is_told(self, desk: Bench) -> None:
        store = await desk.another()
        if not isinstance(store, SupportsPeeking):
            pytest.skip("the store cannot be asked")
        await desk.put("a")
        await desk.claim(owner=DEAD)
        await store.changed()
        assert await taken(desk.store) == 1
        assert await store.changed()

    async def test_what_stood_aside_goes_to_the_main_line(self, desk: Bench) -> None:
        if not desk.lines:
            pytest.skip("the store has no lines")
        await put_of(desk, "slow", "s1", "s2", after=-HOUR)
        await stand_aside(desk)
        assert ids(await desk.claim(owner=DEAD)) == ["s1", "s2"]
        await put_of(desk, "fast", "f1", after=-2 * HOUR)
        assert await taken(desk.store) == 2
        assert ids(await desk.claim(1)) == ["f1"]
        assert not await desk.aside("s1")
        stats = await desk.store.stats()
        assert (stats.scheduled, stats.aside, stats.oldest_due) == (2, 0, desk.start - HOUR)
        assert (await desk.claim(most=NOTHING)).moved == 2
        assert await drained(desk) == ["s1", "s2"]


async def _put_some(bench: Bench, number: int) -> Sequence[str]:
    """Store so many; their ids."""
    names = [f"m{each:04}" for each in range(number)]
    await bench.put(*names)
    return names


async def _three_stores(bench: Bench) -> list[Store]:
    return [bench.store, await bench.another(), await bench.another()]


async def _taken_again_and_again(store: Store) -> int:
    """End the leases of the owner a few times; how many messages they held in all."""
    return sum([await taken(store) for _ in range(5)])


async def _work(bench: Bench, store: Store, owner: str, done: Counter[str]) -> None:
    """Claim and settle, by turns apart and with the next claim, until nothing comes."""
    settle: list[Settle] = []
    before: Sequence[str] = []
    claim = partial(bench.claim, 3, owner=owner, by=store)
    for turn in range(10_000):
        batch = await claim(settle=settle)
        done.update(before if settle and batch.settled[0] else [])
        settle, before = [], ids(batch)
        if not before and not batch.more:
            return
        if turn % 2 and before:
            done.update(before if await bench.settle(batch, by=store) else [])
        elif before:
            settle = [settle_of(batch)]
        await asyncio.sleep(0)
