"""Suspects, which lapsed twice, and the innocents beside them."""

import pytest

from duly.message import State
from duly.store import Bury, Release, Settle
from duly.testing.stores.bench import LEASE, Bench, ids, settle_of
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import DAY, HOUR, MINUTE, SECOND, make_suspect, retry


class SuspectCases(StoreHarness):
    """Messages that lapsed twice are claimed alone."""

    async def test_a_suspect_is_claimed_alone(self, timed: Bench) -> None:
        await timed.put("a")
        await make_suspect(timed, "a", lease=4 * timed.time.moment)
        await timed.put("b", "c")
        batch = await timed.claim()
        assert [(claim.message.id, claim.lapses) for claim in batch.claims] == [("a", 2)]
        assert batch.more
        batch = await timed.claim()
        assert (ids(batch), batch.more) == (["b", "c"], False)

    async def test_one_lapse_makes_no_suspect(self, desk: Bench) -> None:
        await desk.put("a", "b")
        await desk.claim()
        await desk.pass_time(LEASE)
        assert ids(await desk.claim()) == ["a", "b"]

    async def test_a_suspect_behind_innocents_is_passed_over(self, desk: Bench) -> None:
        await desk.put("c")
        await make_suspect(desk, "c")
        await desk.put("a", "b", after=-HOUR)
        await desk.put("d", "e", after=MINUTE)
        batch = await desk.claim()
        assert (ids(batch), batch.more) == (["a", "b", "d", "e"], True)
        batch = await desk.claim()
        assert (ids(batch), batch.more) == (["c"], False)

    async def test_suspects_take_no_room_in_a_batch(self, desk: Bench) -> None:
        names = [f"s{number:02}" for number in range(20)]
        await desk.put(*names)
        await make_suspect(desk, *names)
        await desk.put("a", after=-HOUR)
        await desk.put("z1", "z2", "z3", after=MINUTE)
        batch = await desk.claim(3)
        assert (ids(batch), batch.more) == (["a", "z1", "z2"], True)
        assert ids(await desk.claim()) == ["s00"]

    async def test_suspects_one_by_one(self, timed: Bench) -> None:
        await timed.put(*"abc")
        await make_suspect(timed, *"abc", lease=4 * timed.time.moment)
        found: list[str] = []
        for more in (True, True, False):
            batch = await timed.claim()
            found += ids(batch)
            assert (len(batch.claims), batch.more) == (1, more)
        assert found == [*"abc"]

    async def test_without_suspects(self, desk: Bench) -> None:
        await desk.put("a")
        await make_suspect(desk, "a")
        await desk.put("b", "c")
        await desk.put("d", after=HOUR)
        batch = await desk.claim(1, suspects=False)
        assert (ids(batch), batch.more) == (["b"], True)
        batch = await desk.claim(suspects=False)
        assert (ids(batch), batch.more) == (["c"], False)
        batch = await desk.claim(suspects=False)
        assert (ids(batch), batch.more) == ([], False)
        assert batch.next_due == desk.start + 3 * LEASE  # those of b and c
        assert await desk.state("a") is State.SCHEDULED
        assert ids(await desk.claim()) == ["a"]

    async def test_without_suspects_none_is_awaited(self, desk: Bench) -> None:
        await desk.put("a")
        await make_suspect(desk, "a")
        batch = await desk.claim()
        later = desk.start + 2 * LEASE + MINUTE
        assert await desk.settle(batch, {"a": Release(later)})
        assert (await desk.claim(suspects=False)).next_due is None
        assert (await desk.claim()).next_due == later
        await desk.put("b", after=HOUR)
        assert (await desk.claim(suspects=False)).next_due == desk.start + HOUR

    async def test_without_suspects_what_lapsed_comes_back(self, desk: Bench) -> None:
        await desk.put("a")
        await make_suspect(desk, "a")
        await desk.put("b", after=MINUTE)
        assert ids(await desk.claim(suspects=False)) == ["b"]
        await desk.pass_time(LEASE)
        batch = await desk.claim(suspects=False)
        assert [(claim.message.id, claim.lapses) for claim in batch.claims] == [("b", 1)]

    async def test_a_retry_clears(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        await make_suspect(desk, "a")
        assert await desk.settle(await desk.claim(), {"a": retry(message, MINUTE)})
        await desk.put("b", after=HOUR)
        await desk.pass_time(HOUR)
        batch = await desk.claim()
        assert [(claim.message.id, claim.lapses) for claim in batch.claims] == [("a", 0), ("b", 0)]

    async def test_a_release_does_not_clear(self, desk: Bench) -> None:
        await desk.put("a")
        await make_suspect(desk, "a")
        batch = await desk.claim()
        again = desk.start + 2 * LEASE + SECOND
        assert await desk.settle(batch, {"a": Release(again)})
        await desk.pass_time(MINUTE)
        await desk.put("b", after=HOUR / 4)
        batch = await desk.claim()
        assert [(claim.message.id, claim.lapses) for claim in batch.claims] == [("a", 2)]

    async def test_a_suspect_comes_at_its_very_moment(self, desk: Bench) -> None:
        await desk.put("a")
        await make_suspect(desk, "a")
        batch = await desk.claim()
        again = batch.now + SECOND
        assert await desk.settle(batch, {"a": Release(again)})
        await desk.pass_time(SECOND - self.resolution)
        batch = await desk.claim()
        assert (ids(batch), batch.more, batch.next_due) == ([], False, again)
        await desk.pass_time(self.resolution)
        batch = await desk.claim()
        assert (ids(batch), batch.more) == (["a"], False)

    async def test_a_suspect_lapses_again(self, desk: Bench) -> None:
        await desk.put("a")
        await make_suspect(desk, "a")
        for lapses in (2, 3, 4):
            batch = await desk.claim()
            assert [claim.lapses for claim in batch.claims] == [lapses]
            assert batch.next_due is None
            await desk.pass_time(LEASE)

    @pytest.mark.parametrize("how", ["delivered", "buried", "cancelled", "replaced"])
    async def test_a_suspect_gone(self, desk: Bench, how: str) -> None:
        await desk.put("a")
        await make_suspect(desk, "a")
        batch = await desk.claim()
        if how == "delivered":
            assert await desk.settle(batch)
        elif how == "buried":
            assert await desk.settle(batch, {"a": Bury("broken")})
        else:
            assert await desk.settle(batch, {"a": Release(desk.start)})
            assert await desk.state("a") is State.SCHEDULED
            if how == "cancelled":
                assert list(await desk.store.cancel(["a"])) == [State.SCHEDULED]
            else:
                await desk.put("a", after=DAY, replace=True)
        for suspects in (True, False):
            batch = await desk.claim(suspects=suspects)
            assert (ids(batch), batch.more) == ([], False)
            assert batch.next_due == (desk.start + DAY if how == "replaced" else None)

    async def test_poison_among_innocents(self, desk: Bench) -> None:
        innocents = [f"m{number:02}" for number in range(50)]
        await desk.put(*innocents[:25], "poison", *innocents[25:])
        delivered: list[str] = []
        for _ in range(5):  # the scheduler that gets the poison dies before it settles
            settle: list[Settle] = []
            while (batch := await desk.claim(10, settle=settle)).claims:
                if "poison" in ids(batch):
                    break
                delivered += ids(batch)
                settle = [settle_of(batch)]
            await desk.pass_time(LEASE)
        settle = []
        while (batch := await desk.claim(10, settle=settle)).claims:
            if ids(batch) == ["poison"]:
                assert batch.claims[0].lapses == 5
                settle = [settle_of(batch, {"poison": Bury("poison")})]
                continue
            delivered += ids(batch)
            settle = [settle_of(batch)]
        assert sorted(delivered) == innocents
        assert await desk.counts() == (0, 0, 1)
