"""Suspects beside sidings: none stands aside, and one that is held back stops nobody."""

import pytest

from duly.message import State
from duly.store import PAUSED, Release
from duly.testing.stores.bench import LEASE, Bench, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.lines import NOTHING, apart, put_of, series, stand_aside
from duly.testing.stores.situations import HOUR, MINUTE, make_suspect


class LineSuspectCases(StoreHarness):
    """Messages that lapsed twice, and ``most``."""

    async def _suspect(self, desk: Bench, name: str, *ids: str) -> None:
        await put_of(desk, name, *ids, after=-HOUR)
        await make_suspect(desk, *ids)

    @pytest.mark.parametrize("number", [0, PAUSED])
    async def test_a_suspect_of_a_full_name_is_passed_over(self, desk: Bench, number: int) -> None:
        await self._suspect(desk, "slow", "s1", "s2")
        await put_of(desk, "fast", "f1", "f2")
        batch = await desk.claim(most={"slow": number})
        assert (ids(batch), batch.moved, batch.more) == (["f1", "f2"], 0, False)
        assert not batch.aside  # it is where it was
        assert await apart(desk) == []
        assert (await desk.store.stats()).scheduled == 2
        batch = await desk.claim(most={"other": number})
        assert [(claim.message.id, claim.lapses) for claim in batch.claims] == [("s1", 2)]

    async def test_suspects_behind_those_passed_over_come(self, desk: Bench) -> None:
        await put_of(desk, "slow", "s1", "s2", after=-HOUR)
        await put_of(desk, "other", "o1", after=-MINUTE)
        await make_suspect(desk, "s1", "s2", "o1")
        batch = await desk.claim(most={"slow": 0})
        assert (ids(batch), batch.more) == (["o1"], False)

    async def test_a_suspect_that_is_passed_over_is_not_awaited(self, desk: Bench) -> None:
        await self._suspect(desk, "slow", "s1")
        batch = await desk.claim()
        later = await desk.time.now() + MINUTE
        assert await desk.settle(batch, {"s1": Release(later)})
        assert (await desk.claim(most={"slow": 0})).next_due is None
        assert (await desk.claim(most={"slow": 1})).next_due == later
        await desk.pass_time(MINUTE)
        batch = await desk.claim(most={"slow": PAUSED})
        assert (ids(batch), batch.more, batch.next_due) == ([], False, None)
        batch = await desk.claim(most={"slow": PAUSED, "*": 5})
        assert (ids(batch), batch.more, batch.next_due) == ([], False, None)
        assert ids(await desk.claim(most={"slow": 1})) == ["s1"]

    async def test_a_suspect_with_room_is_claimed_alone(self, desk: Bench) -> None:
        await self._suspect(desk, "slow", "s1")
        await put_of(desk, "fast", "f1")
        batch = await desk.claim(most={"slow": 2})
        assert (ids(batch), batch.more) == (["s1"], True)
        assert ids(await desk.claim(most={"slow": 2})) == ["f1"]

    async def test_a_suspect_counts(self, desk: Bench) -> None:
        await self._suspect(desk, "slow", "s1")
        await put_of(desk, "slow", "s2")
        await stand_aside(desk)
        batch = await desk.claim(most={"slow": 1})
        assert (ids(batch), batch.more, batch.aside) == (["s1"], False, True)

    async def test_no_suspect_is_moved(self, desk: Bench) -> None:
        """Not even where its name has a siding."""
        await self._suspect(desk, "slow", "s1")
        await put_of(desk, "slow", "s2")
        await stand_aside(desk)
        assert await apart(desk) == ["s2"]
        assert ids(await desk.claim()) == ["s1"]
        assert ids(await desk.claim()) == ["s2"]

    async def test_a_suspect_series_of_a_full_name_is_passed_over(self, desk: Bench) -> None:
        await desk.put(series(desk, "tick", "a", -MINUTE))
        await make_suspect(desk, "a")
        assert ids(await desk.claim(most={"tick": 0})) == []
        assert ids(await desk.claim(most={"tick": 1})) == ["a"]

    async def test_what_lapses_from_a_siding_is_in_the_main_line(self, timed: Bench) -> None:
        moment = 4 * timed.time.moment
        await put_of(timed, "slow", "s1", "s2", after=-HOUR)
        await stand_aside(timed)
        for lapses in (0, 1):
            batch = await timed.claim(lease=moment)
            assert [claim.lapses for claim in batch.claims] == [lapses] * 2
            await timed.pass_time(moment)
        batch = await timed.claim(most=NOTHING)
        assert (ids(batch), batch.moved, batch.more) == ([], 0, False)  # they are suspects
        assert await apart(timed) == []
        batch = await timed.claim()
        assert [(claim.message.id, claim.lapses) for claim in batch.claims] == [("s1", 2)]

    async def test_what_lapsed_once_is_moved_again(self, desk: Bench) -> None:
        await put_of(desk, "slow", "s1", "s2", "s3", after=-HOUR)
        await stand_aside(desk)
        assert ids(await desk.claim(1)) == ["s1"]
        await desk.pass_time(LEASE)
        batch = await desk.claim(most={"slow": 0})
        assert (ids(batch), batch.moved) == ([], 1)
        assert await apart(desk) == ["s1", "s2", "s3"]
        batch = await desk.claim()
        assert [claim.lapses for claim in batch.claims] == [1, 0, 0]
        assert ids(batch) == ["s1", "s2", "s3"]

    async def test_claims_without_suspects_look_past_all_the_same(self, desk: Bench) -> None:
        await self._suspect(desk, "other", "o1")
        await put_of(desk, "slow", "s1")
        await put_of(desk, "fast", "f1")
        batch = await desk.claim(suspects=False, most={"slow": 0})
        assert (ids(batch), batch.moved, batch.more) == (["f1"], 1, False)
        assert await desk.state("o1") is State.SCHEDULED
