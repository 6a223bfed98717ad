"""What a scheduler holds is taken from it before its lease has lapsed."""

from typing import Final

import pytest

from duly.message import State
from duly.store import Batch, Bury, Release, Store, SupportsTakeover
from duly.testing.stores.bench import LEASE, Bench, ids, settle_of
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import DAY, HOUR, MINUTE, retry

__all__ = ["DEAD", "TakeoverAloneCases", "back", "taken"]

DEAD: Final = "orders-0"
"""The owner whose leases end."""

_OWNERS: Final = (
    DEAD, "orders-1", "orders-", "orders-00", "ORDERS-0", "orders_0", "orders-%", "orders-?", "%",
    "*", "orders-[0]", "_rders-0", " orders-0", "orders-0 ", "orders.0", "\\orders-0", "'orders-0'",
    "host:1:orders-0", "\xe9", "e\u0301", "\u540d", "\U0001f511", "x" * 255,
)  # fmt: skip


async def taken(store: Store, owner: str = DEAD) -> int:
    """End the leases of an owner; how many messages they held."""
    assert isinstance(store, SupportsTakeover)
    return await store.lapse(owner)


def back(batch: Batch) -> list[tuple[str, int]]:
    """What a batch holds, and how often it has lapsed."""
    return [(claim.message.id, claim.lapses) for claim in batch.claims]


