"""What a consumer of Kafka gets: topics, keys, partitions and headers; and URLs that are refused."""

import secrets
from string import ascii_lowercase
from typing import Any

import pytest
from aiokafka.partitioner import DefaultPartitioner
from tests.servers.kafka import kafka_url
from tests.transports.envelopes import envelope
from tests.transports.kafka_reader import Reader

from duly import InvalidArgument, Rejected
from duly.tls import TLS
from duly.transport import Envelope
from duly_kafka import Cluster, KafkaTransport, NewTopics
from duly_kafka.plugin import transport_from_url
from duly_kafka.topics import Topics

__all__ = ["kafka_url"]  # a fixture is found by its name


@pytest.fixture
def topic() -> str:
    return "".join(secrets.choice(ascii_lowercase) for _ in range(12))


def told(**more: Any) -> Envelope:
    first = envelope()
    return Envelope(
        message_id=first.message_id, event_name=more.pop("event_name", "orders.reminder"),
        payload=first.payload, scheduled_at=first.scheduled_at,
        delivery_id=more.pop("delivery_id", "a:1:0"), **more,
    )  # fmt: skip


async def sent(url: str, topic: str, *envelopes: Envelope, options: str = "") -> list[Any]:
    """The records of a topic after these were sent to it, each beside its receipt."""
    reader = Reader(url, topic)
    await reader.start()
    transport = transport_from_url(f"{url}?topic={topic}{options}")
    await transport.open()
    try:
        receipts = [await transport.publish(each) for each in envelopes]
        records = {
            f"{each.topic}-{each.partition}@{each.offset}": each
            for each in await reader.wait_for(len(envelopes))
        }
        assert sorted(records) == sorted(map(str, receipts))
        return [records[str(receipt)] for receipt in receipts]
    finally:
        await transport.close()
        await reader.stop()


async def test_the_delivery_id_is_the_key(kafka_url, topic):
    (record,) = await sent(kafka_url, topic, told(delivery_id="größe:1:0"))
    assert record.key == "größe:1:0".encode()


async def test_metadata_is_the_key(kafka_url, topic):
    """What has the same key goes to the same partition, in the order in which it was sent."""
    tenants = ["7", "größe", "", None, "7"]
    envelopes = [
        told(delivery_id=f"a:{number}:0", metadata={} if tenant is None else {"tenant": tenant})
        for number, tenant in enumerate(tenants)
    ]
    records = await sent(kafka_url, topic, *envelopes, options="&key_from=tenant")
    keys = [record.key for record in records]
    assert keys == [b"7", "größe".encode(), b"", b"a:3:0", b"7"]
    assert records[0].partition == records[4].partition
    assert records[0].offset < records[4].offset


async def test_other_clients_find_the_same_partition(kafka_url, topic):
    """They hash keys alike."""
    records = await sent(kafka_url, topic, *(told(delivery_id=f"a:{n}:0") for n in range(50)))
    partitions = sorted({record.partition for record in records})  # by chance, all there are
    for record in records:
        assert record.partition == DefaultPartitioner()(record.key, partitions, [])


async def test_headers(kafka_url, topic):
    metadata = {"tenant": "größe\r\n", "": "nameless", "duly-event-name": "posing", "größe": "1"}
    (record,) = await sent(kafka_url, topic, told(event_name="a/ö", metadata=metadata))
    names = [name for name, _ in record.headers]
    assert sorted(names) == sorted(
        ["tenant", "", "größe", "duly-event-name", "duly-message-id", "duly-scheduled-at",
         "duly-occurrence", "duly-attempt", "duly-delivery-id"]
    )  # fmt: skip
    headers = {name: value.decode() for name, value in record.headers}
    assert headers["tenant"] == "größe\r\n"
    assert headers["duly-event-name"] == "a/ö"
    assert headers["duly-delivery-id"] == "a:1:0"


@pytest.mark.parametrize("compression", ["gzip"])
async def test_compressed(kafka_url, topic, compression):
    (record,) = await sent(kafka_url, topic, told(), options=f"&compression={compression}")
    assert record.value == b"payload"


async def test_a_topic_by_event_name(kafka_url, topic):
    reader = Reader(kafka_url, f"{topic}.gr_C3_B6_C3_9Fe_20a_b-c")
    await reader.start()
    transport = transport_from_url(f"{kafka_url}?topic={topic}.%7Bevent_name%7D")
    await transport.open()
    receipt = await transport.publish(told(event_name="größe a_b-c"))
    (record,) = await reader.wait_for(1)
    assert receipt == f"{reader.topic}-{record.partition}@0"
    await transport.close()
    await reader.stop()


@pytest.mark.parametrize(
    ("template", "name", "topic"),
    [
        ("{event_name}", "Orders.re-minder_2", "Orders.re-minder_2"),
        ("{event_name}", "a/b:c%", "a_2Fb_3Ac_25"),
        ("events.{event_name}", "größe", "events.gr_C3_B6_C3_9Fe"),
        ("{event_name}", "\U0001f4e6", "_F0_9F_93_A6"),
        ("{event_name}-{event_name}", "a", "a-a"),
        ("x" * 249, "a", "x" * 249),
        ("{event_name}", "x" * 249, "x" * 249),
        ("{event_name}", "...", "..."),
        ("all", "anything at all", "all"),
    ],
)
def test_topics(template, name, topic):
    assert Topics(template)(name) == topic


