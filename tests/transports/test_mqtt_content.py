"""Topics and properties of what is published: what fits MQTT, and what is made to fit."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import pytest
from tests.servers.mqtt import mqtt_url
from tests.transports.mqtt_consumer import Arrival, Consumer

from duly import InvalidArgument, Rejected
from duly.testing.clock import START
from duly.transport import Envelope
from duly_mqtt import Broker, MqttTransport
from duly_mqtt.content import topic_template
from duly_mqtt.plugin import transport_from_url

__all__ = ["mqtt_url"]  # a fixture is found by its name

# Whatever Python holds to be text, apart from surrogates, which no message may hold.
ODD = [*map(chr, range(1, 0x100)), *"\u2028\u2029\ufeff\ufdd0\ufdef\ufffd\ufffe\uffff", "\U0001ffff",
       "\U0010fffe", "\U0001f4e6", "e\u0301"]  # fmt: skip


def message(event_name: str = "a", payload: bytes = b"payload", **more: Any) -> Envelope:
    return Envelope(message_id="a", event_name=event_name, payload=payload, scheduled_at=START,
                    delivery_id="a:1:0", **more)  # fmt: skip


@pytest.fixture
async def place(mqtt_url: str) -> AsyncIterator[tuple[str, Consumer]]:
    """The URL of a topic of the test's own, and who subscribes to what is below."""
    namespace = os.urandom(6).hex()
    consumer = Consumer(mqtt_url, namespace)
    await consumer.start()
    yield f"{mqtt_url}?topic={namespace}/", consumer
    await consumer.stop()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[MqttTransport]:
    transport = transport_from_url(url)
    await transport.open()
    try:
        yield transport
    finally:
        await transport.close()


async def sent(place: tuple[str, Consumer], rest: str, *envelopes: Envelope) -> Sequence[Arrival]:
    """What arrives of some messages."""
    url, consumer = place
    async with opened(url + rest) as transport:
        for each in envelopes:
            await transport.publish(each)
    return await consumer.wait_for(len(envelopes))


class TestTopics:
    async def test_a_name_with_all_that_text_may_hold(self, place: tuple[str, Consumer]):
        names = [f"a{each}b" for each in ODD] + ["+", "#", "$SYS/x", "a/b", "/", "%", "%2B"]
        arrivals = await sent(place, "{event_name}", *map(message, names))
        assert [each.told.event_name for each in arrivals] == names

    @pytest.mark.parametrize(
        ("name", "topic"),
        [
            ("orders.reminder", "orders.reminder"),
            ("größe/注文", "größe/注文"),
            ("a+b#c", "a%2Bb%23c"),
            ("50%", "50%25"),
            ("$SYS/a$", "%24SYS/a$"),
            ("a\x7f\x85\uffff", "a%7F%C2%85%EF%BF%BF"),
        ],
    )
    def test_how_a_name_is_written(self, name: str, topic: str):
        assert topic_template("{event_name}").fill(name) == topic
        assert unquote(topic) == name

    def test_no_two_names_have_one_topic(self):
        names = [*ODD, *map(str.upper, ODD), *(f"%{number:02X}" for number in range(256))]
        topics = {topic_template("{event_name}").fill(name) for name in names}
        assert len(topics) == len(set(names))

    @pytest.mark.parametrize(
        "template",
        ["", "a/+", "#", "a\0", "a\n", "{name}", "{", "x" * 70_000, "\ufffe", "\ud800", "a\udfffb"],
    )
    def test_a_template_that_can_be_no_topic(self, template: str):
        with pytest.raises(InvalidArgument, match="topic"):
            MqttTransport(Broker(), topic=template)

    async def test_a_template_with_braces(self, place: tuple[str, Consumer]):
        (arrival,) = await sent(place, "{{x}}/{event_name}", message())
        assert arrival.topic.endswith("/{x}/a")

    async def test_a_topic_that_gets_too_long(self, place: tuple[str, Consumer]):
        url, _ = place
        async with opened(f"{url}{'x' * 65_000}/{{event_name}}") as transport:
            with pytest.raises(Rejected, match="65535"):
                await transport.publish(message("\ufffe" * 255))


