"""Consumers' functions, where the message is somebody else's, and in the forms it may come in.

What was sent by the transports is read on the brokers, by the cases for reading.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

import duly_kafka
import duly_mqtt
import duly_nats
import duly_rabbitmq
import duly_redis_streams
import duly_webhook
from duly import Envelope, InvalidArgument, InvalidMessage
from duly.reading import envelope_from
from duly_redis_streams.content import entry_of
from duly_webhook.content import content_of

SENT = Envelope(
    message_id="order-17",
    event_name="orders.reminder",
    payload=b'{"order": 17}',
    metadata={"tenant": "7"},
    scheduled_at=datetime(2030, 1, 1, 12, 30, 15, 123_456, tzinfo=UTC),
    occurrence=2,
    attempt=3,
    trace_context={"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"},
    delivery_id="order-17:1000:2",
)


def same(read: Envelope) -> bool:
    return (read.event_name, read.payload, read.headers) == (
        SENT.event_name,
        SENT.payload,
        SENT.headers,
    )


def of_redis(headers: Mapping[str, str]) -> Envelope:
    named = {"event_name": SENT.event_name, "payload": SENT.payload.decode(), **headers}
    return duly_redis_streams.read({name.encode(): text.encode() for name, text in named.items()})


def of_redis_as_text(headers: Mapping[str, str]) -> Envelope:
    named = {"event_name": SENT.event_name, "payload": SENT.payload.decode()}
    return duly_redis_streams.read({**named, **headers})


def of_pubsub(headers: Mapping[str, str]) -> Envelope:
    content = {"event_name": SENT.event_name, "payload": SENT.payload.decode()}
    return duly_redis_streams.read_json(json.dumps({**content, "headers": dict(headers)}))


def of_nats(headers: Mapping[str, str]) -> Envelope:
    message = SimpleNamespace(subject=SENT.event_name, data=SENT.payload, headers=headers or None)
    return duly_nats.read(message)


def of_rabbitmq(headers: Mapping[str, str]) -> Envelope:
    added = {**headers, "x-death": [{"count": 1}], "x-delivery-count": 2}
    message = SimpleNamespace(type=SENT.event_name, body=SENT.payload, headers=added)
    return duly_rabbitmq.read(message)


def of_kafka(headers: Mapping[str, str]) -> Envelope:
    named = {"duly-event-name": SENT.event_name, **headers}
    pairs = [(name, text.encode()) for name, text in named.items()]
    return duly_kafka.read(SimpleNamespace(value=SENT.payload, headers=pairs))


def of_mqtt(headers: Mapping[str, str]) -> Envelope:
    properties = SimpleNamespace(UserProperty=[*headers.items()])
    message = SimpleNamespace(
        topic=SENT.event_name, payload=bytearray(SENT.payload), properties=properties
    )
    return duly_mqtt.read(message)


def of_webhook(headers: Mapping[str, str]) -> Envelope:
    added = {"Host": "example.com", "X-Forwarded-For": "10.0.0.1", "ce-type": SENT.event_name}
    return duly_webhook.read({**added, **headers}, SENT.payload)


READERS = [
    of_redis, of_redis_as_text, of_pubsub, of_nats, of_rabbitmq, of_kafka, of_mqtt, of_webhook,
]  # fmt: skip
readers = pytest.mark.parametrize("read", READERS)
Reader = Callable[[Mapping[str, str]], Envelope]


@readers
def test_it_is_read(read: Reader) -> None:
    assert same(read(SENT.headers))


@readers
@pytest.mark.parametrize(
    "name",
    ["duly-message-id", "duly-scheduled-at", "duly-occurrence", "duly-attempt", "duly-delivery-id"],
)
def test_a_header_that_is_missing(read: Reader, name: str) -> None:
    headers = {each: text for each, text in SENT.headers.items() if each != name}
    with pytest.raises(InvalidMessage, match=f"the header {name} is missing"):
        read(headers)


@readers
def test_no_headers_at_all(read: Reader) -> None:
    with pytest.raises(InvalidMessage, match="is missing: was the message sent by duly"):
        read({})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("duly-scheduled-at", "soon"),
        ("duly-scheduled-at", "2030-01-01T12:30:15"),
        ("duly-scheduled-at", "0001-01-01T00:00:00+23:00"),
        ("duly-occurrence", "-1"),
        ("duly-occurrence", "1.5"),
        ("duly-attempt", "0"),
        ("duly-attempt", "\N{SUPERSCRIPT TWO}"),
        ("duly-attempt", "9" * 5000),
    ],
)
def test_a_header_that_says_nothing_of_the_kind(name: str, text: str) -> None:
    with pytest.raises(InvalidMessage, match=f"the header {name} is .*, not a"):
        envelope_from({**SENT.headers, name: text}, event_name="a", payload=b"")


def test_no_event_name() -> None:
    with pytest.raises(InvalidMessage, match="has no event name"):
        envelope_from(SENT.headers, event_name=None, payload=b"")


# --- what is one broker's own


@pytest.mark.parametrize(
    "fields",
    [{b"event_name": b"a"}, {b"payload": b"a", b"\xff": b""}, {b"payload": b"", b"event_name": b"\xff"}],
)  # fmt: skip
def test_an_entry_of_somebody_else(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(InvalidMessage, match="added by duly"):
        duly_redis_streams.read(fields)


def test_an_entry_holds_any_payload() -> None:
    parts = iter(entry_of(Envelope(message_id="a", event_name="b", payload=b"\xff",
                                   scheduled_at=SENT.scheduled_at)))  # fmt: skip
    assert duly_redis_streams.read(dict(zip(parts, parts, strict=True))).payload == b"\xff"


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"\xff", b'"text"', b'{"event_name": "a", "headers": {}}',
     b'{"event_name": "a", "headers": [], "payload": ""}',
     b'{"event_name": "a", "headers": {}, "payload_base64": "!"}'],
)  # fmt: skip
def test_a_message_of_pubsub_of_somebody_else(data: bytes) -> None:
    with pytest.raises(InvalidMessage, match="is not what duly publishes with format=json"):
        duly_redis_streams.read_json(data)


def at_subject(name: str, headers: Mapping[str, str], **options: str) -> Envelope:
    message = SimpleNamespace(subject=name, data=SENT.payload, headers=headers)
    return duly_nats.read(message, **options)


def test_a_subject_with_more_than_the_event_name() -> None:
    assert same(at_subject("shop.orders.reminder", SENT.headers, subject="shop.{event_name}"))
    told = {**SENT.headers, "duly-event-name": SENT.event_name}
    assert same(at_subject("shop", told, subject="shop"))
    with pytest.raises(InvalidMessage, match="event name"):
        at_subject("other.orders.reminder", SENT.headers, subject="shop.{event_name}")
    with pytest.raises(InvalidArgument, match="subject"):
        at_subject("shop", SENT.headers, subject="{other}")


def at_topic(name: str, user: Mapping[str, str], **options: str) -> Envelope:
    properties = SimpleNamespace(UserProperty=[*user.items()])
    message = SimpleNamespace(topic=name, payload=SENT.payload, properties=properties)
    return duly_mqtt.read(message, **options)


def test_a_topic_with_more_than_the_event_name() -> None:
    assert same(at_topic("shop/orders.reminder", SENT.headers, topic="shop/{event_name}"))
    told = {**SENT.headers, "event_name": SENT.event_name}
    assert same(at_topic("shop", told, topic="shop"))
    with pytest.raises(InvalidMessage, match="event name"):
        at_topic("other/orders.reminder", SENT.headers, topic="shop/{event_name}")
    with pytest.raises(InvalidArgument, match="topic"):
        at_topic("shop", SENT.headers, topic="{other}")


@pytest.mark.parametrize("properties", [None, SimpleNamespace()])
def test_mqtt_without_properties(properties: Any) -> None:
    message = SimpleNamespace(topic="a", payload=b"", properties=properties)
    with pytest.raises(InvalidMessage, match="is missing"):
        duly_mqtt.read(message)


def test_mqtt_without_a_payload() -> None:
    with pytest.raises(InvalidMessage, match="not bytes"):
        duly_mqtt.read(SimpleNamespace(topic="a", payload=None, properties=None))


def test_rabbitmq_with_a_long_event_name() -> None:
    name = "ö" * 255
    message = SimpleNamespace(
        type=None, body=b"", headers={**SENT.headers, "duly-event-name": name}
    )
    assert duly_rabbitmq.read(message).event_name == name
    with pytest.raises(InvalidMessage, match="event name"):
        duly_rabbitmq.read(SimpleNamespace(type=None, body=b"", headers=None))


def test_kafka_of_somebody_else() -> None:
    with pytest.raises(InvalidMessage, match="not UTF-8"):
        duly_kafka.read(SimpleNamespace(value=None, headers=[("a", b"\xff")]))
    with pytest.raises(InvalidMessage, match="event name"):
        duly_kafka.read(SimpleNamespace(value=None, headers=[]))


@pytest.mark.parametrize("payload", [b'{"a": 1.10, "b": [1,  2]}', b' "\\", \\"data\\": " ', b"{"])
def test_a_structured_webhook(payload: bytes) -> None:
    kind = {"Content-Type": 'application/json; x=", "data": "; 50%41 é'}
    sent = Envelope(
        message_id='a", "data": 1', event_name='", "data": 1', payload=payload, metadata=kind,
        scheduled_at=SENT.scheduled_at,
    )  # fmt: skip
    headers, body = content_of(sent, "structured", "duly", frozenset())
    small = {name.lower(): value for name, value in headers.items()}  # as ASGI has them
    read = duly_webhook.read(small, body)
    assert (read.event_name, read.message_id, read.payload) == (
        sent.event_name,
        sent.message_id,
        payload,
    )
    assert read.metadata == {"content-type": kind["Content-Type"]}
    if payload != b"{":  # which is no JSON, so that it stands in base64
        anew = json.dumps(json.loads(body), indent=1).encode()
        assert json.loads(duly_webhook.read(small, anew).payload) == json.loads(payload)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"type": "a", "datacontenttype": "b"}'])
def test_a_structured_webhook_of_somebody_else(body: bytes) -> None:
    with pytest.raises(InvalidMessage, match="no CloudEvent of duly's"):
        duly_webhook.read({"content-type": "application/cloudevents+json"}, body)


def test_metadata_of_a_webhook_takes_no_other_place() -> None:
    posing = {"duly-message-id": "b", "traceparent": "c", "ce-type": "d", "Host": "e"}
    sent = Envelope(
        message_id="a", event_name="b", scheduled_at=SENT.scheduled_at, metadata=posing,
        trace_context=SENT.trace_context,
    )  # fmt: skip
    headers, body = content_of(sent, "binary", "duly", frozenset())
    read = duly_webhook.read({"host": "example.com", **headers}, body)
    assert (read.message_id, read.event_name) == ("a", "b")
    assert read.trace_context == SENT.trace_context
    assert read.metadata == {"ce-type": "d", "Host": "e"}
