"""Repeating a call whose answer was lost, with the same message object: it changes nothing more."""

import pytest

from duly.errors import DuplicateMessage
from duly.message import Message, State, with_changes
from duly.recurrence import Every
from duly.store import Group
from duly.testing.stores.bench import LEASE, MICROSECOND, Bench, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import (
    DAY,
    HOUR,
    SETTLEMENTS,
    Situation,
    arrange,
)

LIVING = [Situation.SCHEDULED, Situation.CLAIMED, Situation.LAPSED]
REPLACE = pytest.mark.parametrize("replace", [False, True], ids=["put", "replace"])


def other(message: Message, payload: bytes = b"other") -> Message:
    """The same scheduling with other contents: id and ``created_at`` alone identify it."""
    return Message(
        "other", payload, id=message.id, scheduled_at=message.scheduled_at - DAY,
        created_at=message.created_at,
    )  # fmt: skip


class RepeatCases(StoreHarness):
    """``put`` of what is stored already, recognised by the ``created_at`` that it was given."""

    @pytest.mark.parametrize("situation", LIVING, ids=lambda each: each.name)
    async def test_a_replacement_is_repeated(self, desk: Bench, situation: Situation) -> None:
        message = desk.message("a", payload=b"body")
        batch = await arrange(desk, situation, message)
        before = await desk.store.get("a")
        assert await desk.outcomes(Group([other(message)], replace=True)) == [None]
        assert await desk.store.get("a") == before
        if situation is Situation.CLAIMED:
            assert batch is not None
            assert await desk.renew(batch) == []
            assert await desk.settle(batch)
            assert await desk.counts() == (0, 0, 0)
            return
        (claim,) = (await desk.claim()).claims
        assert (claim.message.payload, claim.message.delivery_id) == (b"body", message.delivery_id)
        assert ids(await desk.claim()) == []

    async def test_a_dead_letter_is_replaced_by_its_own_message_once(self, desk: Bench) -> None:
        message = desk.message("a")
        await arrange(desk, Situation.DEAD, message)
        for _ in range(3):
            await desk.put(message, replace=True)
            found = await desk.store.get("a")
            assert found is not None
            assert (found.state, found.last_error) == (State.SCHEDULED, None)
            assert found.created_at == message.created_at + MICROSECOND
            assert found.delivery_id != message.delivery_id

    @REPLACE
    async def test_an_older_replacement_is_repeated(self, desk: Bench, replace: bool) -> None:
        (old,) = await desk.put("a")
        new = desk.message("a", payload=b"new", created_at=old.created_at - DAY)
        await desk.put(new, replace=True)
        before = await desk.store.get("a")
        for _ in range(2):
            assert await desk.outcomes(Group([new], replace)) == [None]
            assert await desk.store.get("a") == before
        (claim,) = (await desk.claim()).claims
        assert await desk.outcomes(Group([new], replace)) == [None]
        assert claim.message.payload == b"new"
        assert await desk.state("a") is State.CLAIMED

    async def test_what_a_replacement_was_moved_to_is_not_what_it_was_given(
        self, desk: Bench
    ) -> None:
        (old,) = await desk.put("a")
        await desk.put(desk.message("a", created_at=old.created_at - DAY), replace=True)
        another = desk.message("a", created_at=old.created_at + MICROSECOND)
        assert await desk.outcomes(Group([another])) == [DuplicateMessage]
        await desk.put(another, replace=True)
        found = await desk.store.get("a")
        assert found is not None
        assert found.created_at == old.created_at + 2 * MICROSECOND

    @REPLACE
    async def test_what_was_read_from_the_store_is_a_repeat(
        self, desk: Bench, replace: bool
    ) -> None:
        (old,) = await desk.put("a")
        await desk.put(desk.message("a", created_at=old.created_at - DAY), replace=True)
        found = await desk.store.get("a")
        assert found is not None
        assert await desk.outcomes(Group([found], replace)) == [None]
        assert await desk.store.get("a") == found

    @REPLACE
    @pytest.mark.parametrize("how", ["retried", "released", "next fire"])
    async def test_what_went_on_since_stays_where_it_is(
        self, desk: Bench, how: str, replace: bool
    ) -> None:
        message = desk.message("a", recurrence=Every(HOUR))
        await desk.put(message)
        settlement = SETTLEMENTS[how](message)
        assert settlement is not None
        assert await desk.settle(await desk.claim(), {"a": settlement})
        before = await desk.store.get("a")
        assert await desk.outcomes(Group([message], replace)) == [None]
        assert await desk.store.get("a") == before

    @REPLACE
    @pytest.mark.parametrize("series", [False, True], ids=["message", "series"])
    async def test_what_was_moved_since_stays_where_it_is(
        self, desk: Bench, series: bool, replace: bool
    ) -> None:
        message = desk.message("a", recurrence=Every(HOUR) if series else None)
        await desk.put(message)
        for at in (desk.start + HOUR, desk.start + DAY):
            await desk.store.reschedule("a", at, of_state=State.SCHEDULED)
            before = await desk.store.get("a")
            assert await desk.outcomes(Group([message], replace)) == [None]
            assert await desk.store.get("a") == before
            assert ids(await desk.claim()) == []

    @REPLACE
    async def test_what_was_replayed_since_stays_where_it_is(
        self, desk: Bench, replace: bool
    ) -> None:
        message = desk.message("a")
        await arrange(desk, Situation.DEAD, message)
        await desk.store.reschedule("a", desk.start + HOUR, of_state=State.DEAD)
        before = await desk.store.get("a")
        assert await desk.outcomes(Group([message], replace)) == [None]
        assert await desk.store.get("a") == before

    async def test_a_group_that_repeats_some_and_replaces_others(self, desk: Bench) -> None:
        (kept, _) = await desk.put("a", "b")
        new = [desk.message("b", payload=b"new"), desk.message("c", payload=b"new")]
        for _ in range(2):
            assert await desk.outcomes(Group([other(kept), *new], replace=True)) == [None]
        claims = await desk.claim_all()
        payloads = {claim.message.id: claim.message.payload for claim in claims}
        assert payloads == {"a": b"", "b": b"new", "c": b"new"}
        assert await desk.counts() == (0, 3, 0)

    async def test_what_was_replaced_is_no_repeat(self, desk: Bench) -> None:
        (first,) = await desk.put(desk.message("a", payload=b"first"))
        (second,) = await desk.put("a", replace=True)
        await desk.put(first, replace=True)
        assert await desk.store.get("a") == with_changes(
            first, created_at=second.created_at + MICROSECOND, _given_at=first.created_at
        )

    async def test_what_was_delivered_is_stored_anew(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        assert await desk.settle(await desk.claim())
        await desk.put(message, replace=True)
        await desk.put(message, replace=True)
        assert await desk.store.get("a") == message
        await desk.pass_time(LEASE)
        assert ids(await desk.claim()) == ["a"]
