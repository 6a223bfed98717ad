"""Streams of JetStream that keep nothing, or never answer, and answers of others beside theirs."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, RetentionPolicy
from tests.servers.nats import NatsServer
from tests.transports.envelopes import NAME, envelope
from tests.transports.nats_consumer import flushed

from duly import Scheduler, TransportError, TransportUnavailable
from duly.transport import Envelope
from duly_nats import JetStreamTransport, Login

USERS = """authorization { users: [
  { user: all, password: secret },
  { user: mute, password: secret, permissions: { publish: { deny: "$JS.API.>" } } }
] }"""


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with NatsServer(USERS) as server:
        yield server


@pytest.fixture
async def client(server: NatsServer) -> AsyncIterator[Client]:
    client = await nats.connect(server.url, user="all", password="secret")
    yield client
    for stream in await client.jetstream().streams_info():
        await client.jetstream().delete_stream(stream.config.name or "")
    await client.close()


@pytest.fixture
async def make(server: NatsServer) -> AsyncIterator[Any]:
    made = []

    def make(user: str = "all", **options: Any) -> JetStreamTransport:
        login = Login(user=user, password="secret")
        made.append(JetStreamTransport([f"127.0.0.1:{server.port}"], login=login, **options))
        return made[-1]

    yield make
    for transport in made:
        await transport.close()


async def interested(client: Client) -> None:
    """A stream that keeps what consumers are interested in; there is none yet."""
    await client.jetstream().add_stream(
        name="kept", subjects=["orders.>"], retention=RetentionPolicy.INTEREST
    )


async def consumer(client: Client) -> None:
    await client.jetstream().add_consumer("kept", ConsumerConfig(durable_name="reader"))


async def messages(client: Client) -> int:
    return (await client.jetstream().stream_info("kept")).state.messages


async def accepted(transport: JetStreamTransport, sent: Envelope) -> None:
    """As a scheduler does it: tried again until it is."""
    async with asyncio.timeout(10):
        while True:
            try:
                await transport.publish(sent)
            except TransportError:
                await asyncio.sleep(0.02)
            else:
                return


ONE = [{"subject": NAME}, {"stream": "kept"}]


@pytest.mark.parametrize("options", ONE)
async def test_without_a_consumer_it_waits_for_one(client, make, options):
    await interested(client)
    transport = make(**options)
    for _ in range(2):
        with pytest.raises(TransportUnavailable, match="stream kept .* has no consumer"):
            await transport.open()
    await consumer(client)
    await transport.open()
    await transport.publish(envelope())
    assert await messages(client) == 1
    assert await transport.check() == []


@pytest.mark.parametrize("options", [{}, *ONE])
async def test_when_the_consumer_goes_it_is_told_and_nothing_more_is_lost(client, make, options):
    await interested(client)
    await consumer(client)
    transport = make(**options)
    await transport.open()
    await transport.publish(envelope(payload=b"1"))
    await client.jetstream().delete_consumer("kept", "reader")
    (reason,) = await transport.check()
    assert "has no consumer" in reason
    sent = envelope(payload=b"2", delivery_id="b:1:0")
    with pytest.raises(TransportError, match="has no consumer"):
        await transport.publish(sent)
    assert len(await transport.check()) == 1
    await consumer(client)
    await accepted(transport, sent)  # and it is no repeat of one that was dropped
    assert await messages(client) == 1
    assert await transport.check() == []


async def test_that_the_consumer_has_gone_is_found_out_while_publishing(client, make):
    await interested(client)
    await consumer(client)
    transport = make()
    await transport.open()
    await transport.publish(envelope(delivery_id="0:1:0"))
    await client.jetstream().delete_consumer("kept", "reader")
    async with asyncio.timeout(20):
        with pytest.raises(TransportError, match="has no consumer"):
            for number in itertools.count(1):
                await transport.publish(envelope(delivery_id=f"{number}:1:0"))
                await asyncio.sleep(0.05)


async def test_a_crowd_asks_once(client, make):
    await interested(client)
    asked = 0

    async def count(_: Msg) -> None:
        nonlocal asked
        asked += 1

    await client.subscribe("$JS.API.STREAM.*", cb=count)
    await flushed(client)
    transport = make()
    await transport.open()
    crowd = [envelope(delivery_id=f"{number}:1:0") for number in range(100)]
    for subject in (NAME, "nowhere"):
        messages = [envelope(subject, delivery_id=each.delivery_id) for each in crowd]
        outcomes = await transport.publish_many(messages)
        outcomes += await asyncio.gather(*map(transport.publish, messages), return_exceptions=True)
        assert {type(each) for each in outcomes} == {TransportError}
    await flushed(client)
    assert asked < 100


async def test_where_others_keep_theirs_it_is_an_affair_of_the_message(client, make):
    await interested(client)
    await client.jetstream().add_stream(name="bills", subjects=["bills"])
    transport = make()
    await transport.open()
    outcomes = await transport.publish_many([envelope(), envelope(event_name="bills"), envelope()])
    assert [type(each) for each in outcomes] == [TransportError, str, TransportError]


@pytest.mark.parametrize("options", [{}, {"subject": "silent"}, {"stream": "silent"}])
async def test_a_stream_that_acknowledges_nothing(server, client, make, options):
    config = {"name": "silent", "subjects": ["silent"], "no_ack": True, "storage": "memory"}
    await client.request("$JS.API.STREAM.CREATE.silent", json.dumps(config).encode())
    transport = make(**options)
    with pytest.raises(TransportError, match="stream silent acknowledges nothing") as told:
        await transport.open()
        await transport.publish(envelope(event_name="silent"))
    assert type(told.value) is TransportError
    if options:
        async with Scheduler("memory://", transport) as scheduler:
            with pytest.raises(TransportError, match="turn that off"):
                await scheduler.start()


@pytest.mark.parametrize("answer", [b"got it", b'{"stream": "zz", "seq": 7}'])
async def test_who_answers_beside_the_stream_is_not_heard(client, make, answer):
    await client.jetstream().add_stream(name="kept", subjects=["orders.>"])

    async def respond(message: Msg) -> None:
        await message.respond(answer)

    await client.subscribe("orders.>", cb=respond)
    await flushed(client)
    transport = make()
    await transport.open()
    receipts = await transport.publish_many(
        [envelope(delivery_id=f"a:{number}:0") for number in range(20)]
    )
    assert receipts == [f"kept:{number}" for number in range(1, 21)]


@pytest.mark.parametrize("options", [{}, *ONE])
async def test_who_may_not_ask_publishes_all_the_same(client, make, options):
    await client.jetstream().add_stream(name="kept", subjects=["orders.>"])
    transport = make("mute", **options)
    await transport.open()
    assert await transport.publish(envelope()) == "kept:1"
    assert await transport.check() == []
