"""What a consumer gets from RabbitMQ: properties and headers, to their limits."""

import re

import aio_pika
import pytest
from tests.transports.rabbitmq_consumer import Consumer
from tests.transports.rabbitmq_kit import channel, envelope, name, opened, rabbitmq_url

from duly import Rejected

__all__ = ["channel", "name", "rabbitmq_url"]  # fixtures are found by their names


async def test_properties_and_headers(rabbitmq_url, name):
    async with (
        Consumer(rabbitmq_url, name) as consumer,
        opened(rabbitmq_url, exchange=name) as transport,
    ):
        metadata = {"tenant": "7", "Content-Type": "application/json"}
        assert await transport.publish(envelope(metadata=metadata, attempt=3)) is None
        (got,) = await consumer.wait_for(1)
    assert got.message_id == "order 17:1000:2"
    assert got.type == got.routing_key == "orders.reminder"
    assert got.content_type == "application/json"
    assert got.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert got.body == b"{}"
    assert got.headers["tenant"] == "7"
    assert got.headers["duly-attempt"] == "3"
    assert got.headers["duly-delivery-id"] == "order 17:1000:2"


async def test_not_persistent(rabbitmq_url, name):
    async with (
        Consumer(rabbitmq_url, name) as consumer,
        opened(rabbitmq_url, exchange=name, persistent="false") as transport,
    ):
        await transport.publish(envelope())
        (got,) = await consumer.wait_for(1)
    assert got.delivery_mode == aio_pika.DeliveryMode.NOT_PERSISTENT


async def test_the_broker_drops_no_repeats(rabbitmq_url, name):
    async with (
        Consumer(rabbitmq_url, name) as consumer,
        opened(rabbitmq_url, exchange=name) as transport,
    ):
        for attempt in (1, 2):
            await transport.publish(envelope(attempt=attempt))
        got = await consumer.wait_for(2)
    assert {each.message_id for each in got} == {"order 17:1000:2"}


@pytest.mark.parametrize("id", ["x" * 255, "ß" * 255, "\U0001f4e6" * 60])
async def test_a_delivery_id_that_is_too_long_has_a_digest(rabbitmq_url, name, id):
    async with (
        Consumer(rabbitmq_url, name) as consumer,
        opened(rabbitmq_url, exchange=name) as transport,
    ):
        deliveries = [f"{id}:1000:0", f"{id}:1000:0", f"{id}:1000:1"]
        for delivery_id in deliveries:
            await transport.publish(envelope(message_id=id, delivery_id=delivery_id))
        got = await consumer.wait_for(3)
    first, again, other = (each.message_id for each in got)
    assert first == again != other
    assert [each.headers["duly-delivery-id"] for each in got] == deliveries


async def test_the_longest_event_names(rabbitmq_url, name):
    """They are no routing keys, and no type."""
    long = "\U0001f4e6" * 255
    async with Consumer(rabbitmq_url, name) as consumer:
        async with opened(rabbitmq_url, exchange=name, routing_key="all") as transport:
            await transport.publish(envelope(long))
            (got,) = await consumer.wait_for(1)
        assert got.type is None
        assert got.headers["duly-event-name"] == long
        async with opened(rabbitmq_url, exchange=name) as transport:
            with pytest.raises(Rejected, match="routing key is longer than 255 bytes"):
                await transport.publish(envelope(long))
            await transport.publish(envelope("x" * 255))
        assert (await consumer.wait_for(2))[1].routing_key == "x" * 255


async def test_what_metadata_may_not_tell_the_broker(rabbitmq_url, name, channel):
    """CC and BCC would send copies to other queues."""
    elsewhere = await channel.declare_queue(exclusive=True)
    names = ["CC", "BCC", "metadata-CC", "metadata-metadata-BCC", "cc", "SUCC"]
    async with opened(rabbitmq_url, routing_key=name) as transport:
        queue = await channel.declare_queue(name, exclusive=True)
        metadata = dict.fromkeys(names, elsewhere.name)
        await transport.publish(envelope(metadata=metadata))
        got = await queue.get(no_ack=True)
        assert await elsewhere.get(no_ack=True, fail=False) is None
    forged = {each for each, value in got.headers.items() if value == elsewhere.name}
    assert forged == {
        "metadata-CC",
        "metadata-BCC",
        "metadata-metadata-CC",
        "metadata-metadata-metadata-BCC",
        "cc",
        "SUCC",
    }


@pytest.mark.parametrize("long", ["x" * 129, "ß" * 65, "\U0001f4e6" * 33])
async def test_names_of_metadata_that_would_be_cut_off(rabbitmq_url, name, long):
    async with (
        Consumer(rabbitmq_url, name) as consumer,
        opened(rabbitmq_url, exchange=name) as transport,
    ):
        with pytest.raises(Rejected, match="longer than 128 bytes"):
            await transport.publish(envelope(metadata={long: "7"}))
        await transport.publish(envelope(metadata={long[:-1]: "7"}))
        (got,) = await consumer.wait_for(1)
    assert got.headers[long[:-1]] == "7"


async def test_more_headers_than_find_room_in_a_frame(rabbitmq_url, name):
    """The broker would hang up, and again at each attempt."""
    few = {"text": "x" * 65_000}  # as much as a message may have
    many = {f"{number:05}": "" for number in range(13_000)}
    async with (
        Consumer(rabbitmq_url, name) as consumer,
        opened(rabbitmq_url, exchange=name) as transport,
    ):
        outcomes = await transport.publish_many(
            [envelope(metadata=few), envelope(metadata=many), envelope()]
        )
        assert [type(each) for each in outcomes] == [type(None), Rejected, type(None)]
        assert "headers have" in str(outcomes[1])
        got = await consumer.wait_for(2)
    assert got[0].headers["text"] == few["text"]


async def test_headers_that_just_find_room(rabbitmq_url, name):
    """To the last byte, so that the broker's own limit is met."""
    async with (
        Consumer(rabbitmq_url, name) as consumer,
        opened(rabbitmq_url, exchange=name) as transport,
    ):
        text = "ß" * 100_000
        with pytest.raises(Rejected) as told:
            await transport.publish(envelope(metadata={"text": text}))
        size, limit = map(int, re.findall(r"(\d+)", str(told.value)))
        fitting = "x" * (len(text.encode()) - (size - limit))
        with pytest.raises(Rejected):
            await transport.publish(envelope(metadata={"text": fitting + "x"}))
        await transport.publish(envelope(metadata={"text": fitting}))
        (got,) = await consumer.wait_for(1)
    assert got.headers["text"] == fitting