class TestHeaders:
    async def test_names_and_values_of_all_that_text_may_hold(self, place: tuple[str, Consumer]):
        values = {f"name {number}": f"a{each}b" for number, each in enumerate(ODD)}
        names = {f"n{each}": "x" for each in ODD if each.isprintable()}
        metadata = {**values, **names, "": "", "50%": "%41%"}
        (arrival,) = await sent(place, "{event_name}", message(metadata=metadata))
        assert {name: arrival.told.headers.get(name) for name in metadata} == metadata

    async def test_text_of_any_language_is_not_encoded(self, place: tuple[str, Consumer]):
        (arrival,) = await sent(
            place, "{event_name}", message(metadata={"größe": "注文 \U0001f4e6"})
        )
        assert ("größe", "注文 \U0001f4e6") in list(arrival.user)

    async def test_each_stands_once(self, place: tuple[str, Consumer]):
        metadata = {"duly-attempt": "17", "traceparent": "mine", "a": "b"}
        trace = {"traceparent": "theirs"}
        told = message(metadata=metadata, trace_context=trace)
        (arrival,) = await sent(place, "{event_name}", told)
        names = [name for name, _ in arrival.user]
        assert sorted(names) == sorted(told.headers)
        assert arrival.told.headers["traceparent"] == "theirs"

    async def test_the_trace_keeps_its_own_encoding(self, place: tuple[str, Consumer]):
        trace = {"baggage": "a=b%20c", "tracestate": "v=%41\n"}
        (arrival,) = await sent(place, "{event_name}", message(trace_context=trace))
        user = dict(arrival.user)
        assert user["baggage"] == "a=b%20c"
        assert user["tracestate"] == "v=%2541%0A"

    @pytest.mark.parametrize("name", ["content-type", "Content-Type"])
    async def test_the_content_type(self, place: tuple[str, Consumer], name: str):
        kind = "text/plain; charset=utf-8"
        plain, typed = await sent(
            place, "{event_name}", message(), message(metadata={name: kind, "a": "b"})
        )
        assert plain.content_type is None
        assert typed.content_type == kind
        assert name not in typed.told.headers
        assert typed.told.headers["a"] == "b"

    @pytest.mark.parametrize("metadata", [{"a": "x" * 65_536}, {"a": "%" * 22_000}])
    async def test_one_that_is_too_long(
        self, place: tuple[str, Consumer], metadata: Mapping[str, str]
    ):
        url, consumer = place
        async with opened(f"{url}{{event_name}}") as transport:
            with pytest.raises(Rejected, match="a header of a text of .* 65535"):
                await transport.publish(message(metadata=metadata))
            outcomes = await transport.publish_many([message(metadata=metadata), message("b")])
            assert [type(each) for each in outcomes] == [Rejected, type(None)]
        (arrival,) = await consumer.wait_for(1)
        assert arrival.told.event_name == "b"

    @pytest.mark.parametrize(
        "told",
        [
            message("a\ud800"),
            message(metadata={"a": "\udfff"}),
            message(metadata={"\udfff": "a"}),
            message(metadata={"content-type": "\ud800"}),
            message(trace_context={"baggage": "\ud800"}),
        ],
        ids=["name", "value", "key", "type", "trace"],
    )
    async def test_half_a_surrogate_pair(self, place: tuple[str, Consumer], told: Envelope):
        """No message has any; an envelope made by hand may, and what it is sent with goes on."""
        url, consumer = place
        async with opened(f"{url}{{event_name}}") as transport:
            connection = transport._connection
            outcomes = await transport.publish_many([told, message("b")])
            assert [type(each) for each in outcomes] == [Rejected, type(None)]
            with pytest.raises(Rejected, match="no character"):
                await transport.publish(told)
            assert transport._connection is connection
        (arrival,) = await consumer.wait_for(1)
        assert arrival.told.event_name == "b"

    async def test_the_event_name_where_the_topic_does_not_tell_it(
        self, place: tuple[str, Consumer]
    ):
        metadata = {"event_name": "mine", "metadata-event_name": "too", "other": "x"}
        place[1].topic = place[1].topic.replace("{event_name}", "all")
        (arrival,) = await sent(place, "all", message("größe +", metadata=metadata))
        assert arrival.told.event_name == "größe +"
        headers = arrival.told.headers
        assert headers["metadata-event_name"] == "mine"
        assert headers["metadata-metadata-event_name"] == "too"
        assert headers["other"] == "x"
        assert arrival.told.event_name not in headers


class TestWays:
    @pytest.mark.parametrize("qos", [0, 1, 2])
    async def test_quality(self, place: tuple[str, Consumer], qos: int):
        (arrival,) = await sent(place, f"{{event_name}}&qos={qos}", message())
        assert arrival.qos == qos

    async def test_expiry(self, place: tuple[str, Consumer]):
        (arrival,) = await sent(place, "{event_name}&expiry=3600", message())
        assert arrival.expiry is not None
        assert 3590 < arrival.expiry <= 3600

    async def test_retained_for_who_comes_later(self, mqtt_url: str):
        namespace = os.urandom(6).hex()
        url = f"{mqtt_url}?topic={namespace}/x&retain=true"
        later = Consumer(mqtt_url, namespace)
        try:
            async with opened(url) as transport:
                await transport.publish(message(payload=b"first"))
                await transport.publish(message(payload=b"last"))
            await later.start()
            (arrival,) = await later.wait_for(1)
            assert arrival.retained
            assert arrival.told.payload == b"last"
        finally:
            async with opened(url) as transport:  # an empty one takes it away
                await transport.publish(message(payload=b""))
            await later.stop()

    async def test_without_retain_nothing_is_kept(self, place: tuple[str, Consumer], mqtt_url: str):
        (arrival,) = await sent(place, "x", message())
        assert not arrival.retained
        later = Consumer(mqtt_url, arrival.topic.partition("/")[0])
        await later.start()
        await sent(place, "y", message())
        (other,) = await later.wait_for(1)
        assert other.topic.endswith("/y")
        await later.stop()