class TakeoverAloneCases(StoreHarness):
    """All leases of that owner end, as if they had lapsed, and nothing else does."""

    async def test_what_is_taken_over_comes_with_the_next_claim(self, timed: Bench) -> None:
        await timed.put("a", "b")
        await timed.claim(owner=DEAD)
        assert ids(await timed.claim()) == []
        assert await taken(timed.store) == 2
        batch = await timed.claim()
        assert back(batch) == [("a", 1), ("b", 1)]
        assert await timed.settle(batch)
        assert await timed.counts() == (0, 0, 0)

    async def test_the_old_token_is_void(self, desk: Bench) -> None:
        for end in ("settled", "settled in part", "settled with a claim", "renewed"):
            await desk.put(end)
            batch = await desk.claim(owner=DEAD)
            assert await taken(desk.store) == 1
            if end == "settled":
                assert not await desk.settle(batch)
            elif end == "settled in part":
                assert not await desk.settle(batch, only=[end])
            elif end == "renewed":
                assert await desk.renew(batch) is None
            else:
                assert list((await desk.claim(settle=[settle_of(batch)])).settled) == [False]
                continue
            assert back(await desk.claim()) == [(end, 1)]
            assert not await desk.settle(batch, {end: Bury("late")})
            assert await desk.renew(batch) is None
        assert await desk.counts() == (0, 4, 0)

    async def test_until_the_next_claim_it_is_as_a_lapse(self, desk: Bench) -> None:
        """It is CLAIMED still, and gone at once when it is cancelled or replaced."""
        await desk.put("a", "b", "c")
        await desk.claim(owner=DEAD)
        await taken(desk.store)
        assert await desk.counts() == (0, 3, 0)
        assert await desk.state("a") is State.CLAIMED
        move = desk.store.reschedule
        assert await move("a", desk.start, of_state=State.SCHEDULED) is State.CLAIMED
        assert list(await desk.store.cancel(["a"])) == [State.CLAIMED]
        await desk.put("b", replace=True)
        assert back(await desk.claim()) == [("c", 1), ("b", 0)]

    async def test_it_stands_at_its_old_place(self, desk: Bench) -> None:
        await desk.put("b", after=-2 * MINUTE)
        await desk.put("d1", "d2", after=-MINUTE)
        await desk.claim(owner=DEAD)
        await desk.put("a", after=-3 * MINUTE)
        await desk.put("c", after=-MINUTE - self.resolution)
        await desk.put("d3", after=-MINUTE)
        assert await taken(desk.store) == 3
        batch = await desk.claim()
        assert back(batch) == [("a", 0), ("b", 1), ("c", 0), ("d1", 1), ("d2", 1), ("d3", 0)]

    async def test_the_second_time_makes_suspects(self, desk: Bench) -> None:
        await desk.put("a", "b", "c")
        for lapses in (0, 1):
            batch = await desk.claim(owner=DEAD)
            assert back(batch) == [(id, lapses) for id in ("a", "b", "c")]
            assert await taken(desk.store) == 3
        assert back(await desk.claim(suspects=False)) == []
        for id in ("a", "b", "c"):
            batch = await desk.claim(owner=DEAD)
            assert back(batch) == [(id, 2)]
        assert await taken(desk.store) == 3
        assert back(await desk.claim()) == [("a", 3)]

    async def test_lapses_of_either_kind_add_up(self, desk: Bench) -> None:
        await desk.put("a")
        for lapses in range(4):
            assert back(await desk.claim(owner=DEAD)) == [("a", lapses)]
            if lapses % 2:
                await desk.pass_time(LEASE)
            else:
                assert await taken(desk.store) == 1

    async def test_all_leases_of_that_owner_end(self, desk: Bench) -> None:
        names = [f"m{number:04}" for number in range(self.many(300))]
        await desk.put(*names)
        first = await desk.claim(7, owner=DEAD, lease=DAY)
        await desk.claim(1, owner=DEAD, lease=MINUTE)
        await desk.renew(first, 2 * DAY)
        while (await desk.claim(50, owner=DEAD)).claims:
            pass
        assert await taken(desk.store) == len(names)
        claims = await desk.claim_all()
        assert [claim.message.id for claim in claims] == names
        assert {claim.lapses for claim in claims} == {1}

    async def test_others_keep_what_they_hold(self, desk: Bench) -> None:
        batches = {}
        for number, owner in enumerate(_OWNERS):
            await desk.put(f"m{number}")
            batches[owner] = await desk.claim(owner=owner)
        for number, owner in enumerate(_OWNERS):
            assert await taken(desk.store, owner) == 1, owner
            assert await taken(desk.store, owner) == 0, owner
            batch = await desk.claim(owner="heir")
            assert back(batch) == [(f"m{number}", 1)], owner
            assert await desk.settle(batch)
            assert not await desk.settle(batches.pop(owner))
            for held in batches.values():
                assert await desk.renew(held) == []

    async def test_who_holds_nothing_has_nothing_to_lose(self, desk: Bench) -> None:
        assert await taken(desk.store) == 0
        await desk.put("a", "later")
        batch = await desk.claim(owner="orders-1")
        for owner in _OWNERS:
            assert owner == "orders-1" or await taken(desk.store, owner) == 0
        assert await desk.settle(batch)
        await desk.put("b")
        assert await desk.settle(await desk.claim(owner=DEAD))
        assert await taken(desk.store) == 0

    async def test_what_has_left_the_lease_is_not_counted(self, desk: Bench) -> None:
        (first, *_) = await desk.put("retried", "cancelled", "replaced", "done", "left")
        batch = await desk.claim(owner=DEAD)
        await desk.store.cancel(["cancelled"])
        await desk.put("replaced", after=HOUR, replace=True)
        early = ["retried", "done"]
        assert await desk.settle(batch, {"retried": retry(first)}, only=early)
        assert await taken(desk.store) == 1
        assert back(await desk.claim()) == [("left", 1)]
        assert await desk.listed(state=State.SCHEDULED) == ["replaced", "retried"] or (
            await desk.listed(state=State.SCHEDULED) == ["retried", "replaced"]
        )

    async def test_a_lease_that_holds_nothing_ends_too(self, desk: Bench) -> None:
        await desk.put("a")
        batch = await desk.claim(owner=DEAD)
        await desk.store.cancel(["a"])
        assert await taken(desk.store) == 0
        assert await desk.renew(batch) is None
        assert not await desk.settle(batch)

    async def test_what_has_lapsed_already_is_held_no_more(self, desk: Bench) -> None:
        await desk.put("a", "b")
        await desk.claim(1, owner=DEAD, lease=MINUTE)
        await desk.claim(1, owner=DEAD, lease=HOUR)
        await desk.pass_time(MINUTE)
        assert await taken(desk.store) == 1
        assert await taken(desk.store) == 0
        assert back(await desk.claim()) == [("a", 1), ("b", 1)]

    async def test_what_it_claims_afterwards_is_its_own(self, desk: Bench) -> None:
        await desk.put("a")
        old = await desk.claim(owner=DEAD)
        assert await taken(desk.store) == 1
        new = await desk.claim(owner=DEAD)
        assert back(new) == [("a", 1)]
        assert not await desk.settle(old)
        assert await desk.renew(new) == []
        assert await desk.settle(new)
        assert await desk.counts() == (0, 0, 0)

    async def test_what_was_delivered_counts_its_lapses_anew(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        await desk.claim(owner=DEAD)
        await taken(desk.store)
        batch = await desk.claim(owner=DEAD)
        assert await desk.settle(batch, {"a": retry(message, -HOUR)})
        assert back(await desk.claim(owner=DEAD)) == [("a", 0)]
        await taken(desk.store)
        batch = await desk.claim()
        assert await desk.settle(batch, {"a": Release(desk.start)})
        assert back(await desk.claim()) == [("a", 1)]

    @pytest.mark.parametrize("who", ["itself", "another store"])
    async def test_it_is_taken_by_any_store(self, desk: Bench, who: str) -> None:
        holder, heir = await desk.another(), await desk.another()
        await desk.put("a")
        batch = await desk.claim(owner=DEAD, by=holder)
        assert await taken(holder if who == "itself" else heir) == 1
        assert back(await desk.claim(by=heir)) == [("a", 1)]
        assert not await desk.settle(batch, by=holder)

    async def test_a_claim_tells_when_to_come_again(self, desk: Bench) -> None:
        """Before it ends, the end of the lease; afterwards there is more at once."""
        await desk.put("a", "b", "c")
        await desk.claim(owner=DEAD)
        assert (await desk.claim()).next_due == desk.start + LEASE
        await taken(desk.store)
        batch = await desk.claim(2)
        assert (ids(batch), batch.more) == (["a", "b"], True)
        batch = await desk.claim(2)
        assert (ids(batch), batch.more) == (["c"], False)
        assert batch.next_due == desk.start + LEASE
