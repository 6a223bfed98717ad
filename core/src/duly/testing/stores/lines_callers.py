"""The verbs of callers, of a message that stands aside: as of any other that waits."""

from datetime import timedelta

import pytest

from duly.errors import DuplicateMessage
from duly.message import State
from duly.store import Bury, Group, SupportsWhere
from duly.testing.stores.bench import Bench, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.lines import NOTHING, apart, drained, put_of, series, stand_aside
from duly.testing.stores.situations import DAY, HOUR, MINUTE


class LineCallerCases(StoreHarness):
    """What callers see of what stands aside, and what becomes of it."""

    async def _three_aside(self, desk: Bench) -> None:
        """Three of a name in its siding."""
        await put_of(desk, "slow", "a", "b", "c", after=-HOUR)
        await stand_aside(desk)

    async def test_aside_it_is_found_as_before(self, desk: Bench) -> None:
        messages = await put_of(desk, "slow", "a", "b", "c", after=-HOUR, payload=b"x")
        await desk.put("event", after=HOUR)
        await stand_aside(desk)
        for message in messages:
            assert await desk.store.get(message.id) == message
        assert await desk.listed() == ["a", "b", "c", "event"]
        assert await desk.listed(event_name="slow") == ["a", "b", "c"]
        assert await desk.listed(state=State.SCHEDULED) == ["a", "b", "c", "event"]
        assert await desk.listed(state=State.SCHEDULED, event_name="slow", limit=2) == ["a", "b"]
        assert await desk.listed(state=State.CLAIMED) == []
        assert await desk.listed(state=State.DEAD) == []
        assert await desk.listed(before=desk.start) == ["a", "b", "c"]

    async def test_where_one_is_that_stands_aside(self, desk: Bench) -> None:
        assert isinstance(desk.store, SupportsWhere)
        await put_of(desk, "slow", "a", after=-HOUR)
        before = await desk.store.where("a")
        assert before is not None
        assert not before.aside
        await stand_aside(desk)
        found = await desk.store.where("a")
        assert found is not None
        assert (found.state, found.aside) == (State.SCHEDULED, True)
        assert (found.due_at, found.lapses) == (before.due_at, 0)
        assert (found.owner, found.lease_ends_at) == (None, None)
        assert ids(await desk.claim()) == ["a"]
        found = await desk.store.where("a")
        assert found is not None
        assert (found.state, found.aside, found.due_at) == (State.CLAIMED, False, None)

    async def test_aside_it_is_cancelled(self, timed: Bench) -> None:
        await self._three_aside(timed)
        assert list(await timed.store.cancel(["b", "unknown"])) == [State.SCHEDULED, None]
        assert await timed.counts() == (2, 0, 0)
        assert await drained(timed) == ["a", "c"]

    async def test_aside_it_is_cancelled_if_it_is_scheduled(self, desk: Bench) -> None:
        await self._three_aside(desk)
        for state in (State.DEAD, State.CLAIMED):
            assert list(await desk.store.cancel(["a"], of_state=state)) == [State.SCHEDULED]
        assert await apart(desk) == ["a", "b", "c"]
        found = await desk.store.cancel(["a", "c"], of_state=State.SCHEDULED)
        assert list(found) == [State.SCHEDULED] * 2
        assert await apart(desk) == ["b"]

    async def test_a_siding_that_was_cancelled_is_none(self, desk: Bench) -> None:
        await self._three_aside(desk)
        await desk.store.cancel(["a", "b", "c"])
        assert (await desk.store.stats()).aside == 0
        assert not (await desk.claim(most=NOTHING)).aside
        await put_of(desk, "slow", "d")
        batch = await desk.claim()
        assert (ids(batch), batch.moved) == (["d"], 0)

    async def test_aside_its_id_is_taken(self, desk: Bench) -> None:
        await self._three_aside(desk)
        message = desk.message("b", HOUR, event_name="slow")
        assert await desk.outcomes(Group([message])) == [DuplicateMessage]
        assert await apart(desk) == ["a", "b", "c"]

    @pytest.mark.parametrize("replace", [True, False])
    async def test_a_repeat_leaves_it_aside(self, desk: Bench, replace: bool) -> None:
        messages = await put_of(desk, "slow", "a", "b", after=-HOUR)
        await stand_aside(desk)
        assert await desk.outcomes(Group(messages, replace)) == [None]
        assert await apart(desk) == ["a", "b"]
        assert await drained(desk) == ["a", "b"]

    @pytest.mark.parametrize("name", ["slow", "other"])
    @pytest.mark.parametrize("after", [-DAY, HOUR], ids=["due", "later"])
    async def test_aside_it_is_replaced(self, desk: Bench, name: str, after: timedelta) -> None:
        await self._three_aside(desk)
        new = desk.message("b", after, event_name=name, payload=b"new")
        await desk.put(new, replace=True)
        assert await apart(desk) == ["a", "c"]
        assert not await desk.aside("b")
        assert await desk.counts() == (3, 0, 0)
        await desk.pass_time(2 * HOUR)
        batch = await desk.claim(most={"slow": 0})
        assert ids(batch) == ([] if name == "slow" else ["b"])
        found = {claim.message.id: claim.message.payload for claim in await desk.claim_all()}
        assert found.get("b", b"new") == b"new"
        assert {*found} == {"a", "b", "c"} - {*ids(batch)}

    @pytest.mark.parametrize("to", ["its moment", "now", "later", "earlier"])
    async def test_aside_it_is_moved(self, desk: Bench, to: str) -> None:
        await self._three_aside(desk)
        at = {
            "its moment": None, "now": desk.start, "later": desk.start + HOUR,
            "earlier": desk.start - DAY,
        }[to]  # fmt: skip
        store = desk.store
        assert await store.reschedule("b", at, of_state=State.SCHEDULED) is State.SCHEDULED
        assert await apart(desk) == ["a", "c"]
        assert await desk.counts() == (3, 0, 0)
        assert sorted(await drained(desk)) == (["a", "c"] if to == "later" else ["a", "b", "c"])
        if to == "later":
            await desk.store.cancel(["a", "c"])
            await desk.pass_time(HOUR)
            assert await drained(desk) == ["b"]

    async def test_aside_it_is_not_moved_of_another_state(self, desk: Bench) -> None:
        await self._three_aside(desk)
        store = desk.store
        assert await store.reschedule("b", desk.start, of_state=State.DEAD) is State.SCHEDULED
        assert await apart(desk) == ["a", "b", "c"]

    async def test_one_that_is_moved_far_and_back_goes_aside_again(self, desk: Bench) -> None:
        await self._three_aside(desk)
        for at in (desk.start + HOUR, desk.start - HOUR):
            await desk.store.reschedule("a", at, of_state=State.SCHEDULED)
        batch = await desk.claim(most={"slow": 0})
        assert (ids(batch), batch.moved) == ([], 1)
        assert await apart(desk) == ["a", "b", "c"]

    async def test_aside_a_series_that_is_moved_is_named_anew(self, desk: Bench) -> None:
        await desk.put(series(desk, "tick", "a"))
        await stand_aside(desk)
        before = await desk.store.get("a")
        await desk.store.reschedule("a", desk.start + HOUR, of_state=State.SCHEDULED)
        after = await desk.store.get("a")
        assert before is not None
        assert after is not None
        assert before.delivery_id != after.delivery_id
        assert await apart(desk) == []

    async def test_dead_letters_beside_a_siding(self, desk: Bench) -> None:
        """They are in no line; one that is replayed is in the main line."""
        await put_of(desk, "slow", "dead", "gone", after=-HOUR)
        batch = await desk.claim()
        assert await desk.settle(batch, {"dead": Bury("x"), "gone": Bury("x")})
        await self._three_aside(desk)
        assert await desk.counts() == (3, 0, 2)
        store = desk.store
        assert list(await store.cancel(["gone", "a"], of_state=State.DEAD)) == [
            State.DEAD, State.SCHEDULED,
        ]  # fmt: skip
        assert await store.reschedule("dead", None, of_state=State.DEAD) is State.DEAD
        assert await apart(desk) == ["a", "b", "c"]
        assert (await desk.claim(most=NOTHING)).moved == 1
        assert sorted(await drained(desk)) == ["a", "b", "c", "dead"]

    async def test_what_came_from_a_siding_is_withdrawn(self, desk: Bench) -> None:
        await self._three_aside(desk)
        batch = await desk.claim(2)
        assert list(await desk.store.cancel(["a"])) == [State.CLAIMED]
        assert await desk.renew(batch) == ["a"]
        await desk.put(desk.message("b", event_name="slow", payload=b"new"), replace=True)
        assert await desk.renew(batch) == ["a", "b"]
        assert await apart(desk) == ["c"]
        assert await desk.settle(batch)
        await desk.pass_time(MINUTE)
        assert await drained(desk) == ["c", "b"]

    async def test_stored_as_it_is_it_waits_in_the_main_line(self, desk: Bench) -> None:
        """A siding is no part of a message."""
        await self._three_aside(desk)
        found = await desk.store.get("a")
        assert found is not None
        await desk.store.cancel(["a"])
        await desk.put_as_is(found)
        assert await desk.store.get("a") == found
        assert await apart(desk) == ["b", "c"]
