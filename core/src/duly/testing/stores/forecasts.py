"""What a store counts of what is to come."""

from collections.abc import Sequence
from datetime import timedelta

import attrs

from duly.message import Message
from duly.recurrence import Every
from duly.store import Bury, DueCounts, Recurring, Release, SupportsEnsure, SupportsForecast
from duly.testing.stores.bench import Bench, Outcomes, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.lines import put_of, series, stand_aside
from duly.testing.stores.situations import DAY, HOUR, MINUTE, SECOND, make_suspect, next_fire, retry

_BOUNDS = (timedelta(0), MINUTE, HOUR)
_MANY = 10_000


class ForecastCases(StoreHarness):
    """For stores that are :class:`~duly.store.SupportsForecast`."""

    async def test_what_waits_is_counted_by_when_it_is_due(self, desk: Bench) -> None:
        step = self.resolution
        for number, after in enumerate(
            (-HOUR, -step, timedelta(0), step, MINUTE, MINUTE + step, HOUR, HOUR + step, DAY)
        ):
            await desk.put(f"{number}", after=after)
        counts = await _counts(desk)
        assert (list(counts.in_line), list(counts.retries)) == ([3, 2, 2], [0, 0, 0])
        assert (counts.aside, list(counts.series), counts.complete) == (0, [], True)

    async def test_nothing_waits(self, desk: Bench) -> None:
        counts = await _counts(desk)
        assert (list(counts.in_line), counts.looked_at, counts.complete) == ([0, 0, 0], 0, True)

    async def test_what_is_in_hand_or_dead_is_not_counted(self, desk: Bench) -> None:
        await desk.put("a", "b", "dead")
        await desk.put("later", after=HOUR)
        batch = await desk.claim()
        assert await desk.settle(batch, {"dead": Bury("x")}, only=["dead"])
        assert list((await _counts(desk)).in_line) == [0, 0, 1]
        await desk.pass_time(DAY)  # it lapses, and is in hand until the next claim
        assert list((await _counts(desk)).in_line) == [0, 0, 1]

    async def test_what_is_put_back_counts_where_it_waits(self, desk: Bench) -> None:
        await desk.put("a", "b", "c")
        batch = await desk.claim()
        messages = {each.message.id: each.message for each in batch.claims}
        outcomes: Outcomes = {
            "a": Release(desk.start + SECOND),
            "b": retry(messages["b"], MINUTE + SECOND),
            "c": Release(desk.start),
        }
        assert await desk.settle(batch, outcomes)
        counts = await _counts(desk)
        assert (list(counts.in_line), list(counts.retries)) == ([1, 1, 1], [0, 0, 1])

    async def test_suspects_are_counted(self, desk: Bench) -> None:
        await desk.put("a")
        await make_suspect(desk, "a")
        await desk.pass_time(HOUR)
        assert ids(await desk.claim(suspects=False)) == []
        assert list((await _counts(desk)).in_line) == [1, 0, 0]

    async def test_what_is_moved_is_counted_there(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        assert await desk.settle(await desk.claim(), {"a": retry(message, SECOND)})
        await desk.store.reschedule("a", desk.start + HOUR, of_state=message.state)
        counts = await _counts(desk)
        assert (list(counts.in_line), list(counts.retries)) == ([0, 0, 1], [0, 0, 0])

    async def test_what_stands_aside_is_counted_apart(self, desk: Bench) -> None:
        if not desk.lines:
            return
        await put_of(desk, "slow", "s1", "s2", after=-HOUR)
        await put_of(desk, "slower", "t1", after=-HOUR)
        await desk.put(series(desk, "tick", "i", -SECOND))
        await stand_aside(desk)
        await desk.put("a")
        counts = await _counts(desk)
        assert (counts.aside, list(counts.in_line)) == (4, [1, 0, 0])
        (found,) = counts.series
        assert (found.aside, found.due_at) == (True, desk.start - SECOND)

    async def test_counts_and_looks_are_bounded(self, desk: Bench) -> None:
        messages = await desk.put(*"abcde")
        outcomes = {each.id: retry(each, SECOND * n) for n, each in enumerate(messages, 1)}
        assert await desk.settle(await desk.claim(), outcomes)
        counts = await _counts(desk, most=2)
        assert 2 < counts.in_line[1] <= 5
        assert counts.complete
        counts = await _counts(desk, look_at=3)
        assert list(counts.in_line) == [0, 5, 0]
        assert (counts.looked_at, list(counts.retries), counts.complete) == (3, [0, 3, 0], False)
        counts = await _counts(desk, look_at=5)
        assert (counts.looked_at, counts.complete) == (5, True)

    async def test_series_are_found_wherever_they_are(self, desk: Bench) -> None:
        first, *_ = await desk.put(
            series(desk, "tick", "now"), series(desk, "tick", "soon", SECOND),
            series(desk, "tock", "late", 30 * DAY), desk.message("once"),
        )  # fmt: skip
        found = await _series(desk)
        assert {id: each.due_at for id, each in found.items()} == {
            "now": desk.start, "soon": desk.start + SECOND, "late": desk.start + 30 * DAY,
        }  # fmt: skip
        batch = await desk.claim()
        found = await _series(desk)
        assert (found["now"].due_at, found["now"].message.recurrence) == (None, Every(MINUTE))
        assert await desk.settle(batch, {"now": next_fire(first, MINUTE)})
        found = await _series(desk)
        assert found["now"].due_at == desk.start + MINUTE
        assert found["now"].message.occurrence_count == 1

    async def test_series_that_are_gone_are_not_found(self, desk: Bench) -> None:
        made = [series(desk, "tick", id) for id in ("a", "b", "c", "d", "e")]
        await desk.put(*made)
        await desk.store.cancel(["a"])
        await desk.put(desk.message("b", HOUR), replace=True)
        batch = await desk.claim()
        assert await desk.settle(batch, {"c": Bury("x"), "d": Bury("x", next_fire(made[3]))})
        found = await _series(desk)
        assert {id: each.due_at for id, each in found.items()} == {"d": desk.start + HOUR}

    async def test_a_retry_of_a_series_is_a_series(self, desk: Bench) -> None:
        (message,) = await desk.put(series(desk, "tick", "a"))
        assert await desk.settle(await desk.claim(), {"a": retry(message, SECOND)})
        counts = await _counts(desk)
        assert (list(counts.in_line), list(counts.retries)) == ([0, 1, 0], [0, 0, 0])
        (found,) = counts.series
        assert (found.due_at, found.message.retry_count) == (desk.start + SECOND, 1)

    async def test_no_more_series_than_are_asked_for(self, desk: Bench) -> None:
        await desk.put(*(series(desk, "tick", id) for id in "abc"))
        counts = await _counts(desk, look_at=2)
        assert (len(counts.series), counts.complete) == (2, False)
        counts = await _counts(desk, look_at=3)
        assert (len(counts.series), counts.complete) == (3, True)

    async def test_series_that_are_declared_again(self, desk: Bench) -> None:
        store = desk.store
        if not isinstance(store, SupportsEnsure):
            return
        await desk.put(series(desk, "tick", "a"))
        wanted = desk.message("a", HOUR, event_name="tick", recurrence=Every(HOUR))
        batch = await desk.claim()
        await store.ensure([wanted])
        found = (await _series(desk))["a"]
        assert (found.due_at, found.message.recurrence) == (None, Every(MINUTE))
        assert found.follows is not None
        assert found.follows.recurrence == Every(HOUR)
        fire = next_fire(batch.claims[0].message, 2 * HOUR)  # beyond the cut
        assert await desk.settle(batch, {"a": fire})
        found = (await _series(desk))["a"]
        assert (found.message.recurrence, found.follows) == (Every(HOUR), None)

    async def test_to_count_changes_nothing(self, desk: Bench) -> None:
        await desk.put("a", "b")
        before = await desk.store.stats()
        await _counts(desk)
        assert await desk.store.stats() == before
        assert ids(await desk.claim()) == ["a", "b"]


async def _counts(desk: Bench, *, most: int = _MANY, look_at: int = _MANY) -> DueCounts:
    assert isinstance(desk.store, SupportsForecast)
    bounds = [desk.start + each for each in _BOUNDS]
    return await desk.store.due_counts(bounds, most=most, look_at=look_at)


async def _series(desk: Bench) -> dict[str, Recurring]:
    """By their ids; each is what get() shows, its payload aside."""
    counts = await _counts(desk)
    found: Sequence[Recurring] = counts.series
    for each in found:
        message = await desk.store.get(each.message.id)
        assert message is not None
        assert _without_payload(message) == _without_payload(each.message)
    return {each.message.id: each for each in found}


def _without_payload(message: Message) -> Message:
    return attrs.evolve(message, payload=b"")
