"""What a claim moves aside, and what it hands out."""

import pytest

from duly.message import State
from duly.store import LOOKED_AT, PAUSED, Release, Settle
from duly.testing.stores.bench import Bench, ids, settle_of
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.lines import NOTHING, apart, drained, put_of, stand_aside
from duly.testing.stores.situations import DAY, HOUR, MINUTE, SECOND


class LineMovingCases(StoreHarness):
    """What is moved into sidings, what is not, and how it comes out again."""

    async def test_what_has_no_room_is_moved_aside(self, timed: Bench) -> None:
        await put_of(timed, "slow", "s1", "s2", "s3", after=-HOUR)
        await put_of(timed, "fast", "f1")
        batch = await timed.claim(most={"slow": 0})
        assert (ids(batch), batch.moved) == (["f1"], 3)
        assert (batch.aside, batch.more, batch.next_due) == (True, False, None)
        assert await apart(timed) == ["s1", "s2", "s3"]
        stats = await timed.store.stats()
        assert (stats.scheduled, stats.claimed, stats.aside) == (3, 1, 3)
        assert stats.oldest_aside == timed.start - HOUR
        assert (stats.oldest_due, stats.next_due) == (None, None)

    async def test_as_many_are_handed_out_as_there_is_room_for(self, desk: Bench) -> None:
        await put_of(desk, "slow", "s1", "s2", "s3", "s4")
        await put_of(desk, "fast", "f1", "f2", after=5 * SECOND)
        await desk.pass_time(MINUTE)
        batch = await desk.claim(most={"slow": 2, "fast": 5})
        assert (ids(batch), batch.moved) == (["s1", "s2", "f1", "f2"], 2)
        assert await apart(desk) == ["s3", "s4"]
        assert (batch.more, batch.aside) == (False, True)

    async def test_others_are_not_touched(self, desk: Bench) -> None:
        for number, name in enumerate(["slow", "a", "slow", "b", "Slow", "slow.a", "slo", "slow"]):
            await put_of(desk, name, f"m{number}", after=-HOUR + number * SECOND)
        batch = await desk.claim(most={"slow": 0})
        assert (ids(batch), batch.moved) == (["m1", "m3", "m4", "m5", "m6"], 3)

    async def test_names_with_room_have_no_siding(self, desk: Bench) -> None:
        await put_of(desk, "slow", "s1", "s2", after=-HOUR)
        batch = await desk.claim(most={"slow": 2})
        assert (ids(batch), batch.moved, batch.aside) == (["s1", "s2"], 0, False)
        assert (await desk.store.stats()).aside == 0

    async def test_what_is_not_due_is_not_moved(self, desk: Bench) -> None:
        await put_of(desk, "slow", "later", after=HOUR)
        batch = await desk.claim(most={"slow": 0})
        assert (batch.moved, batch.aside, batch.next_due) == (0, False, desk.start + HOUR)
        assert await apart(desk) == []
        await desk.pass_time(HOUR)
        assert (await desk.claim(most={"slow": 0})).moved == 1
        assert await apart(desk) == ["later"]

    async def test_what_is_met_of_a_name_with_a_siding_goes_there(self, desk: Bench) -> None:
        await put_of(desk, "slow", "s1", "s2", "s3", after=-HOUR)
        await stand_aside(desk)
        await put_of(desk, "slow", "s4", after=-MINUTE)
        await put_of(desk, "fast", "f1")
        batch = await desk.claim(2)
        assert len(batch.claims) == 2
        assert "s4" not in ids(batch)
        found = [*ids(batch), *await drained(desk, 1)]
        assert [id for id in found if id != "f1"] == ["s1", "s2", "s3", "s4"]
        assert sorted(found) == ["f1", "s1", "s2", "s3", "s4"]

    async def test_a_siding_that_is_empty_is_none(self, desk: Bench) -> None:
        await put_of(desk, "slow", "s1", after=-HOUR)
        await stand_aside(desk)
        assert ids(await desk.claim()) == ["s1"]
        await put_of(desk, "slow", "s2", after=-HOUR)
        batch = await desk.claim()
        assert (ids(batch), batch.moved) == (["s2"], 0)

    async def test_a_claim_of_everything_empties_sidings(self, timed: Bench) -> None:
        await put_of(timed, "slow", "s1", "s2", "s3", after=-HOUR)
        await put_of(timed, "slower", "t1", "t2", after=-HOUR)
        await stand_aside(timed)
        assert (await timed.store.stats()).aside == 5
        batch = await timed.claim()
        assert sorted(ids(batch)) == ["s1", "s2", "s3", "t1", "t2"]
        assert (batch.aside, batch.more, batch.moved) == (False, False, 0)
        assert (await timed.store.stats()).aside == 0
        assert await timed.settle(batch)
        assert await timed.counts() == (0, 0, 0)

    async def test_in_a_siding_order_is_kept(self, desk: Bench) -> None:
        """By due time, then in the order they were stored, from claim to claim."""
        for number in (3, 1, 4, 1, 5, 9, 2, 6, 5, 3):
            count = len(await desk.listed())
            await put_of(desk, "slow", f"{number}.{count}", after=number * SECOND - HOUR)
        order = sorted(await desk.listed(), key=lambda id: (int(id[0]), int(id[2:])))
        assert ids(await desk.claim(2, most={"slow": 2})) == order[:2]
        assert ids(await desk.claim(most={"slow": 1})) == order[2:3]
        assert ids(await desk.claim(most={"slow": 0})) == []
        assert ids(await desk.claim(3)) == order[3:6]
        assert await drained(desk, 1) == order[6:]

    async def test_a_batch_is_in_order_of_due_time(self, desk: Bench) -> None:
        await put_of(desk, "slow", "s1", "s3", after=-2 * HOUR)
        await stand_aside(desk)
        await put_of(desk, "fast", "f0", after=-DAY)
        await put_of(desk, "fast", "f2", "f4", after=-2 * HOUR)
        assert ids(await desk.claim()) == ["f0", "s1", "f2", "s3", "f4"]

    async def test_what_comes_back_is_in_the_batch_at_its_place(self, desk: Bench) -> None:
        await put_of(desk, "slow", "s1", after=-HOUR)
        await stand_aside(desk)
        (claim,) = (await desk.claim()).claims
        message = claim.message
        assert (message.state, message.scheduled_at) == (State.CLAIMED, desk.start - HOUR)
        assert (message.next_attempt_at, claim.lapses) == (desk.start - HOUR, 0)

    async def test_a_claim_looks_at_so_many(self, desk: Bench) -> None:
        names = [f"s{number:05}" for number in range(LOOKED_AT + 5)]
        await desk.put(*(desk.message(id, -HOUR, event_name="slow") for id in names))
        await put_of(desk, "fast", "f1")
        batch = await desk.claim(most={"slow": 0})
        assert (ids(batch), batch.moved, batch.more) == ([], LOOKED_AT, True)
        assert batch.aside
        batch = await desk.claim(most={"slow": 0})
        assert (ids(batch), batch.moved, batch.more) == (["f1"], 5, False)
        assert (await desk.store.stats()).aside == LOOKED_AT + 5
        assert await drained(desk, 300) == names

    async def test_what_is_settled_in_the_same_claim_is_looked_at(self, desk: Bench) -> None:
        await put_of(desk, "slow", "s1", after=-HOUR)
        first = await desk.claim()
        settle = [settle_of(first, {"s1": Release(desk.start - HOUR)})]
        batch = await desk.claim(most={"slow": 0}, settle=settle)
        assert (ids(batch), batch.moved, list(batch.settled)) == ([], 1, [True])
        assert await desk.aside("s1")
        again = await desk.claim(settle=[Settle("no token")])
        assert (ids(again), list(again.settled)) == (["s1"], [False])

    async def test_one_that_expires_stands_aside_as_any(self, desk: Bench) -> None:
        """Whether it is too late to deliver it, who holds it decides."""
        await put_of(desk, "slow", "s1", expires_at=desk.start + MINUTE)
        await stand_aside(desk)
        await desk.pass_time(HOUR)
        (claim,) = (await desk.claim()).claims
        assert (claim.message.id, claim.message.expires_at) == ("s1", desk.start + MINUTE)

    @pytest.mark.parametrize(
        "name", ["é", "\U0001f600", "a b", "a'b\"c", "%_", "n" * 255, "A", "a\\b", "a:b{c}"]
    )
    async def test_a_siding_of_any_name(self, desk: Bench, name: str) -> None:
        await put_of(desk, name, "s1", "s2", after=-HOUR)
        await put_of(desk, "event", "e1", after=-HOUR)
        batch = await desk.claim(most={name: 0})
        assert (ids(batch), batch.moved) == (["e1"], 2)
        assert list(await desk.store.cancel(["s1"])) == [State.SCHEDULED]
        assert ids(await desk.claim(most={name: 0})) == []
        assert ids(await desk.claim(most={name: 1})) == ["s2"]

    async def test_who_is_paused_gets_nothing_however_often_it_is_asked(self, desk: Bench) -> None:
        await put_of(desk, "slow", "s1", "s2", after=-HOUR)
        for turn in range(5):
            batch = await desk.claim(1, most={"slow": PAUSED})
            assert (ids(batch), batch.moved) == ([], 0 if turn else 2)
        assert (await desk.claim(most=NOTHING)).aside
        assert await drained(desk) == ["s1", "s2"]
