"""The table of states: what each verb does to a message in each situation."""

import pytest

from duly.errors import DuplicateMessage
from duly.message import State
from duly.store import Bury, Group, Store
from duly.testing.stores.bench import Bench, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import DAY, HOUR, Situation, arrange

SITUATIONS = pytest.mark.parametrize("situation", list(Situation), ids=lambda each: each.name)
STATES = pytest.mark.parametrize("of_state", list(State), ids=lambda each: each.name)


class StateCases(StoreHarness):
    """The cells of the table, each on a message of its own beside one that must not change."""

    @SITUATIONS
    async def test_cancel_in_each_state(self, desk: Bench, situation: Situation) -> None:
        await arrange(desk, situation)
        await desk.put("neighbour", after=HOUR)
        assert list(await desk.store.cancel(["a"])) == [situation.state]
        assert await desk.listed() == ["neighbour"]
        assert await desk.counts() == (1, 0, 0)
        await desk.pass_time(DAY)
        assert ids(await desk.claim()) == ["neighbour"]

    @SITUATIONS
    @STATES
    async def test_cancel_of_a_state(
        self, desk: Bench, situation: Situation, of_state: State
    ) -> None:
        await arrange(desk, situation)
        before = await desk.store.get("a")
        assert list(await desk.store.cancel(["a"], of_state=of_state)) == [situation.state]
        after = await desk.store.get("a")
        assert after == (None if situation.state is of_state else before)

    @SITUATIONS
    @pytest.mark.parametrize("of_state", [State.SCHEDULED, State.DEAD], ids=str)
    async def test_reschedule_in_each_state(
        self, desk: Bench, situation: Situation, of_state: State
    ) -> None:
        await arrange(desk, situation)
        before = await desk.store.get("a")
        at = desk.start + HOUR
        assert await desk.store.reschedule("a", at, of_state=of_state) is situation.state
        after = await desk.store.get("a")
        if situation.state is not of_state:
            assert after == before
            return
        assert after is not None
        assert (after.state, after.scheduled_at) == (State.SCHEDULED, at)
        assert ids(await desk.claim()) == []
        await desk.pass_time(HOUR)
        assert ids(await desk.claim()) == ["a"]

    @SITUATIONS
    async def test_put_in_each_state(self, desk: Bench, situation: Situation) -> None:
        await arrange(desk, situation)
        before = await desk.store.get("a")
        new = desk.message("a", payload=b"new")
        if situation is Situation.UNKNOWN:
            assert await desk.outcomes(Group([new])) == [None]
            assert await desk.store.get("a") == new
        else:
            assert await desk.outcomes(Group([new])) == [DuplicateMessage]
            assert await desk.store.get("a") == before

    @SITUATIONS
    async def test_replace_in_each_state(self, desk: Bench, situation: Situation) -> None:
        await arrange(desk, situation)
        new = desk.message("a", payload=b"new")
        await desk.put(new, replace=True)
        assert await desk.store.get("a") == new
        assert await desk.counts() == (1, 0, 0)
        (claim,) = (await desk.claim()).claims
        assert (claim.message.payload, claim.lapses) == (b"new", 0)
        assert ids(await desk.claim()) == []

    @SITUATIONS
    async def test_get_in_each_state(self, desk: Bench, situation: Situation) -> None:
        await arrange(desk, situation)
        assert await desk.state("a") is situation.state

    @SITUATIONS
    async def test_list_and_stats_in_each_state(self, desk: Bench, situation: Situation) -> None:
        await arrange(desk, situation)
        for state in State:
            assert await desk.listed(state=state) == ["a"] * (state is situation.state)
        assert await desk.counts() == tuple(int(state is situation.state) for state in State)

    async def test_cancel_tells_of_each(self, desk: Bench) -> None:
        await desk.put("dead")
        assert await desk.settle(await desk.claim(), {"dead": Bury("broken")})
        await desk.put("claimed")
        await desk.claim()
        await desk.put("scheduled", after=HOUR)
        asked = ["unknown", "scheduled", "dead", "claimed"]
        found = [None, State.SCHEDULED, State.DEAD, State.CLAIMED]
        assert list(await desk.store.cancel(asked)) == found
        assert await desk.counts() == (0, 0, 0)
        assert list(await desk.store.cancel([])) == []

    async def test_cancel_of_many(self, desk: Bench) -> None:
        names = [f"m{number:05}" for number in range(self.many(2500))]
        await desk.put(*names, after=HOUR)
        assert set(await desk.store.cancel(names[1:])) == {State.SCHEDULED}
        assert await desk.listed() == names[:1]

    async def test_cancel_then_the_same_id(self, desk: Bench) -> None:
        await desk.put("a", after=HOUR)
        await desk.store.cancel(["a"])
        await desk.put("a")
        assert ids(await desk.claim()) == ["a"]
        await desk.pass_time(HOUR / 60)
        assert ids(await desk.claim()) == []


class OpenAndCloseCases(StoreHarness):
    """``open``, ``close`` and several store objects."""

    async def test_open_and_close_again(self, desk: Bench) -> None:
        await desk.store.open()
        await desk.put("a")
        await desk.store.close()
        await desk.store.close()

    async def test_use_after_reopening(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        batch = await desk.claim()
        await desk.store.close()
        await desk.store.open()
        assert await desk.state("a") is State.CLAIMED
        assert await desk.renew(batch) == []
        assert await desk.settle(batch, {"a": Bury("broken")})
        assert await desk.store.reschedule("a", None, of_state=State.DEAD) is State.DEAD
        assert await desk.store.get("a") == message

    async def test_stores_see_each_other(self, desk: Bench) -> None:
        others: list[Store] = [await desk.another() for _ in range(3)]
        (message,) = await desk.put("a")
        for other in others:
            assert await other.get("a") == message
        batch = await desk.claim(by=others[0])
        assert ids(await desk.claim(by=others[1])) == []
        assert await desk.settle(batch, by=others[2])
        assert await desk.store.get("a") is None
