"""Fencing: a holder that has lost a message cannot change it any more."""

import pytest

from duly.message import Filter, Message, State
from duly.recurrence import Every
from duly.store import Batch, Bury, Settlement
from duly.testing.stores.bench import LEASE, Bench, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import DAY, HOUR, SETTLEMENTS, next_fire

EVERY_WAY = pytest.mark.parametrize("how", SETTLEMENTS)
EARLY_OR_NOT = pytest.mark.parametrize("early", [False, True], ids=["whole", "early"])


def said(how: str, message: Message) -> dict[str, Settlement]:
    """The exceptions of a settle in which a holder says this of the message."""
    settlement = SETTLEMENTS[how](message)
    return {} if settlement is None else {message.id: settlement}


class LapsedHolderCases(StoreHarness):
    """A holder whose lease has lapsed."""

    async def _says(self, bench: Bench, batch: Batch, how: str, *, early: bool) -> bool:
        (claim,) = batch.claims
        only = [claim.message.id] if early else None
        return await bench.settle(batch, said(how, claim.message), only=only)

    @EVERY_WAY
    @EARLY_OR_NOT
    async def test_lapsed_before_any_claim(self, timed: Bench, how: str, *, early: bool) -> None:
        await timed.put(timed.message("a", recurrence=Every(HOUR)))
        lease = 4 * timed.time.moment
        first = await timed.claim(lease=lease)
        await timed.pass_time(lease)
        before = await timed.store.list(Filter())
        assert not await self._says(timed, first, how, early=early)
        assert list(await timed.store.list(Filter())) == list(before)
        (claim,) = (await timed.claim()).claims
        assert (claim.lapses, claim.message.occurrence_count) == (1, 0)

    @EVERY_WAY
    @EARLY_OR_NOT
    async def test_lapsed_while_held_anew(self, desk: Bench, how: str, *, early: bool) -> None:
        await desk.put(desk.message("a", recurrence=Every(HOUR)))
        first = await desk.claim()
        await desk.pass_time(LEASE)
        second = await desk.claim()
        before = await desk.store.list(Filter())
        assert not await self._says(desk, first, how, early=early)
        assert await desk.renew(first) is None
        assert list(await desk.store.list(Filter())) == list(before)
        assert await desk.renew(second) == []
        assert await desk.settle(second)
        assert await desk.counts() == (0, 0, 0)

    @EVERY_WAY
    async def test_lapsed_and_settled_by_another(self, desk: Bench, how: str) -> None:
        message = desk.message("a", recurrence=Every(HOUR))
        await desk.put(message)
        first = await desk.claim()
        await desk.pass_time(LEASE)
        assert await desk.settle(await desk.claim(), {"a": next_fire(message)})
        before = await desk.store.list(Filter())
        assert not await self._says(desk, first, how, early=False)
        assert list(await desk.store.list(Filter())) == list(before)
        (found,) = before
        assert found.occurrence_count == 1

    @EVERY_WAY
    async def test_lapsed_and_the_id_used_again(self, desk: Bench, how: str) -> None:
        await desk.put(desk.message("a", recurrence=Every(HOUR)))
        first = await desk.claim()
        await desk.pass_time(LEASE)
        assert await desk.settle(await desk.claim())
        new = desk.message("a", DAY, recurrence=Every(DAY))
        await desk.put(new)
        assert not await self._says(desk, first, how, early=False)
        assert list(await desk.store.list(Filter())) == [new]

    async def test_lapsed_and_renewed(self, desk: Bench) -> None:
        await desk.put("a")
        first = await desk.claim()
        await desk.pass_time(LEASE)
        second = await desk.claim()
        assert await desk.renew(first, DAY) is None
        assert (await desk.claim()).next_due == desk.start + 2 * LEASE
        await desk.pass_time(LEASE)
        assert ids(await desk.claim()) == ["a"]
        assert not await desk.settle(second)


class WithdrawnCases(StoreHarness):
    """A holder of what was cancelled or replaced: its lease is valid, the message is gone."""

    @EVERY_WAY
    @EARLY_OR_NOT
    async def test_cancelled_in_flight(self, desk: Bench, how: str, *, early: bool) -> None:
        message = desk.message("a", recurrence=Every(HOUR))
        await desk.put(message, "b")
        batch = await desk.claim()
        assert list(await desk.store.cancel(["a"])) == [State.CLAIMED]
        assert await desk.settle(batch, said(how, message), only=["a"] if early else None)
        assert await desk.listed() == (["b"] if early else [])
        await desk.pass_time(DAY)
        assert ids(await desk.claim()) == (["b"] if early else [])

    @EVERY_WAY
    @EARLY_OR_NOT
    async def test_cancelled_in_flight_and_stored_anew(
        self, desk: Bench, how: str, *, early: bool
    ) -> None:
        message = desk.message("a", recurrence=Every(HOUR))
        await desk.put(message)
        batch = await desk.claim()
        await desk.store.cancel(["a"])
        new = desk.message("a", HOUR, payload=b"new", recurrence=Every(DAY))
        await desk.put(new)
        assert await desk.settle(batch, said(how, message), only=["a"] if early else None)
        assert list(await desk.store.list(Filter())) == [new]
        await desk.pass_time(HOUR)
        (claim,) = (await desk.claim()).claims
        assert (claim.message.payload, claim.lapses) == (b"new", 0)

    @EVERY_WAY
    async def test_replaced_and_in_flight_again(self, desk: Bench, how: str) -> None:
        message = desk.message("a", recurrence=Every(HOUR))
        await desk.put(message)
        first = await desk.claim()
        await desk.put(desk.message("a", payload=b"new"), replace=True)
        second = await desk.claim()
        before = await desk.store.list(Filter())
        assert await desk.settle(first, said(how, message))
        assert list(await desk.store.list(Filter())) == list(before)
        assert await desk.renew(second) == []
        assert await desk.settle(second, {"a": Bury("broken")})
        (found,) = await desk.store.list(Filter())
        assert (found.payload, found.state) == (b"new", State.DEAD)

    async def test_a_lapse_does_not_bring_back_what_was_withdrawn(self, timed: Bench) -> None:
        await timed.put(*"abc")
        lease = 2 * timed.time.moment
        await timed.claim(lease=lease)
        await timed.store.cancel(["a"])
        await timed.put(timed.message("b", payload=b"new"), replace=True)
        await timed.pass_time(lease)
        claims = [(each.message.id, each.lapses) for each in (await timed.claim()).claims]
        assert sorted(claims) == [("b", 0), ("c", 1)]

    async def test_replaced_again_and_again(self, desk: Bench) -> None:
        await desk.put("a")
        batches = []
        for number in range(5):
            batches.append(await desk.claim())
            assert len(batches[-1].claims) == 1
            new = desk.message("a", payload=b"%d" % number)
            await desk.put(new, replace=True)
        for batch in batches:
            assert await desk.renew(batch) == ["a"]
            assert await desk.settle(batch, {"a": Bury("broken")})
        assert await desk.store.get("a") == new
        assert await desk.counts() == (1, 0, 0)
