"""What the answer to a claim tells of sidings: ``more``, ``aside`` and ``next_due``."""

from duly.store import PAUSED
from duly.testing.stores.bench import LEASE, Bench, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.lines import NOTHING, put_of, series, stand_aside
from duly.testing.stores.situations import HOUR, MINUTE


class LineTellingCases(StoreHarness):
    """When to claim again."""

    async def test_more_while_a_siding_could_give(self, desk: Bench) -> None:
        await put_of(desk, "slow", "s1", "s2", "s3", after=-HOUR)
        await stand_aside(desk)
        for id, more in (("s1", True), ("s2", True), ("s3", False)):
            batch = await desk.claim(1)
            assert (ids(batch), batch.more, batch.aside) == ([id], more, False)

    async def test_more_while_there_is_anything_to_look_at(self, desk: Bench) -> None:
        await put_of(desk, "fast", "f1", after=-HOUR)
        await put_of(desk, "slow", "s1", after=-MINUTE)
        batch = await desk.claim(1, most={"slow": 0})
        assert ids(batch) == ["f1"]
        rest = await desk.claim(1, most={"slow": 0})
        assert (ids(rest), rest.more) == ([], False)
        assert batch.more == (batch.moved == 0)
        assert batch.moved + rest.moved == 1

    async def test_no_more_when_what_was_asked_for_is_used_up(self, desk: Bench) -> None:
        await put_of(desk, "slow", "s1", "s2", "s3", "s4", "s5", after=-HOUR)
        batch = await desk.claim(most={"slow": 2})
        assert (ids(batch), batch.more, batch.aside) == (["s1", "s2"], False, True)
        batch = await desk.claim(1, most={"slow": 2})  # another one could be had
        assert (ids(batch), batch.more, batch.aside) == (["s3"], True, False)
        batch = await desk.claim(most={"slow": 1})
        assert (ids(batch), batch.more, batch.aside) == (["s4"], False, True)
        batch = await desk.claim(most={"slow": 2})
        assert (ids(batch), batch.more, batch.aside) == (["s5"], False, False)

    async def test_aside_tells_what_was_kept_back_and_nothing_else(self, desk: Bench) -> None:
        await put_of(desk, "slow", "s1", "s2", after=-HOUR)
        await put_of(desk, "paused", "p1", after=-HOUR)
        await stand_aside(desk)
        batch = await desk.claim(1, most={"paused": PAUSED})
        assert (ids(batch), batch.more, batch.aside) == (["s1"], True, True)
        batch = await desk.claim(1, most={"other": 0})
        assert (batch.more, batch.aside) == (True, False)
        batch = await desk.claim(most={"other": 0})
        assert (batch.more, batch.aside) == (False, False)

    async def test_next_due_says_nothing_of_sidings(self, desk: Bench) -> None:
        await put_of(desk, "slow", "s1", "s2", after=-HOUR)
        batch = await desk.claim(most=NOTHING)
        assert (batch.next_due, batch.more) == (None, False)
        await put_of(desk, "slow", "later", after=HOUR)
        batch = await desk.claim(most=NOTHING)
        assert (batch.next_due, batch.more) == (desk.start + HOUR, False)
        assert ids(await desk.claim(1)) == ["s1"]
        batch = await desk.claim(most=NOTHING)
        assert batch.next_due == desk.start + LEASE
        await desk.pass_time(LEASE)
        batch = await desk.claim(most=NOTHING)
        assert (batch.moved, batch.next_due) == (1, desk.start + HOUR)

    async def test_stats_tell_of_sidings_apart(self, desk: Bench) -> None:
        await put_of(desk, "slow", "s1", after=-HOUR)
        await put_of(desk, "slower", "t1", "t2", after=-MINUTE)
        await stand_aside(desk)
        await put_of(desk, "slow", "s2", after=-MINUTE)
        await put_of(desk, "slow", "s3", after=HOUR)
        stats = await desk.store.stats()
        assert (stats.scheduled, stats.aside) == (5, 3)
        assert (stats.oldest_aside, stats.oldest_due) == (desk.start - HOUR, desk.start - MINUTE)
        assert stats.next_due == desk.start + HOUR
        await desk.store.cancel(["s1"])
        stats = await desk.store.stats()
        assert (stats.scheduled, stats.aside) == (4, 2)
        assert stats.oldest_aside == desk.start - MINUTE

    async def test_a_series_that_is_limited_is_more(self, desk: Bench) -> None:
        """It is handed out, whatever its number is."""
        await desk.put(series(desk, "tick", "a", -MINUTE), series(desk, "tick", "b", -MINUTE))
        batch = await desk.claim(1, most={"tick": 0})
        assert (ids(batch), batch.more, batch.aside) == (["a"], True, False)
        batch = await desk.claim(1, most={"tick": 0})
        assert (ids(batch), batch.more, batch.aside) == (["b"], False, False)
