"""How many a claim takes, and what it tells about the rest."""

import random

import pytest

from duly.store import Bury, Claim, Key, Release, Token
from duly.testing.stores.bench import LEASE, Bench, Outcomes, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import DAY, HOUR, MINUTE, retry


class LimitCases(StoreHarness):
    """How many are claimed, and when to look again."""

    @pytest.mark.parametrize("limit", [1, 2, 5, 6])
    async def test_no_more_than_asked_for(self, desk: Bench, limit: int) -> None:
        await desk.put(*"abcde")
        rest = list("abcde")
        while rest:
            batch = await desk.claim(limit)
            assert ids(batch) == rest[:limit]
            del rest[:limit]
            assert batch.more == bool(rest)

    async def test_nothing_to_claim(self, timed: Bench) -> None:
        batch = await timed.claim()
        assert (batch.token, list(batch.claims)) == (None, [])
        assert (batch.next_due, batch.more, list(batch.settled)) == (None, False, [])
        assert (list(batch.unreadable), batch.newer) == ([], 0)

    async def test_tokens_and_keys_are_never_used_twice(self, desk: Bench) -> None:
        tokens: set[Token | None] = set()
        keys: set[Key] = set()
        for _ in range(5):
            await desk.put("a", "b", replace=True)
            for _ in range(2):
                batch = await desk.claim(1)
                tokens.add(batch.token)
                keys.update(claim.key for claim in batch.claims)
        assert (len(tokens), len(keys)) == (10, 10)

    async def test_a_large_batch(self, desk: Bench) -> None:
        names = [f"m{each:05}" for each in range(self.many(1000))]
        await desk.put(*names)
        batch = await desk.claim(len(names))
        assert (ids(batch), batch.more) == (names, False)
        assert await desk.settle(batch)
        assert await desk.counts() == (0, 0, 0)

    async def test_next_due_is_the_earliest_that_waits(self, desk: Bench) -> None:
        await desk.put("c", after=HOUR + MINUTE)
        await desk.put("b", after=HOUR)
        batch = await desk.claim()
        assert (batch.next_due, batch.more) == (desk.start + HOUR, False)
        await desk.store.cancel(["b"])
        assert (await desk.claim()).next_due == desk.start + HOUR + MINUTE
        await desk.store.cancel(["c"])
        assert (await desk.claim()).next_due is None

    async def test_next_due_is_the_end_of_a_lease_of_others(self, desk: Bench) -> None:
        await desk.put("a", "b")
        assert (await desk.claim(1)).more
        await desk.pass_time(MINUTE)
        batch = await desk.claim(1)
        assert (batch.next_due, batch.more) == (desk.start + LEASE, False)
        await desk.pass_time(MINUTE)
        assert (await desk.claim()).next_due == desk.start + LEASE
        await desk.put("c", after=4 * MINUTE)
        assert (await desk.claim()).next_due == desk.start + 4 * MINUTE

    async def test_next_due_leaves_the_own_lease_out(self, desk: Bench) -> None:
        await desk.put("a")
        batch = await desk.claim()
        assert (ids(batch), batch.next_due) == (["a"], None)
        await desk.put("b")
        await desk.put("c", after=DAY)
        assert (await desk.claim(lease=2 * DAY)).next_due == desk.start + LEASE
        assert await desk.settle(batch)
        assert (await desk.claim(lease=MINUTE)).next_due == desk.start + DAY

    async def test_next_due_follows_renewals(self, desk: Bench) -> None:
        await desk.put("a")
        batch = await desk.claim()
        await desk.pass_time(MINUTE)
        assert await desk.renew(batch) == []
        assert (await desk.claim()).next_due == desk.start + MINUTE + LEASE

    async def test_next_due_after_what_was_settled(self, desk: Bench) -> None:
        messages = await desk.put("a", "b", "c")
        outcomes: Outcomes = {
            "a": retry(messages[0], 2 * HOUR),
            "b": Release(desk.start + HOUR),
            "c": Bury("broken"),
        }
        assert await desk.settle(await desk.claim(), outcomes)
        assert (await desk.claim()).next_due == desk.start + HOUR
        await desk.pass_time(HOUR)
        assert (await desk.claim(lease=DAY)).next_due == desk.start + 2 * HOUR

    async def test_everything_is_claimed_once(self, desk: Bench) -> None:
        number = self.many(700)
        await desk.put(*(f"m{each:04}" for each in range(number)))
        claims: list[Claim] = []
        turn = random.Random(4)  # noqa: S311  # no secret
        while (batch := await desk.claim(turn.randint(1, 40))).claims:
            claims += batch.claims
        assert [claim.message.id for claim in claims] == [f"m{each:04}" for each in range(number)]
