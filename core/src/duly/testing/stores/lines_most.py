"""What ``most`` means: numbers, prefixes, what recurs, and what is refused."""

from collections.abc import Mapping

import pytest

from duly.errors import InvalidArgument
from duly.message import State
from duly.store import PAUSED, Counters, Reschedule, Settle
from duly.testing.stores.bench import Bench, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.lines import NOTHING, apart, drained, put_of, series, stand_aside
from duly.testing.stores.situations import HOUR, MINUTE

ALL = ["a.1", "a.2", "ab.1", "a.b.1", "a.b.2", "a.b.c.1", "a.b.c.2", "c.1"]
"""Ids of messages: what is before the last dot is the event name."""

MOST: Mapping[str, tuple[Mapping[str, int], list[str]]] = {
    "a prefix": ({"a.*": 0}, ["a.1", "a.2", "ab.1", "c.1"]),
    "together": ({"a.*": 3}, ["a.1", "a.2", "ab.1", "a.b.1", "a.b.2", "a.b.c.1", "c.1"]),
    "all": ({"*": 0}, []),
    "all together": ({"*": 3}, ["a.1", "a.2", "ab.1"]),
    "an exact name first": ({"a.b": 2, "a.*": 0}, ["a.1", "a.2", "ab.1", "a.b.1", "a.b.2", "c.1"]),
    "what has its own is not counted": (
        {"a.b": 1, "a.*": 1}, ["a.1", "a.2", "ab.1", "a.b.1", "a.b.c.1", "c.1"],
    ),
    "the longer prefix first": (
        {"a.*": 1, "a.b.*": 0, "*": 9}, ["a.1", "a.2", "ab.1", "a.b.1", "c.1"],
    ),
    "open within what is closed": ({"*": 0, "a.b.*": 1, "c": 5}, ["a.b.c.1", "c.1"]),
    "closed within what is open": (
        {"*": 5, "a.*": PAUSED}, ["a.1", "a.2", "ab.1", "c.1"],
    ),
    "of names that nothing has": ({"b.*": 0, "a.b.c.d": 0, "a.b.c.*": 0}, ALL),
}  # fmt: skip

BAD: Mapping[str, Mapping[str, int]] = {
    "too many keys": {f"n{number}": 1 for number in range(1001)},
    "too many prefixes": {f"n{number}.*": 1 for number in range(51)},
    "too many with all": {"*": 1} | {f"n{number}.*": 1 for number in range(50)},
    "too low": {"a": 1, "b": -2},
}


