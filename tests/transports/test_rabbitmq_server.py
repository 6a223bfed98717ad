"""What takes a RabbitMQ of the tests' own: TLS, users, its limits, and a broker short of memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from tests.servers.certificates import Certificates
from tests.servers.rabbitmq import RabbitMQServer
from tests.transports.rabbitmq_consumer import Consumer

from duly import InvalidArgument, Rejected, TransportError, TransportUnavailable
from duly.testing.clock import START
from duly.transport import Envelope
from duly_rabbitmq import RabbitMQTransport
from duly_rabbitmq.plugin import transport_from_url

LIMIT = 1_000_000
USER, PASSWORD, HOST = "Ada/:@%", "pass:/@?%&word", "a/b c%?"


def envelope(payload: bytes = b"{}", name: str = "orders") -> Envelope:
    return Envelope(message_id="a", event_name=name, payload=payload, scheduled_at=START,
                    delivery_id=f"a:{id(payload)}:0")  # fmt: skip


def definitions() -> dict[str, Any]:
    """Users, hosts and permissions that the server begins with."""
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    return {
        "users": [
            {"name": "guest", "password": "guest", "tags": ["administrator"]},
            {"name": "client", "password": "never used", "tags": []},  # by its certificate
            {"name": USER, "password": PASSWORD, "tags": []},
        ],
        "vhosts": [{"name": "/"}, {"name": HOST}],
        "permissions": [
            {"user": "guest", "vhost": "/", **everything},
            {"user": "client", "vhost": "/", **everything},
            {"user": USER, "vhost": HOST, **everything},
        ],
        "topic_permissions": [
            {"user": USER, "vhost": HOST, "exchange": "orders", "write": "^allowed", "read": ".*"},
        ],
    }


@pytest.fixture(scope="module")
def server(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RabbitMQServer]:
    """Started once for all that is here."""
    file = tmp_path_factory.mktemp("rabbitmq") / "definitions.json"
    file.write_text(json.dumps(definitions()))
    settings = (f"load_definitions = {file}", f"max_message_size = {LIMIT}")
    with RabbitMQServer(*settings, certificates=certificates) as server:
        yield server


@pytest.fixture
async def consumer(server: RabbitMQServer) -> AsyncIterator[Consumer]:
    async with Consumer(server.url, "orders", kind="topic") as consumer:
        yield consumer


async def publish(url: str) -> None:
    transport = transport_from_url(url)
    try:
        await transport.open()
        await transport.publish(envelope())
    finally:
        await transport.close()


async def test_tls(server, certificates, consumer):
    port = server.tls_port
    for scheme, tls in (("amqps", ""), ("amqp", "tls=true&")):
        await publish(
            f"{scheme}://guest:guest@localhost:{port}/?{tls}tls_ca={certificates.ca}&exchange=orders"
        )
    assert len(await consumer.wait_for(2)) == 2


async def test_a_certificate_that_nobody_trusts(server):
    with pytest.raises(TransportUnavailable, match="certificate"):
        await publish(f"amqps://guest:guest@localhost:{server.tls_port}/")


async def test_tls_to_a_port_without_it(server, certificates):
    with pytest.raises(TransportUnavailable):
        await publish(f"amqps://localhost:{server.port}/?tls_ca={certificates.ca}")


async def test_no_tls_to_a_port_with_it(server):
    with pytest.raises(TransportUnavailable):
        await publish(f"amqp://localhost:{server.tls_port}/")


async def test_who_is_known_by_a_certificate(server, certificates, consumer):
    url = f"amqps://localhost:{server.tls_port}/?auth=external&exchange=orders"
    cert, key = certificates.client
    await publish(f"{url}&tls_ca={certificates.ca}&tls_cert={cert}&tls_key={key}")
    assert len(await consumer.wait_for(1)) == 1
    stranger = certificates.issue("stranger", "stranger@example.org")
    with pytest.raises(TransportError, match="refuses the connection"):
        await publish(
            f"{url}&tls_ca={certificates.ca}&tls_cert={stranger.cert}&tls_key={stranger.key}"
        )


async def test_a_certificate_that_is_none(certificates, tmp_path):
    (tmp_path / "none.pem").write_text("none")
    with pytest.raises(InvalidArgument, match="tls_cert"):
        await publish(f"amqps://localhost/?tls_ca={certificates.ca}&tls_cert={tmp_path}/none.pem")


async def test_a_virtual_host_that_is_not_there_is_named(server):
    url = server.url.rstrip("/") + "/no-such-host"
    with pytest.raises(TransportError, match="no-such-host: the virtual host"):
        await transport_from_url(url).open()


async def test_a_limit_of_connections_is_an_outage(server):
    """It passes when others leave."""
    server.control("set_vhost_limits", "-p", "/", json.dumps({"max-connections": 0}))
    transport = transport_from_url(server.url)
    try:
        with pytest.raises(TransportUnavailable, match="connection limit"):
            await transport.open()
    finally:
        server.control("clear_vhost_limits", "-p", "/")
    await transport.open()
    await transport.close()


async def test_who_is_not_let_in_any_more_waits(server):
    """Of whoever was let in before it is an outage, which ends when he is let in again."""
    url = server.url.replace("guest:guest", "late:word") + "?exchange=orders&declare=topic"
    server.control("add_user", "late", "word")
    server.control("set_permissions", "-p", "/", "late", ".*", ".*", ".*")
    transport = transport_from_url(url)
    await transport.open()
    server.control("change_password", "late", "another")
    await asyncio.to_thread(server.control, "close_all_connections", "maintenance")
    while not any("refuses the connection" in each for each in await transport.check()):  # noqa: ASYNC110  # it is told a little later
        await asyncio.sleep(0.01)
    for call in (lambda: transport.publish(envelope()), transport.open):
        with pytest.raises(TransportUnavailable, match="refuses the connection"):
            await call()
    server.control("change_password", "late", "word")
    await transport.open()
    with pytest.raises(Rejected, match="no queue takes it"):
        await transport.publish(envelope())
    await transport.close()
    server.control("delete_user", "late")


async def test_names_and_passwords_with_all_that_urls_give_a_meaning(server):
    """And the broker closes the channel for what this user may not publish: others go on."""
    user, password, host = (quote(each, safe="") for each in (USER, PASSWORD, HOST))
    url = f"amqp://{user}:{password}@127.0.0.1:{server.port}/{host}"
    async with Consumer(url, "orders", kind="topic") as consumer:
        transport = transport_from_url(f"{url}?exchange=orders")
        assert PASSWORD not in repr(transport)
        await transport.open()
        with pytest.raises(TransportError, match="ACCESS_REFUSED") as told:
            await transport.publish(envelope(name="forbidden"))
        assert type(told.value) is TransportError
        await transport.publish(envelope(name="allowed"))
        assert len(await consumer.wait_for(1)) == 1
        await transport.close()


# --- limits


async def test_a_payload_beyond_the_limit_is_refused_before_it_is_sent(server, consumer):
    transport = transport_from_url(f"{server.url}?exchange=orders&max_message_size={LIMIT}")
    await transport.open()
    envelopes = [envelope(bytes(size)) for size in (LIMIT, LIMIT + 1, 10)]
    outcomes = await transport.publish_many(envelopes)
    assert [type(each) for each in outcomes] == [type(None), Rejected, type(None)]
    assert len(await consumer.wait_for(2)) == 2
    await transport.close()


async def test_a_limit_that_the_broker_has_to_tell(server, consumer):
    """It closes the channel, once."""
    transport = transport_from_url(f"{server.url}?exchange=orders")
    await transport.open()
    for size in (LIMIT + 1, LIMIT + 2):
        with pytest.raises(Rejected, match=f"has {size} bytes, and the broker takes {LIMIT}"):
            await transport.publish(envelope(bytes(size)))
    await transport.publish(envelope(bytes(LIMIT)))
    assert [len(each.body) for each in await consumer.wait_for(1)] == [LIMIT]
    await transport.close()


async def test_neighbours_of_one_that_is_too_large_are_tried_again(server, consumer):
    transport = transport_from_url(f"{server.url}?exchange=orders")
    await transport.open()
    envelopes = [envelope(b"%d" % number) for number in range(20)]
    envelopes.insert(10, envelope(bytes(LIMIT + 1)))
    outcomes = await transport.publish_many(envelopes)
    assert type(outcomes[10]) is Rejected
    failed = [number for number, each in enumerate(outcomes) if type(each) is TransportError]
    assert {type(each) for each in outcomes} <= {Rejected, TransportError, type(None)}
    again = await transport.publish_many([envelopes[number] for number in failed])
    assert not any(again)
    while {each.body for each in consumer.messages} != {b"%d" % number for number in range(20)}:
        await consumer.wait_for(len(consumer.messages) + 1)
    await transport.close()


# --- the broker itself


@pytest.fixture
async def transport(server: RabbitMQServer) -> AsyncIterator[RabbitMQTransport]:
    transport = transport_from_url(f"{server.url}?exchange=orders&timeout=10")
    await transport.open()
    yield transport
    await transport.close()


async def test_a_broker_short_of_memory(server, consumer, transport):
    await transport.publish(envelope())
    server.control("set_vm_memory_high_watermark", "absolute", "1")
    try:
        for _ in range(2):  # it says so to the first that publishes, and the second is not sent
            with pytest.raises(TransportUnavailable, match="short of memory or disk"):
                await transport.publish(envelope())
        (reason,) = await transport.check()
        assert "short of memory or disk" in reason
    finally:
        server.control("set_vm_memory_high_watermark", "0.4")
    while await transport.check():  # noqa: ASYNC110  # it is told a little later
        await asyncio.sleep(0.01)
    await transport.publish(envelope(b"last"))
    while consumer.messages[-1].body != b"last":
        await consumer.wait_for(len(consumer.messages) + 1)


async def test_connections_that_an_operator_closes(server):
    transport = transport_from_url(f"{server.url}?exchange=orders&declare=topic")
    await transport.open()
    await asyncio.to_thread(server.control, "close_all_connections", "maintenance")
    async with Consumer(server.url, "orders", kind="topic") as consumer:
        while True:
            try:
                await transport.publish(envelope(b"last"))
            except TransportUnavailable:  # it is told a little later
                await asyncio.sleep(0.01)
            else:
                break
        assert await transport.check() == []
        assert (await consumer.wait_for(1))[-1].body == b"last"
    await transport.close()
