"""Assertions about what is scheduled: what they find, and what they say when they do not."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pydantic
import pytest

import duly
from duly import Message, Rejected
from duly.testing import FakeStore, assert_not_scheduled, assert_scheduled

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class Reminders:
    """An event with a type, as far as these assertions know one."""

    name = "orders.reminder"

    def read(self, message: Message) -> Any:
        fields = json.loads(message.payload)
        if "order_id" not in fields:
            raise Rejected("the payload cannot be read as Reminder")
        return SimpleNamespace(**fields)

    def __repr__(self) -> str:
        return "Reminders()"


def message(name: str = "orders.reminder", /, id: str | None = None, **fields: Any) -> Message:
    return Message(name, json.dumps(fields).encode(), scheduled_at=NOON, id=id)


def refusal(assertion, *arguments: Any, **fields: Any) -> str:
    with pytest.raises(AssertionError) as raised:
        assertion(*arguments, **fields)
    return str(raised.value)


TYPED = duly.Event("orders.reminder", dict[str, Any])


@pytest.mark.parametrize("event", ["orders.reminder", Reminders(), TYPED])
class TestFields:
    def test_the_one_with_these_fields_is_returned(self, event) -> None:
        given = [message(order_id=16), message(order_id=17), message("other", order_id=17)]
        assert assert_scheduled(given, event, order_id=17) is given[1]
        assert_not_scheduled(given, event, order_id=18)

    def test_all_fields_count(self, event) -> None:
        given = [message(order_id=17, to="a"), message(order_id=17, to="b")]
        assert assert_scheduled(given, event, order_id=17, to="b") is given[1]
        assert_not_scheduled(given, event, order_id=16, to="b")

    def test_a_field_may_be_anything_that_can_be_equal(self, event) -> None:
        given = [message(order_id=17, items=[1, {"a": None}])]
        assert_scheduled(given, event, order_id=ANY, items=[1, {"a": None}])
        assert_scheduled(given, event, order_id=pytest.approx(17.0000001))

    def test_more_than_one_is_told(self, event) -> None:
        given = [message(id="a", order_id=17), message(id="b", order_id=17)]
        text = refusal(assert_scheduled, given, event, order_id=17)
        assert text == "2 times 'orders.reminder' with order_id=17, not once: a, b"

    def test_near_misses_are_shown_first(self, event) -> None:
        given = [
            message("other", id="a"),
            message(id="b", order_id=16),
            message(id="c", order_id=1),
        ]
        text = refusal(assert_scheduled, given, event, order_id=17, to="me")
        assert text.splitlines() == [
            "no 'orders.reminder' with order_id=17, to='me' among 3:",
            f"  'orders.reminder' b, due {NOON}: order_id is 16, not 17, its payload has no to",
            f"  'orders.reminder' c, due {NOON}: order_id is 1, not 17, its payload has no to",
            f"  'other' a, due {NOON}",
        ]

    def test_one_that_is_there_and_should_not_be(self, event) -> None:
        text = refusal(assert_not_scheduled, [message(id="a", order_id=17)], event, order_id=17)
        assert text == f"'orders.reminder' with order_id=17 is there: a, due {NOON}"

    def test_the_event_alone(self, event) -> None:
        broken = Message("orders.reminder", b"\xff", scheduled_at=NOON)
        assert assert_scheduled([message("other"), broken], event) is broken
        assert_not_scheduled([message("other")], event)
        assert (
            refusal(assert_scheduled, [], event) == "no 'orders.reminder' among no messages at all"
        )


def test_payloads_that_cannot_be_read() -> None:
    for payload, told in {
        b"\xff": "its payload cannot be read as JSON: ",
        b"{": "its payload cannot be read as JSON: ",
        b"[17]": "its payload has no order_id",
        b"17": "its payload has no order_id",
    }.items():
        given = [Message("orders.reminder", payload, scheduled_at=NOON)]
        assert told in refusal(assert_scheduled, given, "orders.reminder", order_id=17)
    text = refusal(assert_scheduled, [message()], Reminders(), order_id=17)
    assert "cannot be read by Reminders(): the payload cannot be read as Reminder" in text


def test_of_very_many_some_are_shown() -> None:
    text = refusal(assert_scheduled, [message("other") for _ in range(50)], "orders.reminder")
    assert len(text.splitlines()) == 22
    assert text.endswith("and 30 more")


async def test_what_a_client_lists() -> None:
    client = duly.Client(FakeStore())
    await client.schedule(message(order_id=17))
    assert_scheduled(await client.list(), "orders.reminder", order_id=17)
    with pytest.raises(TypeError, match=r"await client\.list\(\)"):
        assert_scheduled(client.list(), "orders.reminder")  # type: ignore[arg-type]  # as people do
    with pytest.raises(TypeError, match=r"a Client is no messages: give await client\.list\(\)"):
        assert_scheduled(client, "orders.reminder")  # type: ignore[arg-type]  # as people do


@dataclass
class Reminder:
    order_id: int


class Loose(pydantic.BaseModel, extra="allow"):
    order_id: int


class Plain:
    """Only its instances tell which fields they have."""

    def __init__(self, order_id: int) -> None:
        self.order_id = order_id


@pytest.mark.parametrize("assertion", [assert_scheduled, assert_not_scheduled])
def test_a_field_that_the_type_has_not_is_a_mistake(assertion) -> None:
    reminder = duly.Event("orders.reminder", Reminder)
    with pytest.raises(
        duly.InvalidArgument, match=r"Reminder\) has no order in its type, which has order_id$"
    ):
        assertion([], reminder, order=17)


@pytest.mark.parametrize("kind", [Loose, Plain, dict, dict[str, int], Any, Reminder | None])
def test_where_the_type_does_not_tell_nothing_is_refused(kind: Any) -> None:
    assert_not_scheduled([], duly.Event[Any]("orders.reminder", kind), order=17)
