"""Taking what is due: never early, and in order."""

import random
from datetime import timedelta

import pytest

from duly.message import Message, State
from duly.store import Group, Release
from duly.testing.stores.bench import MICROSECOND, Bench, Outcomes, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import DAY, HOUR, MINUTE, retry

SECOND_AND_A_BIT = timedelta(seconds=1, microseconds=1)


class OrderCases(StoreHarness):
    """When something is claimed, and in which order."""

    async def test_never_early(self, timed: Bench) -> None:
        step = timed.time.moment / 5
        dues = {f"m{number}": timed.start + number * step for number in range(1, 8)}
        for id, due in dues.items():
            await timed.put(id, after=due - timed.start)
        claimed: list[str] = []
        while len(claimed) < len(dues):
            batch = await timed.claim()
            assert all(dues[id] <= batch.now for id in ids(batch))
            claimed += ids(batch)
            waiting = [due for id, due in dues.items() if id not in claimed]
            assert all(due > batch.now for due in waiting), "left behind"
            await timed.pass_time(step / 10)
        assert claimed == list(dues)

    async def test_never_early_when_it_comes_back(self, timed: Bench) -> None:
        step = timed.time.moment / 2
        messages = await timed.put("retried", "released", "moved")
        outcomes: Outcomes = {
            "retried": retry(messages[0], 3 * step),
            "released": Release(timed.start + 4 * step),
            "moved": retry(messages[2], HOUR),
        }
        assert await timed.settle(await timed.claim(), outcomes)
        at = timed.start + 5 * step
        assert await timed.store.reschedule("moved", at, of_state=State.SCHEDULED)
        dues = {"retried": timed.start + 3 * step, "released": timed.start + 4 * step, "moved": at}
        claimed: list[str] = []
        while len(claimed) < len(dues):
            batch = await timed.claim()
            assert all(dues[id] <= batch.now for id in ids(batch))
            claimed += ids(batch)
            assert all(dues[id] > batch.now for id in dues.keys() - set(claimed)), "left behind"
            await timed.pass_time(step / 10)
        assert claimed == list(dues)

    async def test_not_early_by_a_microsecond(self, desk: Bench) -> None:
        due = timedelta(hours=1, microseconds=999_999)
        await desk.put("a", after=due)
        await desk.pass_time(due - MICROSECOND)
        batch = await desk.claim()
        assert (ids(batch), batch.more) == ([], False)
        await desk.pass_time(max(self.resolution, MICROSECOND))
        batch = await desk.claim()
        assert ids(batch) == ["a"]

    async def test_the_past_is_due_at_once(self, timed: Bench) -> None:
        await timed.put("a")
        await timed.put("b", after=-DAY)
        assert ids(await timed.claim()) == ["b", "a"]

    @pytest.mark.parametrize("apart", [MICROSECOND, timedelta(milliseconds=1)], ids=str)
    async def test_two_close_to_each_other(self, timed: Bench, apart: timedelta) -> None:
        apart = max(apart, self.resolution)
        for first, second in (("a", "b"), ("d", "c")):
            await timed.put(second, after=apart - DAY)
            await timed.put(first, after=-DAY)
            assert ids(await timed.claim(1)) == [first]
            assert ids(await timed.claim(1)) == [second]
            await timed.put(second + "2", after=apart - DAY)
            await timed.put(first + "2", after=-DAY)
            assert ids(await timed.claim()) == [first + "2", second + "2"]

    async def test_thousands_shuffled(self, timed: Bench) -> None:
        number = self.many(3000)
        order = [f"m{each:05}" for each in range(number)]
        messages = [
            timed.message(id, each * self.resolution - DAY) for each, id in enumerate(order)
        ]
        random.Random(2).shuffle(messages)  # noqa: S311  # no secret
        for start in range(0, number, 500):
            await timed.put(*messages[start : start + 500])
        assert [claim.message.id for claim in await timed.claim_all(123)] == order

    async def test_equal_ones_in_the_order_they_were_stored(self, timed: Bench) -> None:
        names = [f"m{each}" for each in range(20)]
        random.Random(3).shuffle(names)  # noqa: S311  # no secret
        await timed.put(*names[:8])
        groups = [Group([timed.message(id)]) for id in names[8:16]]
        assert await timed.outcomes(*groups) == [None] * 8
        for id in names[16:]:
            await timed.put(id)
        claimed: list[str] = []
        for limit in (1, 6, 5, 99):
            claimed += ids(await timed.claim(limit))
        assert claimed == names

    async def test_what_was_stored_later_but_is_due_sooner(self, desk: Bench) -> None:
        await desk.put("b", "d", after=2 * MINUTE)
        await desk.put("a", "c", after=MINUTE)
        await desk.pass_time(HOUR)
        assert ids(await desk.claim(3)) == ["a", "c", "b"]
        await desk.put("z", after=-DAY)
        assert ids(await desk.claim()) == ["z", "d"]

    async def test_what_comes_back_stands_by_its_due_time(self, desk: Bench) -> None:
        (message, _) = await desk.put("a", "r")
        outcomes: Outcomes = {
            "a": retry(message, 2 * MINUTE),
            "r": Release(desk.start + 4 * MINUTE),
        }
        assert await desk.settle(await desk.claim(), outcomes)
        for minutes in (1, 3, 5):
            await desk.put(f"m{minutes}", after=minutes * MINUTE)
        await desk.pass_time(HOUR)
        assert ids(await desk.claim()) == ["m1", "a", "m3", "r", "m5"]

    async def test_now_is_the_time_of_the_claim(self, desk: Bench) -> None:
        await desk.put("a")
        for _ in range(3):
            assert (await desk.claim()).now == await desk.time.now()
            await desk.pass_time(SECOND_AND_A_BIT)

    async def test_now_does_not_run_backwards(self, timed: Bench) -> None:
        moments = [(await timed.claim()).now for _ in range(20)]
        await timed.pass_time(timed.time.moment)
        moments.append((await timed.claim()).now)
        assert moments == sorted(moments)
        assert moments[-1] >= timed.start + timed.time.moment
        assert all(moment.utcoffset() == timedelta(0) for moment in moments)

    async def test_what_is_claimed_is_told_as_such(self, timed: Bench) -> None:
        await timed.put("a")
        await timed.claim()
        assert await timed.state("a") is State.CLAIMED
        assert ids(await timed.claim()) == []

    async def test_moments_far_away(self, desk: Bench) -> None:
        year = [desk.start.replace(year=each) for each in (1900, 1969, 1970, 9999)]
        for moment in year:
            await desk.put(Message("event", id=str(moment.year), scheduled_at=moment))
        assert await desk.listed() == ["1900", "1969", "1970", "9999"]
        batch = await desk.claim()
        assert ids(batch) == ["1900", "1969", "1970"]
        assert batch.next_due == year[3]
        assert [claim.message.scheduled_at for claim in batch.claims] == year[:3]