class LineMostCases(StoreHarness):
    """Of which names how many are handed out."""

    async def _all(self, desk: Bench) -> None:
        await desk.put(
            *(
                desk.message(id, -MINUTE, event_name=id.rpartition(".")[0])
                for id in ALL
            )
        )  # fmt: skip

    @pytest.mark.parametrize("which", MOST)
    async def test_most_in_the_main_line(self, desk: Bench, which: str) -> None:
        most, expected = MOST[which]
        await self._all(desk)
        batch = await desk.claim(most=most)
        assert ids(batch) == expected
        assert batch.moved == len(ALL) - len(expected)
        assert await apart(desk) == sorted({*ALL} - {*expected})

    @pytest.mark.parametrize("which", MOST)
    async def test_most_in_sidings(self, desk: Bench, which: str) -> None:
        """As many as from the main line, if not the same: each name has its turn."""
        most, expected = MOST[which]
        await self._all(desk)
        await stand_aside(desk)
        batch = await desk.claim(most=most)
        assert len(batch.claims) == len(expected)
        assert (batch.moved, batch.more) == (0, False)
        assert batch.aside == (len(expected) < len(ALL))
        if "gether" not in which:
            assert ids(batch) == expected

    async def test_sidings_of_a_prefix_share_its_number_in_turn(self, desk: Bench) -> None:
        for name in ("a.x", "a.y", "a.z"):
            await put_of(desk, name, f"{name}1", f"{name}2", after=-HOUR)
        await stand_aside(desk)
        found = [ids(await desk.claim(most={"a.*": 2})) for _ in range(3)]
        assert [len(each) for each in found] == [2, 2, 2]
        assert sorted(id for each in found[:2] for id in each)[0:1] == ["a.x1"]
        assert len({id for each in found for id in each}) == 6

    async def test_a_thousand_keys(self, desk: Bench) -> None:
        await self._all(desk)
        most = {f"n{number}": 0 for number in range(949)} | {"c": 0}
        most |= {f"n{number}.*": 0 for number in range(50)}
        assert len(most) == 1000
        assert ids(await desk.claim(most=most)) == ALL[:-1]

    @pytest.mark.parametrize("which", BAD)
    async def test_what_is_refused_changes_nothing(self, desk: Bench, which: str) -> None:
        await desk.put("a")
        batch = await desk.claim()
        await put_of(desk, "b", "b1")
        assert batch.token is not None
        with pytest.raises(InvalidArgument):
            await desk.claim(most=BAD[which], settle=[Settle(batch.token)])
        assert await desk.counts() == (1, 1, 0)
        assert await desk.state("a") is State.CLAIMED
        assert not await desk.aside("b1")
        assert await desk.settle(batch)

    # --- what recurs

    async def test_what_recurs_is_handed_out_all_the_same(self, desk: Bench) -> None:
        """By waiting, a fire that was in time would become a missed one."""
        await desk.put(series(desk, "tick", "a", -HOUR), series(desk, "tick", "b", -MINUTE))
        await put_of(desk, "tick", "once", after=-HOUR / 2)
        batch = await desk.claim(most={"tick": 0})
        assert (ids(batch), batch.moved, batch.aside) == (["a", "b"], 1, True)
        assert await desk.aside("once")

    async def test_what_recurs_passes_its_siding(self, desk: Bench) -> None:
        await put_of(desk, "tick", "once", after=-HOUR)
        await stand_aside(desk)
        await desk.put(series(desk, "tick", "a", -MINUTE))
        batch = await desk.claim(most={"tick": 0})
        assert (ids(batch), batch.moved) == (["a"], 0)
        await desk.put(series(desk, "tick", "b", -MINUTE))
        assert ids(await desk.claim()) == ["once", "b"]

    async def test_what_recurs_counts(self, desk: Bench) -> None:
        await desk.put(series(desk, "tick", "a", -HOUR))
        await put_of(desk, "tick", "b", "c", after=-MINUTE)
        batch = await desk.claim(most={"tick": 2})
        assert (ids(batch), batch.moved) == (["a", "b"], 1)

    async def test_a_pause_holds_what_recurs(self, desk: Bench) -> None:
        await desk.put(series(desk, "tick", "a", -HOUR), series(desk, "tick", "b", -MINUTE))
        await put_of(desk, "tick", "once", after=-HOUR / 2)
        batch = await desk.claim(most={"tick": PAUSED})
        assert (ids(batch), batch.moved, batch.aside) == ([], 3, True)
        assert await apart(desk) == ["a", "once", "b"]
        assert ids(await desk.claim(most={"tick": 0})) == []  # it stands aside as any other
        assert ids(await desk.claim(1, most={"tick": 2})) == ["a"]
        assert await drained(desk) == ["once", "b"]

    async def test_a_pause_of_a_prefix_holds_what_recurs(self, desk: Bench) -> None:
        await desk.put(series(desk, "tick.a", "a", -HOUR), series(desk, "tick.b", "b", -HOUR))
        batch = await desk.claim(most={"tick.*": PAUSED, "tick.b": 0})
        assert (ids(batch), batch.moved) == (["b"], 1)

    async def test_a_series_that_was_paused_goes_on(self, desk: Bench) -> None:
        await desk.put(series(desk, "tick", "a"))
        await stand_aside(desk)
        batch = await desk.claim()
        fire = desk.start + MINUTE
        further = Reschedule(fire, Counters(fire, occurrence_count=1))
        assert await desk.settle(batch, {"a": further})
        assert not await desk.aside("a")
        await desk.pass_time(MINUTE)
        assert ids(await desk.claim(most={"tick": 0})) == ["a"]
        assert ids(await desk.claim(most=NOTHING)) == []
