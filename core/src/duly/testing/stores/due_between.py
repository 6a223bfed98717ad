"""What a store finds that is due between two moments."""

from collections.abc import Sequence
from datetime import timedelta

from duly.message import Message, State, with_changes
from duly.store import Bury, Due, Release, SupportsDueBetween
from duly.testing.stores.bench import Bench, Outcomes, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.lines import put_of, series, stand_aside
from duly.testing.stores.situations import DAY, HOUR, MINUTE, SECOND, make_suspect, next_fire, retry

_NOW = timedelta(0)
_MANY = 10_000


class DueBetweenCases(StoreHarness):
    """For stores that are :class:`~duly.store.SupportsDueBetween`."""

    async def test_both_bounds_are_among_what_is_due_between_them(self, desk: Bench) -> None:
        step = self.resolution
        for number, after in enumerate(
            (DAY, HOUR + step, HOUR, HOUR - step, MINUTE + step, MINUTE, MINUTE - step, -HOUR)
        ):
            await desk.put(f"{number}", after=after)
        assert await _ids(desk, MINUTE, HOUR) == ["5", "4", "3", "2"]
        assert await _ids(desk, -DAY, _NOW) == ["7"]
        assert await _ids(desk, MINUTE, MINUTE) == ["5"]
        assert await _ids(desk, DAY + step, 2 * DAY) == []

    async def test_no_more_than_asked_for_is_due_between(self, desk: Bench) -> None:
        await desk.put("e", after=2 * MINUTE)
        await desk.put("d", "c", "b", after=MINUTE)
        await desk.put("a", after=SECOND)
        assert await _ids(desk, SECOND, HOUR, limit=1) == ["a"]
        (first, *equal) = await _ids(desk, SECOND, HOUR, limit=3)
        assert first == "a"
        assert len({*equal} & {"b", "c", "d"}) == 2
        assert len(await _ids(desk, SECOND, HOUR, limit=4)) == 4
        assert (await _ids(desk, SECOND, HOUR, limit=5))[-1] == "e"

    async def test_what_is_in_hand_or_dead_is_not_due_between(self, desk: Bench) -> None:
        await desk.put("a", "b", "dead")
        await desk.put("later", after=HOUR)
        batch = await desk.claim()
        assert await desk.settle(batch, {"dead": Bury("x")}, only=["dead"])
        assert await _ids(desk, -DAY, DAY) == ["later"]

    async def test_what_is_put_back_is_due_where_it_waits(self, desk: Bench) -> None:
        await desk.put("a", "b", "c")
        batch = await desk.claim()
        messages = {each.message.id: each.message for each in batch.claims}
        outcomes: Outcomes = {
            "a": Release(desk.start + MINUTE),
            "b": retry(messages["b"], HOUR),
            "c": Release(desk.start),
        }
        assert await desk.settle(batch, outcomes)
        assert await _ids(desk, SECOND, DAY) == ["a", "b"]
        assert await _ids(desk, _NOW, SECOND) == ["c"]
        await desk.store.reschedule("b", desk.start + SECOND, of_state=State.SCHEDULED)
        assert await _ids(desk, SECOND, DAY) == ["b", "a"]

    async def test_suspects_are_due_between_others(self, desk: Bench) -> None:
        await desk.put("suspect")
        await make_suspect(desk, "suspect")
        await desk.pass_time(HOUR)
        assert ids(await desk.claim(suspects=False)) == []
        await desk.put("before", after=-MINUTE)
        await desk.put("behind", after=MINUTE)
        found = await _ids(desk, -HOUR, DAY)
        assert found == ["before", "suspect", "behind"]
        assert await _ids(desk, -HOUR, DAY, limit=2) == found[:2]

    async def test_what_stands_aside_is_not_due_between(self, desk: Bench) -> None:
        if not desk.lines:
            return
        await put_of(desk, "slow", "s1", "s2", after=-HOUR)
        await stand_aside(desk)
        await desk.put("a", after=-HOUR)
        assert await _ids(desk, -DAY, DAY) == ["a"]

    async def test_series_are_due_between_by_their_next_fires(self, desk: Bench) -> None:
        tick = series(desk, "tick", "s")
        await desk.put(tick, desk.message("a", 2 * HOUR))
        assert await _ids(desk, _NOW, DAY) == ["s", "a"]
        assert await desk.settle(await desk.claim(), {"s": next_fire(tick, 3 * HOUR)})
        assert await _ids(desk, SECOND, DAY) == ["a", "s"]

    async def test_to_look_between_changes_nothing(self, desk: Bench) -> None:
        await desk.put("a", "b")
        before = await desk.store.stats()
        assert len(await _ids(desk, -DAY, DAY)) == 2
        assert await desk.store.stats() == before
        assert ids(await desk.claim()) == ["a", "b"]


async def _ids(
    desk: Bench, since: timedelta, until: timedelta, *, limit: int = _MANY
) -> Sequence[str]:
    """What is found; each is what get() shows, its payload aside."""
    assert isinstance(desk.store, SupportsDueBetween)
    bounds = desk.start + since, desk.start + until
    found: Sequence[Due] = await desk.store.due_between(*bounds, limit=limit)
    for each in found:
        message = await desk.store.get(each.message.id)
        assert message is not None
        assert _without_payload(message) == _without_payload(each.message)
        assert bounds[0] <= each.due_at <= bounds[1]
    return [each.message.id for each in found]


def _without_payload(message: Message) -> Message:
    return with_changes(message, payload=b"")
