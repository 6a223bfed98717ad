"""What becomes of what brokers answer, or do not answer, with a cluster that can be told to fail."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from string import ascii_lowercase
from typing import Any

import pytest
from aiokafka import TopicPartition
from tests.servers.certificates import Certificates
from tests.servers.kafka import INIT_PRODUCER_ID, PRODUCE, MeshKafka, MockCluster, MockKafka
from tests.servers.process import free_port
from tests.transports.envelopes import envelope
from tests.transports.kafka_reader import Reader

from duly import Rejected, TransportError, TransportUnavailable
from duly.testing import Gate
from duly.transport import Envelope
from duly_kafka import KafkaTransport
from duly_kafka.plugin import transport_from_url

UNKNOWN, CORRUPT, NOT_LEADER, TIMED_OUT, TOO_LARGE, INVALID_TOPIC = -1, 2, 6, 7, 10, 17
LIST_TOO_LARGE, TOO_FEW_REPLICAS, BAD_TIMESTAMP = 18, 19, 32
NO_TOPIC_RIGHT, NO_CLUSTER_RIGHT = 29, 31
OUT_OF_ORDER, BAD_EPOCH, UNKNOWN_PRODUCER = 45, 47, 59


@pytest.fixture(scope="module")
def mock() -> Iterator[MockKafka]:
    with MockKafka() as server:
        yield server


@pytest.fixture(scope="module")
def mesh() -> Iterator[MeshKafka]:
    with MeshKafka() as server:
        yield server


@pytest.fixture
def topic(mock: MockKafka) -> Iterator[str]:
    """A topic with one partition, and no errors left over."""
    name = new_topic()
    mock.create(name, 1)
    yield name
    mock.fail_no_more()


def new_topic() -> str:
    return "".join(secrets.choice(ascii_lowercase) for _ in range(12))


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[KafkaTransport]:
    transport = transport_from_url(url)
    try:
        await transport.open()
        yield transport
    finally:
        await transport.close()


async def told(transport: KafkaTransport, payload: bytes = b"payload") -> Any:
    """The receipt, or what was raised."""
    try:
        async with asyncio.timeout(10):
            return await transport.publish(envelope(payload=payload))
    except TransportError as error:
        return error


async def payloads(url: str, topic: str, number: int) -> Sequence[bytes]:
    reader = Reader(url, topic)
    await reader.start()
    try:
        async with asyncio.timeout(10):
            return [record.value for record in await reader.wait_for(number)]
    finally:
        await reader.stop()


@pytest.mark.parametrize("code", [TOO_LARGE, LIST_TOO_LARGE])
async def test_too_large_for_the_broker(mock, topic, code):
    async with opened(f"{mock.url}?topic={topic}") as transport:
        mock.fail(PRODUCE, code, code)  # in company, and alone
        assert type(await told(transport)) is Rejected
        assert await told(transport) == f"{topic}-0@0"


@pytest.mark.parametrize("code", [TOO_LARGE, CORRUPT, BAD_TIMESTAMP, UNKNOWN])
@pytest.mark.parametrize("many", [False, True])
async def test_it_was_a_neighbour(mock, topic, code, many):
    """A batch is refused as a whole; each of it is then tried alone."""
    envelopes = [envelope(payload=b"%d" % number) for number in range(20)]
    async with opened(f"{mock.url}?topic={topic}") as transport:
        mock.fail(PRODUCE, code)
        if many:
            outcomes = await transport.publish_many(envelopes)
        else:
            outcomes = await asyncio.gather(*map(transport.publish, envelopes))
        assert sorted(outcomes) == sorted(f"{topic}-0@{number}" for number in range(20))
    assert set(await payloads(mock.url, topic, 20)) == {each.payload for each in envelopes}


@pytest.mark.parametrize("code", [CORRUPT, BAD_TIMESTAMP, UNKNOWN, NO_TOPIC_RIGHT, INVALID_TOPIC])
@pytest.mark.parametrize("more", ["", "&idempotence=false"])
async def test_not_this_time(mock, topic, code, more):
    async with opened(f"{mock.url}?topic={topic}{more}") as transport:
        mock.fail(PRODUCE, code, code)
        error = await told(transport)
        assert type(error) is TransportError
        assert topic in str(error)
        mock.fail_no_more()
        assert await told(transport) == f"{topic}-0@0"


@pytest.mark.parametrize("code", [NOT_LEADER, TIMED_OUT, TOO_FEW_REPLICAS])
async def test_it_will_pass(mock, topic, code):
    async with opened(f"{mock.url}?topic={topic}") as transport:
        mock.fail(PRODUCE, code, code)
        assert await told(transport) == f"{topic}-0@0"


@pytest.mark.parametrize("code", [OUT_OF_ORDER, BAD_EPOCH, UNKNOWN_PRODUCER])
@pytest.mark.parametrize("many", [False, True])
async def test_a_producer_of_no_use_any_more(mock, topic, code, many):
    async with opened(f"{mock.url}?topic={topic}") as transport:
        mock.fail(PRODUCE, code)
        if many:
            assert await transport.publish_many([envelope()]) == [f"{topic}-0@0"]
        else:
            assert await told(transport) == f"{topic}-0@0"
        assert await told(transport) == f"{topic}-0@1"


async def test_one_producer_after_the_other_is_of_no_use(mock, topic):
    async with opened(f"{mock.url}?topic={topic}") as transport:
        mock.fail(PRODUCE, *[OUT_OF_ORDER] * 100)
        error = await told(transport)
        assert type(error) is TransportError
        mock.fail_no_more()
        assert await told(transport) == f"{topic}-0@0"


async def test_never_confirmed(mock, topic):
    """One that waited too long is not sent later, when it may have been sent once more."""
    async with opened(f"{mock.url}?topic={topic}&timeout=3") as transport:
        mock.fail(PRODUCE, *[TOO_FEW_REPLICAS] * 100)
        error = await told(transport, b"first")
        assert type(error) is TransportError
        assert "not confirmed within 3 s" in str(error)
        await asyncio.wait(transport._line._ending or [asyncio.sleep(0)])
        mock.fail_no_more()
        assert await told(transport, b"second") == f"{topic}-0@0"
    assert await payloads(mock.url, topic, 1) == [b"second"]


async def test_larger_than_it_may_be(mock, topic):
    async with opened(f"{mock.url}?topic={topic}&max_request_size=1000") as transport:
        assert type(await told(transport, bytes(1000))) is Rejected
        assert await told(transport, bytes(500)) == f"{topic}-0@0"


async def test_no_right_to_be_idempotent(mock, topic):
    mock.fail(INIT_PRODUCER_ID, NO_CLUSTER_RIGHT)
    with pytest.raises(TransportError, match="Cluster") as caught:
        async with opened(f"{mock.url}?topic={topic}"):
            pass
    assert type(caught.value) is TransportError
    mock.fail(INIT_PRODUCER_ID, NO_CLUSTER_RIGHT)
    async with opened(f"{mock.url}?topic={topic}&idempotence=false") as transport:
        assert await told(transport) == f"{topic}-0@0"


async def test_no_right_any_more(mock, topic):
    """Once it was let in, what it is refused later concerns all messages alike."""
    async with opened(f"{mock.url}?topic={topic}") as transport:
        mock.fail(PRODUCE, OUT_OF_ORDER)
        mock.fail(INIT_PRODUCER_ID, NO_CLUSTER_RIGHT)
        assert type(await told(transport)) is TransportUnavailable
        mock.fail_no_more()
        assert await transport.check() == []
        assert await told(transport) == f"{topic}-0@0"


# --- topics


@pytest.mark.parametrize("many", [False, True])
async def test_a_topic_that_is_not_there(mesh, many):
    topic = new_topic()
    async with opened(f"{mesh.url}?topic={topic}{mesh.options}") as transport:
        for _ in range(3):
            if many:
                (error,) = await transport.publish_many([envelope()])
            else:
                error = await told(transport)
            assert type(error) is TransportError
            assert f"{topic}: there is no such topic" in str(error)
        assert topic not in await topics(mesh)
        reader = Reader(mesh.url, topic)
        await reader.start()  # which makes it
        assert await told(transport) == f"{topic}-0@0"
        await reader.stop()
        await transport.check()
        assert type(await told(transport)) is TransportError  # it is not made anew
        assert topic not in await topics(mesh)


async def test_a_topic_is_created_where_that_is_asked(mesh):
    topic = new_topic()
    url = f"{mesh.url}?topic={topic}.{{event_name}}&create=true&partitions=3&replication=1"
    names = ["a", "b", "c"] * 5
    async with opened(url + mesh.options) as one, opened(url + mesh.options) as other:
        publishes = [each.publish(envelope(name)) for name in names for each in (one, other)]
        receipts = await asyncio.gather(*publishes)
        assert len(set(receipts)) == 30
        found = await topics(mesh)
    assert {name: found[name] for name in found if name.startswith(topic)} == {
        f"{topic}.{name}": 3 for name in "abc"
    }


async def test_a_topic_that_cannot_be_created(mock):
    """This broker creates none for those who ask like that."""
    topic = new_topic()
    url = f"{mock.url}?topic={topic}&create=true&partitions=3&replication=1"
    async with opened(url) as transport:
        error = await told(transport)
        assert type(error) is TransportError
        assert f"{topic} could not be created" in str(error)


async def topics(server: MeshKafka) -> dict[str, int]:
    """How many partitions each topic has."""
    from aiokafka.admin import AIOKafkaAdminClient

    admin = AIOKafkaAdminClient(bootstrap_servers=server.url.removeprefix("kafka://"))
    await admin.start()
    try:
        return {each["topic"]: len(each["partitions"]) for each in await admin.describe_topics()}
    finally:
        await admin.close()


# --- brokers that are out of reach


async def test_not_open():
    transport = transport_from_url("kafka://localhost")
    with pytest.raises(TransportUnavailable, match="not open"):
        await transport.publish(envelope())
    (reason,) = await transport.check()
    assert "not open" in reason


async def test_nobody_there():
    url = f"kafka://127.0.0.1:{free_port()}"
    transport = transport_from_url(url)
    with pytest.raises(TransportUnavailable, match=f"{url}: .*Connect call failed"):
        await transport.open()
    (reason,) = await transport.check()
    assert url in reason
    await transport.close()


async def test_one_of_several_hosts_is_enough(mock, topic):
    hosts = f"127.0.0.1:{free_port()},{mock.url.removeprefix('kafka://')}"
    async with opened(f"kafka://{hosts}?topic={topic}") as transport:
        assert await told(transport) == f"{topic}-0@0"


async def test_a_host_that_nobody_knows():
    transport = transport_from_url("kafka://nowhere.invalid")
    with pytest.raises(TransportUnavailable, match="nowhere.invalid"):
        await transport.open()
    await transport.close()


@asynccontextmanager
async def behind_gate(**more: Any) -> AsyncIterator[tuple[str, Gate, str]]:
    """A broker that is reached through a gate only: its URL, the gate and a topic."""
    topic = new_topic()
    async with Gate(**more) as gate:
        server = MockKafka(advertised=gate.port)
        await asyncio.to_thread(server.start)
        try:
            server.create(topic, 1)
            gate.to = server.broker
            yield server.url, gate, topic
        finally:
            server.close()


async def test_a_broker_that_hangs():
    async with behind_gate() as (url, gate, topic):
        async with opened(f"{url}?topic={topic}&timeout=1") as transport:
            assert await told(transport) == f"{topic}-0@0"
            gate.freeze()
            publishes = [told(transport) for _ in range(50)]
            assert {type(each) for each in await asyncio.gather(*publishes)} == {
                TransportUnavailable
            }
            assert len(await transport.check()) == 1
            gate.thaw()
            while not isinstance(await told(transport, b"last"), str):
                pass
            assert await transport.check() == []


async def test_more_than_finds_room_when_the_broker_goes():
    """What waits for room in the buffer of aiokafka is answered too, and nothing is lost."""
    large = [envelope(payload=b"%d" % number + bytes(100_000)) for number in range(40)]
    async with behind_gate() as (url, gate, topic):
        async with opened(f"{url}?topic={topic}&timeout=3") as transport:
            assert isinstance(await told(transport), str)
            gate.freeze()
            publishes = [asyncio.ensure_future(transport.publish(each)) for each in large]
            await asyncio.sleep(0.05)
            await gate.shut()
            async with asyncio.timeout(10):
                outcomes = await asyncio.gather(*publishes, return_exceptions=True)
            assert {type(each) for each in outcomes} <= {TransportUnavailable, str}
            assert TransportUnavailable in {type(each) for each in outcomes}
            await gate.open()
            receipts = await asyncio.gather(*map(transport.publish, large))
            assert len(set(receipts)) == len(large)


async def test_closed_while_a_topic_is_looked_for():
    async with behind_gate() as (url, gate, _):
        async with opened(f"{url}?topic={new_topic()}&timeout=60") as transport:
            gate.freeze()
            publish = asyncio.ensure_future(told(transport))
            await asyncio.sleep(0.05)
            await transport.close()
            assert type(await publish) is TransportUnavailable


async def test_health_tells_of_a_broker_that_is_gone():
    async with behind_gate() as (url, gate, topic):
        async with opened(f"{url}?topic={topic}") as transport:
            assert await transport.check() == []
            await gate.shut()
            (reason,) = await transport.check()
            assert url in reason
            await gate.open()
            assert await transport.check() == []


# --- one broker of three


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with MockCluster() as server:
        yield server


async def test_all_brokers_take_their_part(cluster):
    topic = new_topic()
    cluster.create(topic, 3)
    async with opened(f"{cluster.url}?topic={topic}&key_from=key") as transport:
        outcomes = await transport.publish_many([keyed(number) for number in range(100)])
        assert len(set(outcomes)) == 100
        assert {outcome.partition("@")[0] for outcome in outcomes} == {
            f"{topic}-{partition}" for partition in range(3)
        }


async def test_one_broker_gone_is_no_outage(cluster):
    topic = new_topic()
    cluster.create(topic, 3)
    async with opened(f"{cluster.url}?topic={topic}&key_from=key&timeout=1") as transport:
        receipts = [await transport.publish(keyed(number)) for number in range(30)]
        places = [int(receipt.partition("@")[0].rpartition("-")[2]) for receipt in receipts]
        leaders = [leader(transport, topic, partition) for partition in range(3)]
        gone = leaders[0]
        cluster.take(gone)
        outcomes = await asyncio.gather(
            *(transport.publish(keyed(number)) for number in range(30)), return_exceptions=True
        )
        for place, outcome in zip(places, outcomes, strict=True):
            assert type(outcome) is (TransportError if leaders[place] == gone else str)
        assert await transport.check() == []
        for partition in range(3):
            if leaders[partition] == gone:
                cluster.lead(topic, partition, gone % 3 + 1)
        assert all([await transport.publish(keyed(number)) for number in range(30)])


def leader(transport: KafkaTransport, topic: str, partition: int) -> int:
    """Which broker leads a partition, as the transport knows it."""
    producer = transport._line._producer
    assert producer is not None
    found: int = producer._driver.client.cluster.leader_for_partition(
        TopicPartition(topic, partition)
    )
    return found


async def test_a_leader_that_moves_is_followed(cluster):
    topic = new_topic()
    cluster.create(topic, 1)
    async with opened(f"{cluster.url}?topic={topic}") as transport:
        receipts = [await told(transport)]
        gone = leader(transport, topic, 0)
        cluster.take(gone)
        publish = asyncio.ensure_future(told(transport))
        await asyncio.sleep(0.3)
        cluster.lead(topic, 0, gone % 3 + 1)
        receipts.append(await publish)
        assert receipts == [f"{topic}-0@{number}" for number in range(2)]


async def test_all_brokers_gone_is_an_outage(cluster):
    topic = new_topic()
    cluster.create(topic, 3)
    async with opened(f"{cluster.url}?topic={topic}") as transport:
        assert isinstance(await told(transport), str)
        for broker in (1, 2, 3):
            cluster.take(broker)
        assert type(await told(transport)) is TransportUnavailable
        cluster.bring(1)
        cluster.lead(topic, 0, 1)
        while not isinstance(await told(transport), str):
            pass


def keyed(number: int) -> Envelope:
    first = envelope()
    return Envelope(
        message_id="a", event_name=first.event_name, payload=b"%d" % number,
        scheduled_at=first.scheduled_at, delivery_id=f"a:{number}:0", metadata={"key": str(number)},
    )  # fmt: skip


# --- TLS and SASL


async def test_tls(certificates: Certificates):
    context = certificates.server_context(ask=True)
    ca, (cert, key) = certificates.ca, certificates.client
    async with behind_gate(tls=context) as (broker, _, topic):
        url = f"{broker}?topic={topic}&timeout=3"
        async with opened(f"{url}&tls=true&tls_ca={ca}&tls_cert={cert}&tls_key={key}") as transport:
            assert await told(transport) == f"{topic}-0@0"
        for other in (f"&tls=true&tls_ca={ca}", f"&tls=true&tls_cert={cert}&tls_key={key}", ""):
            with pytest.raises(TransportUnavailable):
                async with opened(url + other):
                    pass
        with pytest.raises(TransportUnavailable, match="certificate"):
            async with opened(f"{url}&tls=true"):
                pass


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_broker_that_does_not_let_us_in(mechanism):
    """It knows no user. Where it says so this is no outage, but a mistake to be told."""
    with MeshKafka("--authentication") as server:
        address = server.url.removeprefix("kafka://")
        hosts = f"127.0.0.1:{free_port()},{address}"
        url = f"kafka://ada:the-password@{hosts}?timeout=3&sasl_mechanism={mechanism}"
        with pytest.raises(TransportError) as caught:
            async with opened(url):
                pass
        hangs_up = mechanism == "PLAIN"  # which it does not know
        assert type(caught.value) is (TransportUnavailable if hangs_up else TransportError)
        assert "the-password" not in str(caught.value)
        with pytest.raises(TransportUnavailable):
            async with opened(f"{server.url}?timeout=3"):
                pass
