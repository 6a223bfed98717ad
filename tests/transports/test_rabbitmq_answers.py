"""What becomes of a message by what RabbitMQ answers, and what its consumers get."""

import asyncio
import contextlib
import re
import secrets
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from tests.servers.process import free_port
from tests.servers.proxy import Proxy
from tests.servers.rabbitmq import port_of, rabbitmq_url
from tests.transports.rabbitmq_consumer import Consumer

import duly_rabbitmq.link
from duly import InvalidArgument, Rejected, TransportError, TransportUnavailable
from duly.testing.clock import START
from duly.transport import Envelope
from duly_rabbitmq import RabbitMQTransport
from duly_rabbitmq.plugin import transport_from_url

__all__ = ["rabbitmq_url"]  # fixtures are found by their names


def envelope(event_name: str = "orders.reminder", payload: bytes = b"{}", **more: Any) -> Envelope:
    known = {"message_id": "order 17", "scheduled_at": START, "delivery_id": "order 17:1000:2"}
    return Envelope(event_name=event_name, payload=payload, **{**known, **more})


@contextlib.asynccontextmanager
async def opened(url: str, **options: str) -> AsyncIterator[RabbitMQTransport]:
    """An open transport; options of the URL as words."""
    query = "&".join(f"{key}={value}" for key, value in options.items())
    transport = transport_from_url(f"{url}?{query}" if query else url)
    await transport.open()
    try:
        yield transport
    finally:
        await transport.close()


@pytest.fixture
def name() -> str:
    """A name of this test's own, for a queue or an exchange."""
    return f"duly-{secrets.token_hex(6)}"


@pytest.fixture
async def channel(rabbitmq_url: str) -> AsyncIterator[AbstractChannel]:
    connection = await aio_pika.connect(rabbitmq_url)
    yield await connection.channel()
    await connection.close()


# --- what consumers get


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


# --- where they go


async def test_a_queue_by_its_name(rabbitmq_url, name, channel):
    queue = await channel.declare_queue(f"{name}.orders", exclusive=True)
    async with opened(rabbitmq_url, routing_key=f"{name}.{{event_name}}") as transport:
        await transport.publish(envelope("orders"))
        assert (await queue.get(no_ack=True)).body == b"{}"
        with pytest.raises(Rejected, match="no queue takes it.*NO_ROUTE"):
            await transport.publish(envelope("bills"))
        await transport.publish(envelope("orders"))
        assert (await queue.get(no_ack=True)).body == b"{}"


async def test_unroutable_ones_among_others(rabbitmq_url, name, channel):
    queue = await channel.declare_queue(f"{name}.1", exclusive=True)
    async with opened(rabbitmq_url, routing_key=f"{name}.{{event_name}}") as transport:
        envelopes = [
            envelope(str(number % 2), delivery_id=f"a:{number}:0") for number in range(100)
        ]
        outcomes = await transport.publish_many(envelopes)
        assert [type(each) for each in outcomes] == [Rejected, type(None)] * 50
        assert (await queue.declare()).message_count == 50


async def test_the_same_delivery_many_times_at_once(rabbitmq_url, name, channel):
    """As by a scheduler whose lease has lapsed: none is taken for another."""
    async with opened(rabbitmq_url, routing_key=name) as transport:
        outcomes = await transport.publish_many([envelope()] * 20)
        assert {type(each) for each in outcomes} == {Rejected}
        queue = await channel.declare_queue(name, exclusive=True)
        assert not any(await transport.publish_many([envelope()] * 20))
        assert (await queue.declare()).message_count == 20


async def test_an_exchange_is_declared_where_that_is_asked_for(rabbitmq_url, name, channel):
    async with opened(rabbitmq_url, exchange=name, declare="topic") as transport:
        exchange = await channel.declare_exchange(name, "topic", durable=True)  # it is the same
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchange, "orders.#")
        await transport.publish(envelope())
        assert (await queue.get(no_ack=True)).routing_key == "orders.reminder"
        with pytest.raises(Rejected):
            await transport.publish(envelope("bills"))
        await exchange.delete()


async def test_an_exchange_that_is_another(rabbitmq_url, name, channel):
    await channel.declare_exchange(name, "fanout")
    with pytest.raises(TransportError, match="inequivalent arg") as told:
        async with opened(rabbitmq_url, exchange=name, declare="topic"):
            pass
    assert type(told.value) is TransportError
    await channel.exchange_delete(name)