@pytest.mark.parametrize("name", ["x" * 250, "ö" * 42, ".", ".."])
def test_names_that_can_be_no_topic(name):
    with pytest.raises(Rejected, match="cannot be a topic"):
        Topics("{event_name}")(name)


@pytest.mark.parametrize(
    "template",
    ["", "a b", "größe", "a/b", "{event_name}:1", "{name}", "{", "x" * 250, ".", "..", "a%41",
     "{event_name}" + "x" * 249],
)  # fmt: skip
def test_templates_that_are_refused(template):
    with pytest.raises(InvalidArgument, match="topic: "):
        Topics(template)


# --- URLs


def cluster_of(url: str) -> Cluster:
    return transport_from_url(url)._cluster


def test_hosts():
    assert str(cluster_of("kafka://a,b:9093,[::1],[::2]:9094/")) == (
        "kafka://a:9092,b:9093,[::1]:9092,[::2]:9094"
    )


@pytest.mark.parametrize(
    ("url", "protocol", "mechanism"),
    [
        ("kafka://a", "PLAINTEXT", None),
        ("kafka://a?tls=true", "SSL", None),
        ("kafka://us%40er:pass%3Aword@a", "SASL_PLAINTEXT", "PLAIN"),
        ("kafka://us%40er:pass%3Aword@a?tls=true", "SASL_SSL", "PLAIN"),
        (
            "kafka://us%40er:pass%3Aword@a?tls=true&sasl_mechanism=SCRAM-SHA-256",
            "SASL_SSL",
            "SCRAM-SHA-256",
        ),
        (
            "kafka://us%40er:pass%3Aword@a?sasl_mechanism=SCRAM-SHA-512",
            "SASL_PLAINTEXT",
            "SCRAM-SHA-512",
        ),
    ],
)
def test_security(url, protocol, mechanism):
    """As aiokafka wants it. That a broker lets in whom it knows could not be tried."""
    arguments = cluster_of(url).arguments()
    assert arguments["security_protocol"] == protocol
    assert ("ssl_context" in arguments) == (protocol in ("SSL", "SASL_SSL"))
    if mechanism is None:
        assert not any(name.startswith("sasl") for name in arguments)
    else:
        assert arguments["sasl_mechanism"] == mechanism
        assert arguments["sasl_plain_username"] == "us@er"
        assert arguments["sasl_plain_password"] == "pass:word"
    assert "pass" not in f"{transport_from_url(url)!r} {cluster_of(url)!r}"


async def test_more_of_aiokafka_s_own(kafka_url, topic):
    """What no URL can hold."""
    cluster = Cluster(hosts=[("nowhere.invalid", None)], more={
        "bootstrap_servers": kafka_url.removeprefix("kafka://"), "client_id": "shop",
        "request_timeout_ms": 3000,
    })  # fmt: skip
    reader = Reader(kafka_url, topic)
    await reader.start()
    transport = KafkaTransport(cluster, topic=topic)
    await transport.open()
    assert await transport.publish(told()) is not None
    await transport.close()
    await reader.stop()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("kafka://", "name at least one broker"),
        ("kafka:///orders", "a path means nothing"),
        ("kafka://a/orders", "a path means nothing"),
        ("kafka://a?stream=x", "unknown option 'stream'; known: compression, create, idempotence"),
        ("kafka://a?topic=", "topic: "),
        ("kafka://a?key_from=", "key_from: "),
        ("kafka://a?compression=rar", "compression: it is gzip"),
        ("kafka://a?idempotence=maybe", "idempotence: "),
        ("kafka://a?max_request_size=0", "above 0"),
        ("kafka://a?timeout=0", "above 0"),
        ("kafka://a?timeout=soon", "number of seconds"),
        ("kafka://a?create=true", "all three"),
        ("kafka://a?create=true&partitions=3", "all three"),
        ("kafka://a?partitions=3&replication=1", "all three"),
        ("kafka://a?replication=1", "all three"),
        ("kafka://a?create=true&partitions=0&replication=1", "above 0"),
        ("kafka://u@a", "needs both"),
        ("kafka://a?sasl_mechanism=PLAIN", "without a user"),
        ("kafka://u:the-secret@a?sasl_mechanism=GSSAPI", "sasl_mechanism: 'GSSAPI' is not PLAIN"),
        ("kafka://a?tls=true&tls_ca=/missing.pem", "no file"),
        ("kafka://a?tls_ca=/missing.pem", "without tls=true"),
    ],
)
def test_urls_that_are_refused(url, said):
    with pytest.raises(InvalidArgument, match=said) as caught:
        transport_from_url(url)
    assert "the-secret" not in str(caught.value)


def test_by_hand():
    transport = KafkaTransport(
        Cluster(hosts=[("a", 1)], tls=TLS()), new_topics=NewTopics(partitions=6, replication=3)
    )
    assert repr(transport) == "KafkaTransport(kafka://a:1, Template('{event_name}'))"
    with pytest.raises(InvalidArgument, match="name at least one broker"):
        Cluster(hosts=[])
    with pytest.raises(InvalidArgument, match="above 0"):
        NewTopics(partitions=6, replication=0)
