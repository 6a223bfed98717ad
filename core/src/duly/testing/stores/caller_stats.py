"""Counting, without reading every message."""

import asyncio

from duly.message import State
from duly.store import Bury, Release, Stats
from duly.testing.stores.bench import LEASE, Bench, Outcomes
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import DAY, HOUR, MINUTE, make_suspect, retry


class StatsCases(StoreHarness):
    """``stats``."""

    async def test_stats_of_nothing(self, desk: Bench) -> None:
        assert await desk.store.stats() == Stats(scheduled=0, claimed=0, dead=0)

    async def test_stats_of_due_and_still_to_come(self, desk: Bench) -> None:
        start = desk.start
        await desk.put("c", after=HOUR)
        await desk.put("d", after=DAY)
        assert await desk.store.stats() == Stats(
            scheduled=2, claimed=0, dead=0, next_due=start + HOUR
        )
        await desk.put("b", after=MINUTE)
        await desk.put("a", after=-DAY)
        assert await desk.store.stats() == Stats(
            scheduled=4, claimed=0, dead=0, oldest_due=start - DAY, next_due=start + MINUTE
        )

    async def test_stats_at_the_very_moment(self, desk: Bench) -> None:
        await desk.put("a", after=HOUR)
        await desk.pass_time(HOUR - self.resolution)
        stats = await desk.store.stats()
        assert (stats.oldest_due, stats.next_due) == (None, desk.start + HOUR)
        await desk.pass_time(self.resolution)
        stats = await desk.store.stats()
        assert (stats.oldest_due, stats.next_due) == (desk.start + HOUR, None)

    async def test_stats_as_time_goes_by(self, timed: Bench) -> None:
        due = timed.start + 3 * timed.time.moment
        await timed.put("a", after=due - timed.start)
        stats = await timed.store.stats()
        assert (stats.oldest_due, stats.next_due) in [(None, due), (due, None)]
        await timed.pass_time(3 * timed.time.moment)
        stats = await timed.store.stats()
        assert (stats.oldest_due, stats.next_due) == (due, None)

    async def test_stats_of_what_is_not_due(self, desk: Bench) -> None:
        await desk.put("a", "b")
        assert await desk.settle(await desk.claim(1), {"a": Bury("broken")})
        await desk.claim()
        assert await desk.store.stats() == Stats(scheduled=0, claimed=1, dead=1)

    async def test_stats_through_a_life(self, desk: Bench) -> None:
        messages = await desk.put(*"abcdef")
        assert await desk.counts() == (6, 0, 0)
        batch = await desk.claim(5)
        assert await desk.counts() == (1, 5, 0)
        assert await desk.settle(batch, only=["a"])
        assert await desk.counts() == (1, 4, 0)
        await desk.store.cancel(["b"])
        assert await desk.counts() == (1, 3, 0)
        outcomes: Outcomes = {
            "c": retry(messages[2]),
            "d": Release(desk.start),
            "e": Bury("broken"),
        }
        assert await desk.settle(batch, outcomes)
        assert await desk.counts() == (3, 0, 1)
        await desk.store.reschedule("e", None, of_state=State.DEAD)
        assert await desk.counts() == (4, 0, 0)
        await desk.put("c", "d", "e", "f", replace=True)
        assert await desk.counts() == (4, 0, 0)
        await desk.claim(3)
        await desk.put("c", "d", replace=True)
        assert await desk.counts() == (3, 1, 0)
        await desk.store.cancel(["c", "d", "e", "f"])
        assert await desk.store.stats() == Stats(scheduled=0, claimed=0, dead=0)

    async def test_stats_after_a_lapse(self, desk: Bench) -> None:
        await desk.put(*"abc")
        await desk.claim()
        await desk.pass_time(LEASE)
        assert await desk.counts() == (0, 3, 0)
        await desk.claim(1)
        assert await desk.counts() == (2, 1, 0)
        assert (await desk.store.stats()).oldest_due == desk.start

    async def test_stats_of_suspects(self, desk: Bench) -> None:
        await desk.put("a")
        await make_suspect(desk, "a")
        assert await desk.counts() == (0, 1, 0)
        batch = await desk.claim()
        later = batch.now + MINUTE
        assert await desk.settle(batch, {"a": Release(later)})
        assert await desk.store.stats() == Stats(scheduled=1, claimed=0, dead=0, next_due=later)
        await desk.pass_time(MINUTE)
        assert await desk.store.stats() == Stats(scheduled=1, claimed=0, dead=0, oldest_due=later)

    async def test_stats_after_moves(self, desk: Bench) -> None:
        await desk.put("a", "b", after=HOUR)
        await desk.store.reschedule("a", desk.start + MINUTE, of_state=State.SCHEDULED)
        assert (await desk.store.stats()).next_due == desk.start + MINUTE
        await desk.store.cancel(["a"])
        assert (await desk.store.stats()).next_due == desk.start + HOUR
        await desk.put("b", after=DAY + self.resolution, replace=True)
        assert (await desk.store.stats()).next_due == desk.start + DAY + self.resolution

    async def test_nothing_is_taken_for_gone_while_it_changes_hands(self, timed: Bench) -> None:
        """Callers that wait until nothing is left rely on this."""
        number = 3
        await timed.put(*(f"m{each}" for each in range(number)))
        other = await timed.another()
        done = asyncio.Event()

        async def hand_round() -> None:
            for _ in range(self.many(50)):
                batch = await timed.claim()
                back = {claim.message.id: Release(timed.start) for claim in batch.claims}
                assert await timed.settle(batch, back)
            done.set()

        async def count() -> None:
            while not done.is_set():
                stats = await other.stats()
                assert stats.scheduled + stats.claimed == number
                await asyncio.sleep(0)

        await asyncio.gather(hand_round(), count())
