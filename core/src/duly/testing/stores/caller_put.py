"""Storing: whole groups or nothing, duplicates and repeats."""

from datetime import timedelta

import pytest

from duly.errors import DuplicateMessage, InvalidArgument, Unsupported
from duly.message import Message, State, with_changes
from duly.recurrence import Cron, Every, Recurrence
from duly.store import Group
from duly.testing.stores.bench import MICROSECOND, Bench, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import DAY, HOUR, Situation, arrange

IN_THE_STORE = [each for each in Situation if each is not Situation.UNKNOWN]


class PutCases(StoreHarness):
    """``put``."""

    async def test_a_stored_message_comes_back_as_it_was(self, desk: Bench) -> None:
        (message,) = await desk.put(desk.message("a", HOUR, payload=b"\x00\xff"))
        assert await desk.store.get("a") == message

    async def test_every_field_comes_back(self, desk: Bench) -> None:
        message = desk.message(
            "a",
            timedelta(hours=1, microseconds=1),
            event_name="orders.reminder",
            payload=bytes(range(256)),
            metadata={"tenant": "7", "": "empty key", "empty value": ""},
            expires_at=desk.start + timedelta(days=2, microseconds=3),
        )
        message = with_changes(message, trace_context={"traceparent": "00-ab-cd-01"})
        await desk.put(message)
        found = await desk.store.get("a")
        assert found == message
        assert found is not None
        assert found.delivery_id == message.delivery_id

    @pytest.mark.parametrize(
        "recurrence",
        [
            Every(timedelta(milliseconds=1)),
            Every(timedelta(days=40, microseconds=1), max_occurrences=3, missed="all"),
            Every(HOUR, grace=timedelta(0), missed="skip"),
            Cron("*/5 * * * *"),
            Cron("0 30 9 * * MON-FRI", timezone="Europe/Berlin", grace=timedelta(days=3)),
        ],
        ids=str,
    )
    async def test_a_recurrence_comes_back(self, desk: Bench, recurrence: Recurrence) -> None:
        message = desk.message("a", recurrence=recurrence)
        await desk.put(message)
        assert await desk.store.get("a") == message

    async def test_a_claim_brings_every_field(self, desk: Bench) -> None:
        message = desk.message(
            "a",
            payload=b"body",
            metadata={"tenant": "7"},
            recurrence=Every(HOUR, until=desk.start + DAY + MICROSECOND),
        )
        message = with_changes(message, trace_context={"traceparent": "00-ab-cd-01"})
        await desk.put(message)
        (claim,) = (await desk.claim()).claims
        assert with_changes(claim.message, state=message.state) == message

    async def test_nothing_to_store(self, desk: Bench) -> None:
        assert await desk.outcomes() == []
        assert await desk.outcomes(Group([])) == [None]
        assert await desk.counts() == (0, 0, 0)

    async def test_a_group_is_all_or_none(self, desk: Bench) -> None:
        await desk.put("taken")
        group = Group([desk.message(id) for id in ("a", "taken", "b")])
        assert await desk.outcomes(group) == [DuplicateMessage]
        assert await desk.listed() == ["taken"]
        assert ids(await desk.claim()) == ["taken"]

    async def test_a_large_group_is_all_or_none(self, desk: Bench) -> None:
        await desk.put("taken")
        messages = [desk.message(f"m{number:05}") for number in range(self.many(2000))]
        refused = [*messages, desk.message("taken")]
        assert await desk.outcomes(Group(refused)) == [DuplicateMessage]
        assert await desk.counts() == (1, 0, 0)
        assert await desk.outcomes(Group(messages)) == [None]
        assert await desk.counts() == (1 + len(messages), 0, 0)

    async def test_groups_do_not_fail_their_neighbours(self, desk: Bench) -> None:
        await desk.put("taken")
        groups = [
            Group([desk.message("a"), desk.message("b")]),
            Group([desk.message("c"), desk.message("taken")]),
            Group([desk.message("d")]),
        ]
        assert await desk.outcomes(*groups) == [None, DuplicateMessage, None]
        assert await desk.listed() == ["a", "b", "d", "taken"]

    async def test_many_groups_in_one_call(self, desk: Bench) -> None:
        number = self.many(300)
        await desk.put(*[f"m{each:03}" for each in range(0, number, 3)])
        groups = [Group([desk.message(f"m{each:03}")]) for each in range(number)]
        expected = [None if each % 3 else DuplicateMessage for each in range(number)]
        assert await desk.outcomes(*groups) == expected
        assert await desk.listed() == [f"m{each:03}" for each in range(number)]

    async def test_groups_that_replace_beside_groups_that_do_not(self, desk: Bench) -> None:
        await desk.put("a", "b")
        groups = [
            Group([desk.message("a", payload=b"new")], replace=True),
            Group([desk.message("b", payload=b"new")]),
        ]
        assert await desk.outcomes(*groups) == [None, DuplicateMessage]
        found = await desk.store.get("a"), await desk.store.get("b")
        assert [each and each.payload for each in found] == [b"new", b""]

    @pytest.mark.parametrize("situation", IN_THE_STORE, ids=lambda each: each.name)
    async def test_a_repeat_after_a_lost_answer(self, desk: Bench, situation: Situation) -> None:
        message = desk.message("a")
        await arrange(desk, situation, message)
        before = await desk.store.get("a")
        repeat = Message("event", b"other", id="a", scheduled_at=desk.start - DAY,
                         created_at=message.created_at)  # fmt: skip
        assert await desk.outcomes(Group([repeat])) == [None]
        assert await desk.store.get("a") == before

    async def test_a_group_repeated_in_part(self, desk: Bench) -> None:
        messages = [desk.message(id) for id in ("a", "b", "c")]
        await desk.put(messages[1])
        assert await desk.outcomes(Group(messages)) == [None]
        assert await desk.listed() == ["a", "b", "c"]
        assert sorted(ids(await desk.claim())) == ["a", "b", "c"]

    async def test_a_repeat_does_not_excuse_a_duplicate(self, desk: Bench) -> None:
        (repeated, _) = await desk.put("a", "b")
        group = Group([repeated, desk.message("b"), desk.message("c")])
        assert await desk.outcomes(group) == [DuplicateMessage]
        assert await desk.listed() == ["a", "b"]

    async def test_a_message_is_due_at_its_next_attempt(self, desk: Bench) -> None:
        message = with_changes(desk.message("a"), next_attempt_at=desk.start + HOUR)
        await desk.put(message)
        batch = await desk.claim()
        assert (ids(batch), batch.next_due) == ([], desk.start + HOUR)

    async def test_what_is_no_transaction_is_refused(self, desk: Bench) -> None:
        await desk.put("a")
        group, refused = Group([desk.message("b")]), (Unsupported, InvalidArgument)
        with pytest.raises(refused):
            await desk.store.put([group], within=object())
        with pytest.raises(refused):
            await desk.store.cancel(["a"], within=object())
        with pytest.raises(refused):
            await desk.store.reschedule(
                "a", desk.start + HOUR, of_state=State.SCHEDULED, within=object()
            )
        assert await desk.listed() == ["a"]
        assert ids(await desk.claim()) == ["a"]

    async def test_an_id_is_free_after_delivery(self, desk: Bench) -> None:
        for _ in range(3):
            await desk.put("a")
            assert await desk.settle(await desk.claim())
        assert await desk.counts() == (0, 0, 0)
