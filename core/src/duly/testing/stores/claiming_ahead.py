"""Cases for stores that tell when a claim was answered, so that the next one can be sent."""

import asyncio

from duly.store import Batch, Settle, SupportsClaimingAhead
from duly.testing.stores.bench import Bench
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import HOUR, SECOND

__all__ = ["ClaimingAheadCases"]


class ClaimingAheadCases(StoreHarness):
    """For stores that are :class:`~duly.store.SupportsClaimingAhead`."""

    async def test_an_answer_is_told_before_the_batch_is_there(self, desk: Bench) -> None:
        await desk.put(*(desk.message(id, -HOUR, payload=b"x" * 10_000) for id in "abc"))
        told: list[tuple[int, bool]] = []
        sizes: list[int] = []

        async def answered(count: int, size: int, more: bool) -> None:
            told.append((count, more))
            sizes.append(size)
            await asyncio.sleep(0)

        store = self._store(desk)
        batch = await store.claim(limit=2, lease=HOUR, owner="host:1:case", answered=answered)
        assert [claim.message.id for claim in batch.claims] == ["a", "b"]
        assert told == [(2, True)]
        batch = await store.claim(limit=2, lease=HOUR, owner="host:1:case", answered=answered)
        assert [claim.message.id for claim in batch.claims] == ["c"]
        assert told == [(2, True), (1, False)]
        assert 20_000 <= sizes[0] < 25_000, "the bytes of the payloads, or a little more"
        assert 10_000 <= sizes[1] < 15_000

    async def test_claims_sent_ahead_follow_in_due_order(self, desk: Bench) -> None:
        ids = [f"{number:03}" for number in range(100)]
        await desk.put(*[desk.message(id, int(id) * SECOND - HOUR) for id in reversed(ids)])
        store = self._store(desk)
        claims: list[asyncio.Task[Batch]] = []

        async def claim(_count: int = 0, _size: int = 0, more: bool = True) -> None:
            if more:
                asking = store.claim(limit=10, lease=HOUR, owner="host:1:case", answered=claim)
                claims.append(asyncio.create_task(asking))

        await claim()
        found = []
        for each in claims:  # which grows meanwhile
            found += [claim.message.id for claim in (await each).claims]
        assert found == ids
        assert len(claims) == 10

    async def test_what_is_settled_with_a_claim_sent_ahead_is_gone(self, desk: Bench) -> None:
        await desk.put(*"abcd", after=-HOUR)
        store, batch = self._store(desk), await desk.claim(1)
        claims: list[asyncio.Task[Batch]] = []

        async def answered(_count: int, _size: int, _more: bool) -> None:
            assert batch.token is not None
            asking = store.claim(
                limit=1, lease=HOUR, owner="host:1:case", settle=[Settle(batch.token)]
            )
            claims.append(asyncio.create_task(asking))

        await store.claim(limit=1, lease=HOUR, owner="host:1:case", answered=answered)
        assert (await claims[0]).settled == [True]
        assert await desk.state("a") is None
        assert await desk.counts() == (1, 2, 0)

    def _store(self, desk: Bench) -> SupportsClaimingAhead:
        assert isinstance(desk.store, SupportsClaimingAhead)
        return desk.store
