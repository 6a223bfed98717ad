"""Storing in the place of what is stored."""

from datetime import timedelta

import pytest

from duly.message import Filter, State, with_changes
from duly.recurrence import Every
from duly.store import Bury
from duly.testing.stores.bench import MICROSECOND, Bench, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import DAY, HOUR, MINUTE, SETTLEMENTS, retry


class ReplaceCases(StoreHarness):
    """``put`` with ``replace``."""

    async def test_a_replacement_takes_the_place(self, desk: Bench) -> None:
        await desk.put(desk.message("a", payload=b"old", event_name="old"))
        new = desk.message("a", HOUR, payload=b"new", event_name="new")
        await desk.put(new, replace=True)
        assert await desk.store.get("a") == new
        assert await desk.listed() == ["a"]
        assert await desk.listed(event_name="old") == []
        assert ids(await desk.claim()) == []
        await desk.pass_time(HOUR)
        (claim,) = (await desk.claim()).claims
        assert claim.message.payload == b"new"

    async def test_a_replacement_without_anything_to_replace(self, desk: Bench) -> None:
        (message,) = await desk.put("a", replace=True)
        assert await desk.store.get("a") == message

    async def test_a_group_that_replaces_some(self, desk: Bench) -> None:
        await desk.put("a", "b")
        messages = await desk.put("b", "c", after=MINUTE, replace=True)
        assert await desk.listed() == ["a", "b", "c"]
        assert await desk.store.get("b") == messages[0]

    @pytest.mark.parametrize("earlier", [MICROSECOND, DAY], ids=str)
    async def test_an_older_replacement_gets_a_new_delivery_id(
        self, desk: Bench, earlier: timedelta
    ) -> None:
        (old,) = await desk.put("a")
        seen = {old.delivery_id}
        for turn in range(1, 4):
            new = desk.message("a", payload=b"new", created_at=old.created_at - turn * earlier)
            await desk.put(new, replace=True)
            found = await desk.store.get("a")
            assert found is not None
            assert found == with_changes(
                new, created_at=old.created_at + turn * MICROSECOND, _given_at=new.created_at
            )
            seen.add(found.delivery_id)
        assert len(seen) == 4

    async def test_a_later_replacement_keeps_its_creation(self, desk: Bench) -> None:
        (old,) = await desk.put("a")
        new = desk.message("a", created_at=old.created_at + MICROSECOND)
        await desk.put(new, replace=True)
        assert await desk.store.get("a") == new

    async def test_a_replacement_in_flight_gets_a_new_delivery_id(self, desk: Bench) -> None:
        (old,) = await desk.put("a")
        await desk.claim()
        older = desk.message("a", created_at=old.created_at - MICROSECOND)
        await desk.put(older, replace=True)
        (claim,) = (await desk.claim()).claims
        assert claim.message.created_at == old.created_at + MICROSECOND

    @pytest.mark.parametrize("how", ["retried", "next fire"])
    async def test_what_was_counted_counts_from_nothing(self, desk: Bench, how: str) -> None:
        message = desk.message("a", recurrence=Every(HOUR))
        await desk.put(message)
        settlement = SETTLEMENTS[how](message)
        assert settlement is not None
        assert await desk.settle(await desk.claim(), {"a": settlement})
        before = await desk.store.get("a")
        assert before is not None
        anew = with_changes(before, created_at=before.created_at - MICROSECOND)
        await desk.put(anew, replace=True)
        found = await desk.store.get("a")
        assert found is not None
        assert (found.retry_count, found.occurrence_count, found.last_error) == (0, 0, None)
        assert found.delivery_id != message.delivery_id

    async def test_a_replaced_occurrence_gets_a_new_delivery_id(self, desk: Bench) -> None:
        message = desk.message("a", recurrence=Every(HOUR))
        await desk.put(message)
        assert await desk.settle(await desk.claim(), {"a": Bury("broken")})
        (dead,) = await desk.store.list(Filter(state=State.DEAD))
        await desk.put(dead, replace=True)
        found = await desk.store.get(dead.id)
        assert found is not None
        assert (found.id, found.state, found.last_error) == (dead.id, State.SCHEDULED, None)
        assert found.delivery_id != dead.delivery_id

    async def test_what_was_claimed_is_scheduled_again(self, desk: Bench) -> None:
        await desk.put("a")
        (claim,) = (await desk.claim()).claims
        later = claim.message.created_at + MICROSECOND
        await desk.put(with_changes(claim.message, created_at=later), replace=True)
        assert await desk.state("a") is State.SCHEDULED
        assert ids(await desk.claim()) == ["a"]

    async def test_a_replacement_starts_from_nothing(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        batch = await desk.claim()
        assert await desk.settle(batch, {"a": retry(message)})
        await desk.put("a", replace=True)
        (claim,) = (await desk.claim()).claims
        assert (claim.message.retry_count, claim.message.last_error, claim.lapses) == (0, None, 0)
