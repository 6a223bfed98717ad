"""Headers and properties of the operator's own."""

from collections.abc import Mapping
from typing import Any

import pytest
from aio_pika import Message

from duly import Envelope, InvalidArgument, Rejected
from duly.testing.clock import START
from duly_rabbitmq.content import message_of
from duly_rabbitmq.filling import Filling, pairs_of
from duly_rabbitmq.plugin import transport_from_url


def envelope(**more: Any) -> Envelope:
    known = {"message_id": "order-17", "event_name": "orders.remind", "scheduled_at": START}
    return Envelope(**{**known, "delivery_id": "order-17:1:0", **more})


def filled(headers: Mapping[str, str], properties: Mapping[str, str], **more: Any) -> Message:
    told = envelope(**more)
    message = message_of(told, persistent=True)
    Filling(headers, properties).into(message, told)
    return message


def test_filled_in() -> None:
    message = filled(
        {"task": "{event_name}", "id": "{delivery_id}", "origin": "of {message_id}", "lang": "py"},
        {"correlation_id": "{delivery_id}", "content_type": "application/json"},
        metadata={"id": "posing", "tenant": "7", "content-type": "text/plain"},
    )
    wanted = {"task": "orders.remind", "id": "order-17:1:0", "origin": "of order-17", "lang": "py"}
    assert {name: message.headers[name] for name in wanted} == wanted
    assert message.headers["tenant"] == "7"
    assert message.headers["duly-delivery-id"] == "order-17:1:0"
    assert message.properties.correlation_id == "order-17:1:0"
    assert message.properties.content_type == "application/json"
    assert message.properties.message_id == "order-17:1:0"
    assert message.properties.message_type == "orders.remind"


def test_a_delivery_id_that_no_property_has_room_for() -> None:
    message = filled({"id": "{delivery_id}"}, {"correlation_id": "{delivery_id}"},
                     delivery_id="x" * 300)  # fmt: skip
    assert message.headers["id"] == "x" * 300
    assert message.properties.correlation_id == message.properties.message_id
    with pytest.raises(Rejected, match="its property app_id is longer than 255 bytes"):
        filled({}, {"app_id": "{event_name}{message_id}"}, event_name="x" * 255)


def test_what_a_message_holds_is_no_field() -> None:
    assert filled({"id": "{message_id}"}, {}, message_id="{event_name}").headers["id"] == (
        "{event_name}"
    )


def test_pairs() -> None:
    assert pairs_of("task={event_name}, id=a=b") == {"task": "{event_name}", "id": "a=b"}
    assert pairs_of("a={event_name}:{{x}}") == {"a": "{event_name}:{{x}}"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("headers=task", "write name=template"),
        ("headers=", "write name=template"),
        ("headers==a", "a name has 1 to 128 bytes"),
        (f"headers={'x' * 129}=a", "a name has 1 to 128 bytes"),
        (
            "headers=task={other}",
            "headers, task: .* known: {event_name}, {delivery_id}, {message_id}",
        ),
        ("headers=task={event_name", "brace"),
        ("headers=task=", "headers, task: it is empty"),
        ("headers=duly-attempt=1", "'duly-attempt' is not for you to set"),
        ("headers=CC=a", "'CC' is not for you to set"),
        ("properties=message_id=a", "unknown are message_id; known: app_id"),
    ],
)
def test_refused(options: str, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        transport_from_url(f"amqp://localhost/?{options}")
