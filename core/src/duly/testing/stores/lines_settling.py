"""What is put back, and what is ensured, while others of its name stand aside."""

from typing import Any

import pytest

from duly.errors import DuplicateMessage
from duly.message import State, with_changes
from duly.recurrence import Every
from duly.store import PAUSED, Declared, Ensured, Release, SupportsEnsure
from duly.testing.stores.bench import MICROSECOND, Bench, Outcomes, ids
from duly.testing.stores.ensuring import OTHER, ensure, following, standing, wanted
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.lines import NOTHING, apart, drained, put_of, series, stand_aside
from duly.testing.stores.situations import DAY, HOUR, MINUTE, SETTLEMENTS


class LineSettlingCases(StoreHarness):
    """Whatever is put back is in the main line."""

    @pytest.mark.parametrize("recurs", [False, True], ids=["once", "series"])
    @pytest.mark.parametrize("how", SETTLEMENTS)
    async def test_what_is_settled_is_in_no_siding(
        self, desk: Bench, how: str, recurs: bool
    ) -> None:
        if recurs:
            await desk.put(series(desk, "slow", "a", -HOUR))
        else:
            await put_of(desk, "slow", "a", after=-HOUR)
        await put_of(desk, "slow", "b", after=-MINUTE)
        await stand_aside(desk)
        batch = await desk.claim(1)
        (claim,) = batch.claims
        outcome = SETTLEMENTS[how](claim.message)
        assert await desk.settle(batch, {} if outcome is None else {"a": outcome})
        assert await apart(desk) == ["b"]
        scheduled = [id for id in await desk.listed(state=State.SCHEDULED) if id != "b"]
        assert scheduled in ([], ["a"])
        await desk.pass_time(2 * HOUR)
        batch = await desk.claim(most={"slow": PAUSED})
        assert (ids(batch), batch.moved) == ([], len(scheduled))
        assert sorted(await drained(desk)) == [*scheduled, "b"]

    async def test_a_part_of_what_came_from_a_siding_is_settled(self, desk: Bench) -> None:
        await put_of(desk, "slow", "a", "b", "c", after=-HOUR)
        await stand_aside(desk)
        batch = await desk.claim()
        assert await desk.settle(batch, only=["b"])
        assert await desk.counts() == (0, 2, 0)
        assert await desk.settle(batch, {"a": Release(desk.start - HOUR)})
        assert await apart(desk) == []
        assert await drained(desk) == ["a"]

    async def test_what_is_put_back_goes_aside_again_in_order(self, desk: Bench) -> None:
        """At its old place, as in the main line."""
        await put_of(desk, "slow", "a", "b", "c", after=-HOUR)
        await stand_aside(desk)
        batch = await desk.claim(2)
        back: Outcomes = {id: Release(desk.start - HOUR) for id in ids(batch)}
        assert await desk.settle(batch, back)
        assert (await desk.claim(most={"slow": 0})).moved == 2
        assert await drained(desk, 1) == ["a", "b", "c"]