async def test_an_exchange_that_does_not_exist_yet(rabbitmq_url, name):
    """The broker closes the channel each time; it is opened again, and the message passes."""
    async with opened(rabbitmq_url, exchange=name) as transport:
        for _ in range(2):
            with pytest.raises(TransportError, match="no exchange") as told:
                await transport.publish(envelope())
            assert type(told.value) is TransportError
        (reason,) = await transport.check()
        assert name in reason
        outcomes = await transport.publish_many([envelope() for _ in range(100)])
        assert {type(each) for each in outcomes} == {TransportError}
        async with Consumer(rabbitmq_url, name) as consumer:
            await transport.publish(envelope())
            assert await transport.check() == []
            assert len(await consumer.wait_for(1)) == 1


async def test_an_exchange_that_goes_and_comes_in_mid_run(rabbitmq_url, name, channel):
    """The channel is closed with much in flight; the connection stays, and nothing is lost."""
    queue = await channel.declare_queue(name, exclusive=True)

    async def declare() -> None:
        await queue.bind(await channel.declare_exchange(name, "fanout"))

    await declare()
    waiting = {b"%d" % number for number in range(2000)}
    kinds: set[type] = set()
    async with opened(rabbitmq_url, exchange=name) as transport:

        async def publish() -> None:
            while waiting:
                taken = [waiting.pop() for _ in range(min(50, len(waiting)))]
                outcomes = await transport.publish_many(
                    [envelope(payload=each, delivery_id=f"{each.decode()}:1:0") for each in taken]
                )
                kinds.update(map(type, outcomes))
                waiting.update(
                    each for each, outcome in zip(taken, outcomes, strict=True) if outcome
                )
                await asyncio.sleep(0.01 if any(outcomes) else 0)

        publishers = asyncio.gather(*(publish() for _ in range(4)))
        for _ in range(5):
            await channel.exchange_delete(name)
            await asyncio.sleep(0.02)
            await declare()
        await publishers
    assert kinds <= {type(None), TransportError, Rejected}  # between exchange and binding it is
    found = set()
    for _ in range((await queue.declare()).message_count):
        found.add((await queue.get(no_ack=True)).body)
    assert len(found) == 2000
    await channel.exchange_delete(name)


async def test_a_full_queue_refuses_for_now(rabbitmq_url, name, channel):
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    queue = await channel.declare_queue(name, exclusive=True, arguments=full)
    async with opened(rabbitmq_url, routing_key=name) as transport:
        outcomes: list[Any] = []
        while None in outcomes[-1:] or not outcomes:  # how many it takes is up to the queue
            outcomes += await transport.publish_many([envelope()])
            assert len(outcomes) < 10
        assert type(outcomes[-1]) is TransportError
        assert "refused" in str(outcomes[-1])
        await queue.purge()
        await transport.publish(envelope())


# --- the broker is away, or silent


async def test_a_broker_that_falls_silent(rabbitmq_url, name, monkeypatch):
    monkeypatch.setattr(duly_rabbitmq.link, "_ANSWERING", 0.2)
    monkeypatch.setattr(duly_rabbitmq.link, "_CLOSING", 0.1)
    async with Consumer(rabbitmq_url, name) as consumer, Proxy(port_of(rabbitmq_url)) as proxy:
        url = f"amqp://guest:guest@127.0.0.1:{proxy.port}/"
        async with opened(url, exchange=name, timeout="0.2") as transport:
            await transport.publish(envelope())
            proxy.hold()
            with pytest.raises(TransportUnavailable, match="does not answer in time"):
                await transport.publish(envelope())
            proxy.let_go()
            await transport.publish(envelope(payload=b"last"))
            while (await consumer.wait_for(2))[-1].body != b"last":
                await consumer.wait_for(len(consumer.messages) + 1)


async def test_closing_while_the_broker_is_silent(rabbitmq_url, monkeypatch):
    monkeypatch.setattr(duly_rabbitmq.link, "_CLOSING", 0.1)
    async with Proxy(port_of(rabbitmq_url)) as proxy:
        transport = transport_from_url(f"amqp://guest:guest@127.0.0.1:{proxy.port}/")
        await transport.open()
        publish = asyncio.ensure_future(transport.publish(envelope()))
        await asyncio.sleep(0)
        proxy.hold()
        await transport.close()
        publish.cancel()
        await asyncio.gather(publish, return_exceptions=True)


async def test_a_message_that_is_not_confirmed_in_time(rabbitmq_url, name, channel):
    """The broker is there, so it is this message's trouble."""
    await channel.declare_queue(name, exclusive=True)
    async with opened(rabbitmq_url, routing_key=name, timeout="0.000001") as transport:
        with pytest.raises(TransportError, match="has not confirmed it in 1e-06 s") as told:
            await transport.publish(envelope())
        assert type(told.value) is TransportError


