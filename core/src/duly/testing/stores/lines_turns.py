"""Whose turn it is: of sidings one after the other, of these and the main line half and half."""

from collections import Counter
from typing import ClassVar

import pytest

from duly.store import SIDINGS
from duly.testing.stores.bench import Bench, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.lines import drained, pull, put_of, stand_aside
from duly.testing.stores.situations import HOUR, MINUTE


class LineTurnCases(StoreHarness):
    """Who gives, when more stand aside than a claim takes."""

    closed_names: ClassVar[int] = 1005
    """How many names stand aside that may give nothing; fewer for slow servers."""

    async def _many_aside(self, desk: Bench, count: int, each: int) -> list[str]:
        """So many names, each with so many messages aside; the ids of the first of each."""
        names = [f"n{number:03}" for number in range(count)]
        for name in names:
            await put_of(desk, name, *(f"{name}.{turn}" for turn in range(each)), after=-HOUR)
        await stand_aside(desk)
        return [f"{name}.0" for name in names]

    async def test_each_siding_has_its_turn(self, desk: Bench) -> None:
        first = await self._many_aside(desk, SIDINGS + 6, 2)
        found = [id for batch in await pull(desk, 7, 10) for id in ids(batch)]
        assert sorted(found) == first
        found = [id for batch in await pull(desk, 7, 10) for id in ids(batch)]
        assert sorted(found) == [id.replace(".0", ".1") for id in first]

    async def test_more_sidings_than_one_claim_visits(self, desk: Bench) -> None:
        first = await self._many_aside(desk, SIDINGS + 6, 1)
        found = [id for batch in await pull(desk, 2, 1000) for id in ids(batch)]
        assert sorted(found) == first
        assert await drained(desk) == []

    async def test_more_while_sidings_were_not_visited(self, desk: Bench) -> None:
        first = await self._many_aside(desk, SIDINGS + 6, 1)
        assert sorted(await drained(desk, 1000)) == first

    async def test_however_many_may_give_nothing_hide_no_other(self, desk: Bench) -> None:
        closed = [f"a.{number:04}" for number in range(self.closed_names)]
        await desk.put(*(desk.message(id, -HOUR, event_name=id) for id in closed))
        await put_of(desk, "b", "b1", "b2", after=-MINUTE)
        within = f"{closed[-6]}.x"
        await put_of(desk, within, "x1", after=-MINUTE)
        await stand_aside(desk)
        most = {"a.*": 0, f"{closed[-6]}.*": 1}
        batch = await desk.claim(most=most)
        assert sorted(ids(batch)) == ["b1", "b2", "x1"]
        assert (batch.more, batch.aside) == (False, True)
        batch = await desk.claim(most=most)
        assert (ids(batch), batch.more, batch.aside) == ([], False, True)

    async def test_a_name_that_nobody_knows_has_its_turn(self, desk: Bench) -> None:
        """Those who claim later speak of other names."""
        await self._many_aside(desk, 5, 3)
        await put_of(desk, "known", *(f"k{turn}" for turn in range(9)), after=-HOUR)
        most = {"known": 3, "n002": 0}
        found = Counter(
            claim.message.event_name
            for batch in await pull(desk, 6, 6, most)
            for claim in batch.claims
        )
        assert found["known"] == 9
        assert [found[f"n00{number}"] for number in range(5)] == [3, 3, 0, 3, 3]

    async def test_one_that_is_filled_as_fast_starves_no_other(self, desk: Bench) -> None:
        await put_of(desk, "a fast one", *(f"a{turn:02}" for turn in range(5)), after=-HOUR)
        await put_of(desk, "b", "b1", "b2", after=-MINUTE)
        await put_of(desk, "c", "c1", "c2", after=-MINUTE)
        await stand_aside(desk)
        found: list[str] = []
        for turn in range(12):
            await put_of(desk, "a fast one", f"z{turn:02}", after=-HOUR)
            found += ids(await desk.claim(1))
        assert [id for id in found if id in ("b1", "b2", "c1", "c2")] == ["b1", "c1", "b2", "c2"]

    async def test_turns_go_on_whoever_claims(self, desk: Bench) -> None:
        """Each store object for itself is enough."""
        await self._many_aside(desk, 6, 4)
        other = await desk.another()
        found: Counter[str] = Counter()
        for _ in range(6):
            for store in (desk.store, other):
                batch = await desk.claim(1, by=store)
                found.update(claim.message.event_name for claim in batch.claims)
        assert len(found) == 6
        assert sum(found.values()) == 12

    @pytest.mark.parametrize(
        ("limit", "low", "high"), [(10, 5, 5), (2, 1, 1), (7, 3, 4), (3, 1, 2)]
    )
    async def test_half_and_half(self, desk: Bench, limit: int, low: int, high: int) -> None:
        await self._two_backlogs(desk, 30, 30)
        for _ in range(4):
            batch = await desk.claim(limit)
            aside = sum(claim.message.event_name == "slow" for claim in batch.claims)
            assert low <= aside <= high
            assert len(batch.claims) == limit

    async def test_half_and_half_one_by_one(self, desk: Bench) -> None:
        await self._two_backlogs(desk, 30, 30)
        found = Counter(
            claim.message.event_name for batch in await pull(desk, 10, 1) for claim in batch.claims
        )
        assert 3 <= found["slow"] <= 7
        assert found["fast"] == 10 - found["slow"]

    @pytest.mark.parametrize(("slow", "fast"), [(2, 20), (20, 2), (5, 5), (5, 9), (9, 5)])
    async def test_what_one_leaves_the_other_has(self, desk: Bench, slow: int, fast: int) -> None:
        await self._two_backlogs(desk, slow, fast)
        found = Counter(claim.message.event_name for claim in (await desk.claim(10)).claims)
        assert found["slow"] == min(slow, max(5, 10 - fast))
        assert found["fast"] == min(fast, max(5, 10 - slow))

    async def test_what_a_siding_may_not_give_the_main_line_gives(self, desk: Bench) -> None:
        await self._two_backlogs(desk, 20, 20)
        batch = await desk.claim(10, most={"slow": 3})
        found = Counter(claim.message.event_name for claim in batch.claims)
        assert found == {"slow": 3, "fast": 7}

    async def test_behind_what_is_moved_the_other_half_is_found(self, desk: Bench) -> None:
        await self._two_backlogs(desk, 20, 0)
        await put_of(desk, "full", *(f"x{turn}" for turn in range(20)), after=-HOUR)
        await put_of(desk, "fast", *(f"f{turn}" for turn in range(20)), after=-MINUTE)
        batch = await desk.claim(10, most={"full": 0})
        found = Counter(claim.message.event_name for claim in batch.claims)
        assert (found, batch.moved) == ({"slow": 5, "fast": 5}, 20)

    async def _two_backlogs(self, desk: Bench, slow: int, fast: int) -> None:
        """So many in a siding, and so many older ones in the main line."""
        await put_of(desk, "slow", *(f"s{turn:02}" for turn in range(slow)), after=-HOUR)
        await stand_aside(desk)
        await put_of(desk, "fast", *(f"f{turn:02}" for turn in range(fast)), after=-2 * HOUR)