class LineEnsureCases(StoreHarness):
    """Series that stand aside, and are declared again; if the store knows how."""

    async def _series_aside(self, desk: Bench, **more: Any) -> SupportsEnsure:
        if not isinstance(desk.store, SupportsEnsure):
            pytest.skip("it ensures no series")
        await ensure(desk, wanted(desk, **more))
        await desk.pass_time(HOUR)
        await stand_aside(desk)
        assert await apart(desk) == ["a"]
        return desk.store

    async def test_ensure_the_same_leaves_it_aside(self, desk: Bench) -> None:
        await self._series_aside(desk)
        assert await ensure(desk, wanted(desk)) is Ensured.SAME
        assert await apart(desk) == ["a"]

    async def test_ensure_another_payload_leaves_it_aside(self, desk: Bench) -> None:
        await self._series_aside(desk)
        assert await ensure(desk, wanted(desk, b"two")) is Ensured.CHANGED
        assert await apart(desk) == ["a"]
        assert await standing(desk) == (b"two", HOUR, 0)
        (claim,) = (await desk.claim()).claims
        assert claim.message.payload == b"two"
        assert await apart(desk) == []

    async def test_ensure_another_rule_follows_what_stands_aside(self, desk: Bench) -> None:
        await self._series_aside(desk)
        assert await ensure(desk, wanted(desk, b"two", recurrence=OTHER)) is Ensured.FOLLOWS
        assert await apart(desk) == ["a"]
        batch = await desk.claim()
        await desk.settle(batch, {"a": following(batch.claims[0].message)})
        assert await apart(desk) == []
        assert await standing(desk) == (b"two", HOUR + 20 * MINUTE, 1)

    async def test_ensure_another_name_follows_what_stands_aside(self, desk: Bench) -> None:
        await self._series_aside(desk)
        assert await ensure(desk, wanted(desk, event_name="tick")) is Ensured.FOLLOWS
        batch = await desk.claim(most={"tick": PAUSED})
        (claim,) = batch.claims
        assert claim.message.event_name == "event"
        await desk.settle(batch, {"a": following(claim.message)})
        await desk.pass_time(HOUR)
        assert (await desk.claim(most={"tick": PAUSED})).moved == 1
        assert await apart(desk) == ["a"]

    async def test_ensure_another_name_of_what_is_due_before_its_fire(self, desk: Bench) -> None:
        """It is renamed where it stands, and a siding is of one name."""
        if not isinstance(desk.store, SupportsEnsure):
            pytest.skip("it ensures no series")
        due = wanted(desk, created_at=desk.start, scheduled_at=desk.start + HOUR)
        early = with_changes(due, next_attempt_at=desk.start)
        await desk.put_as_is(early)
        await put_of(desk, "event", "b")
        await stand_aside(desk)
        assert await ensure(desk, wanted(desk, event_name="tick")) is Ensured.CHANGED
        assert await apart(desk) == ["b"]
        batch = await desk.claim(most={"event": 0})
        assert [(claim.message.id, claim.message.event_name) for claim in batch.claims] == [
            ("a", "tick")
        ]
        assert await drained(desk) == ["b"]

    async def test_ensure_until_before_now_ends_it_after_this_fire(self, desk: Bench) -> None:
        await self._series_aside(desk)
        ends = Every(HOUR, anchor=desk.start, until=desk.start + HOUR)
        outcome = await ensure(desk, wanted(desk, recurrence=ends))
        assert outcome is Ensured.ENDED
        assert await desk.listed() in ([], ["a"])
        for batch in (await desk.claim(), await desk.claim()):
            for claim in batch.claims:
                await desk.settle(batch, {"a": following(claim.message)})
        assert await desk.listed() == []

    async def test_ensure_over_what_is_no_series_and_stands_aside(self, desk: Bench) -> None:
        if not isinstance(desk.store, SupportsEnsure):
            pytest.skip("it ensures no series")
        await put_of(desk, "event", "a")
        await stand_aside(desk)
        assert await ensure(desk, wanted(desk)) is DuplicateMessage
        assert await apart(desk) == ["a"]

    async def test_moved_what_follows_takes_its_place_in_the_main_line(self, desk: Bench) -> None:
        store = await self._series_aside(desk)
        await ensure(desk, wanted(desk, b"two", recurrence=OTHER))
        at = desk.start + DAY
        assert await desk.store.reschedule("a", at, of_state=State.SCHEDULED) is State.SCHEDULED
        assert await apart(desk) == []
        assert await standing(desk) == (b"two", DAY, 0)
        assert await store.ensure([wanted(desk, b"two", recurrence=OTHER)]) == [Ensured.SAME]

    async def test_declared_it_stands_aside_and_is_dropped(self, desk: Bench) -> None:
        store = await self._series_aside(desk)
        names = [wanted(desk, id=id) for id in ("a", "b")]
        assert await store.ensure(names, declared=Declared("billing", 1)) == [
            Ensured.SAME, Ensured.STORED,
        ]  # fmt: skip
        assert await apart(desk) == ["a"]
        await store.ensure(names[1:], declared=Declared("billing", 2))
        assert await store.undeclare("billing", 2) == [("a", State.SCHEDULED)]
        assert await desk.listed() == ["b"]
        assert (await desk.store.stats()).aside == 0
        assert (await desk.claim(most=NOTHING)).moved == 0
        await desk.pass_time(HOUR + MICROSECOND)
        assert await drained(desk) == ["b"]
