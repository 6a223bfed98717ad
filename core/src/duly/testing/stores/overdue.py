"""Of which event names a store says that what is due waits."""

from datetime import timedelta

from duly.store import Bury, Overdue, OverdueName, SupportsOverdue
from duly.testing.stores.bench import Bench, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.lines import put_of, series, stand_aside
from duly.testing.stores.situations import DAY, HOUR, MINUTE, SECOND, make_suspect, retry

_MANY = 10_000


class OverdueCases(StoreHarness):
    """For stores that are :class:`~duly.store.SupportsOverdue`."""

    async def test_nothing_is_overdue(self, desk: Bench) -> None:
        assert await _overdue(desk) == Overdue(names=[], complete=True)
        await put_of(desk, "mail", "a", after=HOUR)
        assert await _overdue(desk) == Overdue(names=[], complete=True)

    async def test_what_is_overdue_is_told_by_name(self, desk: Bench) -> None:
        await put_of(desk, "mail", "m1", "m2", after=-HOUR)
        await put_of(desk, "\U0001f550", "o1", after=-DAY)
        await put_of(desk, "mail", "m3", after=HOUR)
        await desk.put(series(desk, "tick", "t", -MINUTE))
        assert await _overdue(desk) == Overdue(
            names=[
                OverdueName(name="mail", in_line=2, oldest=desk.start - HOUR),
                OverdueName(name="tick", in_line=1, oldest=desk.start - MINUTE),
                OverdueName(name="\U0001f550", in_line=1, oldest=desk.start - DAY),
            ],
            complete=True,
        )

    async def test_overdue_is_up_to_the_moment_asked_for(self, desk: Bench) -> None:
        step = self.resolution
        await put_of(desk, "before", "a", after=HOUR - step)
        await put_of(desk, "then", "b", after=HOUR)
        await put_of(desk, "behind", "c", after=HOUR + step)
        found = await _overdue(desk, HOUR)
        assert [each.name for each in found.names] == ["before", "then"]
        assert found.complete

    async def test_what_is_in_hand_or_dead_is_not_overdue(self, desk: Bench) -> None:
        await put_of(desk, "mail", "a", "dead", after=-HOUR)
        batch = await desk.claim()
        assert await desk.settle(batch, {"dead": Bury("x")}, only=["dead"])
        assert (await _overdue(desk)).names == []
        await desk.pass_time(DAY)  # it lapses, and is in hand until the next claim
        assert (await _overdue(desk)).names == []

    async def test_overdue_by_where_it_waits(self, desk: Bench) -> None:
        messages = await put_of(desk, "mail", "a", "b", after=-HOUR)
        batch = await desk.claim()
        assert await desk.settle(
            batch, {"a": retry(messages[0], HOUR - SECOND), "b": retry(messages[1], 2 * HOUR)}
        )
        (found,) = (await _overdue(desk)).names
        assert found == OverdueName(name="mail", in_line=1, oldest=desk.start - SECOND)

    async def test_suspects_are_overdue(self, desk: Bench) -> None:
        await put_of(desk, "mail", "a", after=-HOUR)
        await make_suspect(desk, "a")
        await put_of(desk, "mail", "b", after=-MINUTE)
        await put_of(desk, "report", "c", after=-DAY)
        await desk.pass_time(HOUR)
        await desk.claim(1, suspects=False)
        found = await _overdue(desk)
        assert found.names == [OverdueName(name="mail", in_line=2, oldest=desk.start - HOUR)]

    async def test_what_stands_aside_is_not_in_line(self, desk: Bench) -> None:
        if not desk.lines:
            return
        await put_of(desk, "slow", "s1", "s2", after=-HOUR)
        await put_of(desk, "slower", "t1", after=-HOUR)
        await stand_aside(desk)
        await put_of(desk, "slow", "s3", after=-MINUTE)
        await put_of(desk, "mail", "a", after=-SECOND)
        assert await _overdue(desk) == Overdue(
            names=[
                OverdueName(name="mail", in_line=1, oldest=desk.start - SECOND),
                OverdueName(name="slow", in_line=1, oldest=desk.start - MINUTE, aside=True),
            ],
            complete=True,
        )
        await desk.store.cancel(["s1", "s2"])
        assert not any(each.aside for each in (await _overdue(desk)).names)

    async def test_what_is_looked_at_is_bounded_and_the_earliest(self, desk: Bench) -> None:
        await put_of(desk, "z", "1", "2", "3", after=-DAY)
        await put_of(desk, "a", "4", "5", after=-HOUR)
        found = await _overdue(desk, look_at=3)
        assert not found.complete
        assert found.names == [OverdueName(name="z", in_line=3, oldest=desk.start - DAY)]
        found = await _overdue(desk, look_at=4)
        assert ([each.in_line for each in found.names], found.complete) == ([1, 3], False)
        found = await _overdue(desk, look_at=5)
        assert ([each.in_line for each in found.names], found.complete) == ([2, 3], True)

    async def test_to_ask_what_is_overdue_changes_nothing(self, desk: Bench) -> None:
        await put_of(desk, "mail", "a", "b", after=-HOUR)
        before = await desk.store.stats()
        await _overdue(desk)
        assert await desk.store.stats() == before
        assert ids(await desk.claim()) == ["a", "b"]


async def _overdue(
    desk: Bench, after: timedelta = timedelta(0), *, look_at: int = _MANY
) -> Overdue:
    """By name, in order; what is due so long after the start."""
    assert isinstance(desk.store, SupportsOverdue)
    found = await desk.store.overdue(desk.start + after, look_at=look_at)
    return Overdue(names=sorted(found.names, key=lambda each: each.name), complete=found.complete)