async def test_the_next_node_where_the_first_is_away(rabbitmq_url, name):
    hosts = f"127.0.0.1:{free_port()},127.0.0.1:{port_of(rabbitmq_url)}"
    async with opened(f"amqp://guest:guest@{hosts}/") as transport:
        with pytest.raises(Rejected):
            await transport.publish(envelope(name))


async def test_it_connects_by_itself(rabbitmq_url, name):
    async with Consumer(rabbitmq_url, name) as consumer, Proxy(port_of(rabbitmq_url)) as proxy:
        url = f"amqp://guest:guest@127.0.0.1:{proxy.port}/"
        async with opened(url, exchange=name) as transport:
            for number in range(3):
                await proxy.stop()
                (reason,) = await transport.check()
                assert str(proxy.port) in reason
                with pytest.raises(TransportUnavailable):
                    await transport.publish(envelope())
                await proxy.start()
                if number:
                    assert await transport.check() == []
                await asyncio.gather(*(transport.publish(envelope()) for _ in range(50)))
            assert len(await consumer.wait_for(150)) == 150


@pytest.mark.parametrize("path", ["", "/", "/no-such-host"])
async def test_who_is_not_let_in(rabbitmq_url, path):
    login = "guest:the-wrong-word" if path != "/no-such-host" else "guest:guest"
    transport = transport_from_url(f"amqp://{login}@127.0.0.1:{port_of(rabbitmq_url)}{path}")
    with pytest.raises(TransportUnavailable) as told:
        await transport.open()
    assert "the-wrong-word" not in f"{told.value} {told.value.__cause__} {transport!r}"
    assert "no-such-host" in str(told.value) or "lets us not in" in str(told.value)
    await transport.close()


def test_opened_again_in_another_event_loop(rabbitmq_url, name):
    transport = transport_from_url(rabbitmq_url)

    async def use() -> None:
        await transport.open()
        outcomes = await transport.publish_many(
            [envelope(name, delivery_id=f"a:{number}:0") for number in range(100)]
        )
        assert {type(each) for each in outcomes} == {Rejected}
        await transport.close()

    for _ in range(2):
        asyncio.run(use())


async def test_not_open():
    transport = transport_from_url("amqp://localhost")
    with pytest.raises(TransportUnavailable, match="not open"):
        await transport.publish(envelope())
    (reason,) = await transport.check()
    assert "not open" in reason
    await transport.close()


# --- the URL


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("amqp:///", "has a host"),
        ("amqp://user@a/", "together"),
        ("amqp://a/?stream=x", "unknown option 'stream'; known: auth, declare, exchange, heart"),
        ("amqp://a/?routing_key=", "routing_key: it is empty"),
        ("amqp://a/?routing_key={name}", "routing_key: .*unknown field"),
        ("amqp://a/?routing_key=" + "x" * 256, "routing_key: it has at most 255 bytes"),
        ("amqp://a/?exchange=" + "x" * 256, "exchange: .*255"),
        ("amqp://a/?declare=topic", "the broker's own"),
        ("amqp://a/?declare=topic&exchange=amq.topic", "the broker's own"),
        ("amqp://a/?declare=queue&exchange=a", "declare: it is one of direct, fanout"),
        ("amqp://a/?persistent=maybe", "neither true nor false"),
        ("amqp://a/?timeout=0", "above 0"),
        ("amqp://a/?max_message_size=0", "above 0"),
        ("amqp://a/?heartbeat=0.5", "heartbeat: whole seconds"),
        ("amqp://a/?heartbeat=65535", "heartbeat: whole seconds"),
        ("amqp://a/?auth=ldap", "auth: it is plain or external"),
        ("amqp://a/?auth=external", "auth=external: it needs TLS with a certificate"),
        ("amqps://a/?auth=external", "auth=external: it needs TLS with a certificate"),
        ("amqps://a/?tls=false", "means TLS"),
        ("amqp://a/?tls_ca=/ca.pem", "without tls=true"),
        ("amqps://a/?tls_ca=/missing.pem", "no file"),
    ],
)
def test_urls_that_are_refused(url, said):
    with pytest.raises(InvalidArgument, match=said):
        transport_from_url(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://localhost", "amqp://localhost:5672/"),
        ("amqps://user:pass%2Fword@a,b:17/shop", "amqps://a:5671,b:17/shop"),
        ("amqp://user:pass@[::1]/%2F?tls=true", "amqps://[::1]:5671/"),
        ("amqp://user:pass@a/%2Fb", "amqp://a:5672//b"),
    ],
)
def test_what_a_transport_shows(url, shown):
    assert repr(transport_from_url(url)) == f"RabbitMQTransport({shown}, exchange='')"
