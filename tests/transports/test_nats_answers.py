"""What becomes of a message by what NATS says to it, or does not say."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from tests.servers.nats import NatsServer
from tests.servers.talk import talking
from tests.transports.envelopes import NAME, envelope
from tests.transports.nats_consumer import flushed

from duly import Rejected, TransportError, TransportUnavailable
from duly.testing.clock import START
from duly.transport import Envelope
from duly_nats import JetStreamTransport, Login, NatsTransport
from duly_nats.remains import abort
from duly_nats.transport import ServersTransport

USERS = """authorization { users: [
  { user: all, password: secret },
  { user: few, password: secret,
    permissions: { publish: { deny: "orders.secret" }, subscribe: "_MINE.>" } }
] }"""


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with NatsServer("max_payload: 2MB", USERS) as server:
        yield server


@pytest.fixture
async def client(server: NatsServer) -> AsyncIterator[Client]:
    """A user's own client."""
    client = await nats.connect(server.url, user="all", password="secret")
    yield client
    for name in await client.jetstream().streams_info():
        await client.jetstream().delete_stream(name.config.name or "")
    await client.close()


def made(
    server: NatsServer, kind: type[ServersTransport] = JetStreamTransport, **options: Any
) -> ServersTransport:
    login = Login(user=options.pop("user", "all"), password="secret")
    return kind([f"127.0.0.1:{server.port}"], login=login, **options)


@pytest.fixture
async def jetstream(server: NatsServer) -> AsyncIterator[ServersTransport]:
    transport = made(server)
    await transport.open()
    yield transport
    await transport.close()


async def told(transport: ServersTransport, sent: Envelope) -> Exception:
    """What is raised, one by one and in a batch alike."""
    with pytest.raises(TransportError) as alone:
        await transport.publish(sent)
    (among,) = await transport.publish_many([sent])
    assert type(among) is type(alone.value)
    return alone.value


async def back(transport: ServersTransport) -> None:
    """Try until it works again, without opening anything by hand."""
    while True:
        try:
            await transport.publish(envelope(payload=b"again"))
        except TransportUnavailable:
            await asyncio.sleep(0.02)
        else:
            return


# --- streams


async def test_a_stream_that_is_made_later(client, jetstream):
    error = await told(jetstream, envelope())
    assert type(error) is TransportError  # the others may have their streams
    assert f"no stream listens on {NAME} (yet)" in str(error)
    await client.jetstream().add_stream(name="late", subjects=["orders.>"])
    assert await jetstream.publish(envelope()) == "late:1"


async def test_a_repeat_is_dropped_and_what_is_new_is_not(client, jetstream):
    stream = client.jetstream()
    await stream.add_stream(name="orders", subjects=["orders.>"])
    first = await jetstream.publish(envelope())
    assert await jetstream.publish(envelope()) == first  # that of the first
    again = Envelope(message_id="a", event_name=NAME, scheduled_at=START, delivery_id="a:2:0")
    assert await jetstream.publish(again) != first
    assert (await stream.stream_info("orders")).state.messages == 2


async def test_only_the_stream_that_is_named(server, client):
    await client.jetstream().add_stream(name="other", subjects=["orders.>"])
    transport = made(server, stream="orders")
    await transport.open()
    error = await told(transport, envelope())
    assert type(error) is TransportError
    assert "expected stream does not match" in str(error)
    await transport.close()


async def test_a_stream_that_takes_no_message_of_that_size(client, jetstream):
    await client.jetstream().add_stream(name="small", subjects=["orders.>"], max_msg_size=1000)
    error = await told(jetstream, envelope(payload=bytes(2000)))
    assert type(error) is Rejected
    assert "exceeds maximum" in str(error)


async def test_headers_that_no_stream_takes(client, jetstream):
    await client.jetstream().add_stream(name="orders", subjects=["orders.>"])
    large = Envelope(
        message_id="a", event_name=NAME, scheduled_at=START, metadata={"large": "x" * 65_500}
    )
    assert type(await told(jetstream, large)) is Rejected


async def test_a_full_stream_may_have_room_later(client, jetstream):
    await client.jetstream().add_stream(
        name="full", subjects=["orders.>"], max_msgs=1, discard="new"
    )
    other = Envelope(message_id="b", event_name=NAME, scheduled_at=START, delivery_id="b:1:0")
    await jetstream.publish(envelope())
    error = await told(jetstream, other)
    assert type(error) is TransportError
    assert "maximum messages exceeded" in str(error)


@pytest.mark.parametrize(
    "answer",
    [b"thank you", b"[]", b'{"seq": 1}', b'{"error": "no"}', b"", b'{"stream": "zz", "seq": 7}'],
)
async def test_somebody_else_answers(server, client, answer):
    async def respond(message: Msg) -> None:
        await message.respond(answer)

    await client.subscribe("orders.>", cb=respond)
    await flushed(client)
    transport = made(server, timeout=timedelta(milliseconds=100))
    await transport.open()
    error = await told(transport, envelope())
    assert type(error) is TransportError
    assert "no answer within 0.1 s for" in str(error)
    assert "is no stream" in str(error) or "the stream 'zz', which does not listen" in str(error)
    await transport.close()


async def test_somebody_listens_and_does_not_answer(server, client):
    await client.subscribe("orders.>")
    await flushed(client)
    transport = made(server, timeout=timedelta(milliseconds=100))
    await transport.open()
    error = await told(transport, envelope())
    assert type(error) is TransportError
    assert "no answer within 0.1 s" in str(error)
    assert await transport.check() == []
    await transport.close()


async def test_a_server_without_jetstream():
    with NatsServer(jetstream=False) as server:
        transport = JetStreamTransport([f"127.0.0.1:{server.port}"])
        await transport.open()
        error = await told(transport, envelope())
        assert type(error) is TransportUnavailable  # it is no matter of this message
        assert "JetStream is not enabled" in str(error)
        await transport.close()


# --- limits and permissions


@pytest.mark.parametrize("kind", [JetStreamTransport, NatsTransport])
async def test_what_is_too_large_breaks_nothing(server, client, kind):
    await client.jetstream().add_stream(name="orders", subjects=["orders.>"])
    transport = made(server, kind)
    await transport.open()
    most = 2 * 2**20
    fits = most - 400  # its headers are shorter than that
    for size, passes in ((most + 1, False), (most, False), (most - 50, False), (fits, True)):
        (outcome, other) = await transport.publish_many(
            [
                envelope(payload=bytes(size)),
                Envelope(message_id=f"{size}", event_name=NAME, scheduled_at=START),
            ]
        )
        assert isinstance(outcome, Rejected) is not passes
        assert not isinstance(other, Exception)
        assert passes or "2097152 bytes, headers included" in str(outcome)
    await transport.close()


async def test_the_longest_subject_breaks_nothing(server, client, jetstream):
    template = f"{'x' * 480}.{{event_name}}"
    await client.jetstream().add_stream(name="long", subjects=[f"{'x' * 480}.>"])
    transport = made(server, subject=template)
    await transport.open()
    assert await transport.publish(envelope(event_name="\U0001f4e6" * 255)) == "long:1"
    await transport.close()


async def test_a_user_who_may_not_listen_to_answers_is_told_why(server, client):
    await client.jetstream().add_stream(name="orders", subjects=["orders.>"])
    transport = made(server, user="few", timeout=timedelta(seconds=0.1))
    await transport.open()
    error = await told(transport, envelope())
    assert type(error) is TransportError
    assert "permissions violation for subscription" in str(error)
    await transport.close()


@pytest.mark.parametrize("kind", [JetStreamTransport, NatsTransport])
async def test_a_subject_that_this_user_may_not_use(server, client, kind):
    await client.jetstream().add_stream(name="orders", subjects=["orders.>"])
    transport = made(server, kind, user="few", inbox_prefix="_MINE")
    await transport.open()
    secret = envelope(event_name="orders.secret")
    (outcome, other) = await transport.publish_many([secret, envelope()])
    assert type(outcome) is TransportError
    assert "permissions violation" in str(outcome)
    assert not isinstance(other, Exception)
    assert type(await told(transport, secret)) is TransportError
    await transport.close()


# --- servers that come and go


@pytest.mark.parametrize("kind", [JetStreamTransport, NatsTransport])
async def test_a_server_that_hangs(kind):
    with NatsServer() as server:
        client = await nats.connect(server.url)
        await client.jetstream().add_stream(name="orders", subjects=["orders.>"])
        transport = kind([f"127.0.0.1:{server.port}"], timeout=timedelta(milliseconds=200))
        await transport.open()
        await transport.publish(envelope())
        server.freeze()
        with pytest.raises(TransportUnavailable, match="the server does not answer"):
            await transport.publish(envelope(payload=b"lost?"))
        server.thaw()
        await back(transport)
        if kind is JetStreamTransport:
            state = (await client.jetstream().stream_info("orders")).state
            assert state.messages == 1  # all had the same delivery id
        await transport.close()
        await client.close()


@pytest.mark.parametrize("kind", [JetStreamTransport, NatsTransport])
async def test_nothing_is_left_of_broken_connections(kind, caplog):
    with NatsServer() as server:
        before = asyncio.all_tasks()
        transport = kind([f"127.0.0.1:{server.port}"])
        await transport.open()
        for _ in range(4):
            batch = [envelope(payload=bytes(50_000)) for _ in range(100)]
            publish = asyncio.ensure_future(transport.publish_many(batch))
            await asyncio.sleep(0.001)
            server.kill()
            outcomes = await publish
            assert all(isinstance(each, TransportError | None) for each in outcomes)
            server.start()
            await asyncio.gather(transport.open(), transport.check())
        await transport.close()
    async with asyncio.timeout(20):
        while tasks_beside(before):  # noqa: ASYNC110  # they end by and by
            await asyncio.sleep(0.01)
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]


async def test_closing_while_it_connects_again():
    with NatsServer() as server:
        transport = NatsTransport([f"127.0.0.1:{server.port}"], timeout=timedelta(seconds=2))
        await transport.open()
        server.freeze()
        with pytest.raises(TransportUnavailable):
            await transport.publish(envelope())
        publishes = [asyncio.ensure_future(transport.publish(envelope())) for _ in range(3)]
        batch = asyncio.ensure_future(transport.publish_many([envelope()]))
        await asyncio.sleep(0.05)  # nobody greets them
        publishes[0].cancel()
        await transport.close()
        first, *others = await asyncio.gather(*publishes, return_exceptions=True)
        assert isinstance(first, asyncio.CancelledError)
        for outcome in (*others, *await batch):
            assert isinstance(outcome, TransportUnavailable)
            assert "was closed" in str(outcome)


def tasks_beside(known: set[asyncio.Task[Any]]) -> list[str]:
    """What runs beside those tasks, by name."""
    return sorted(str(each.get_coro()) for each in asyncio.all_tasks() - known)


@pytest.mark.parametrize("kind", [JetStreamTransport, NatsTransport])
@pytest.mark.parametrize("breaks", [True, False])
async def test_closed_at_any_moment_it_leaves_no_task(server, kind, breaks):
    """In each of the steps in which it looks after a connection, finds it lost and makes another."""
    before = asyncio.all_tasks()
    for steps in range(60):
        transport = made(server, kind)
        await transport.open()
        if breaks:
            abort(transport._connection.client)
            await asyncio.sleep(0)
        asked = {
            asyncio.ensure_future(each)
            for each in (transport.publish(envelope()), transport.check())
        }
        for _ in range(steps):
            await asyncio.sleep(0)
        await transport.close()
        assert (steps, tasks_beside(before | asked)) == (steps, [])
        async with asyncio.timeout(5):
            await asyncio.gather(*asked, return_exceptions=True)


async def test_closed_while_it_ends_what_was_lost(server, monkeypatch):
    """However long the client library takes over that."""
    transport = made(server)
    await transport.open()
    client = transport._connection.client
    before, ends, close = asyncio.all_tasks(), asyncio.Event(), client.close

    async def slowly() -> None:
        ends.set()
        await asyncio.sleep(0.05)
        await close()

    monkeypatch.setattr(client, "close", slowly)
    abort(client)
    while client.is_connected:  # noqa: ASYNC110  # nothing tells
        await asyncio.sleep(0)
    publish = asyncio.ensure_future(transport.publish(envelope()))
    await ends.wait()
    await transport.close()
    assert tasks_beside(before | {publish}) == []
    with pytest.raises(TransportUnavailable, match="was closed"):
        await publish


async def test_the_next_server_takes_over():
    with NatsServer() as first, NatsServer() as second:
        transport = NatsTransport([f"127.0.0.1:{each.port}" for each in (first, second)])
        await transport.open()
        first.kill()
        await back(transport)
        assert await transport.check() == []
        second.kill()
        with pytest.raises(TransportUnavailable) as told:
            while True:
                await transport.publish(envelope())
        assert f"{first.port}: " in str(told.value) or f"{second.port}: " in str(told.value)
        await transport.close()


async def test_servers_of_a_cluster_are_learnt():
    ports = [NatsServer().port for _ in range(2)]
    first = NatsServer(f"cluster {{ name: c, listen: 127.0.0.1:{ports[0]} }}", jetstream=False)
    second = NatsServer(
        f"cluster {{ name: c, listen: 127.0.0.1:{ports[1]}, routes: [nats://127.0.0.1:{ports[0]}] }}",
        jetstream=False,
    )
    with first, second:
        transport = NatsTransport([f"127.0.0.1:{first.port}"])
        await transport.open()
        while str(second.port) not in str(transport._connection.others()):  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.02)
        first.kill()
        await back(transport)
        await transport.close()


async def test_nobody_there():
    transport = NatsTransport(["127.0.0.1:1", "nowhere.invalid:4222"])
    with pytest.raises(TransportUnavailable, match="127.0.0.1:1: .*refused|Connect call failed"):
        await transport.open()
    with pytest.raises(TransportUnavailable, match="is not open"):
        await transport.publish(envelope())
    (outcome,) = await transport.publish_many([envelope()])
    assert isinstance(outcome, TransportUnavailable)
    await transport.close()


async def test_something_else_listens_there():
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org\r\n")
        await reader.read()

    async with talking(greet) as port:
        transport = NatsTransport([f"127.0.0.1:{port}"])
        with pytest.raises(TransportUnavailable, match="expecting INFO"):
            await transport.open()
        await transport.close()


# --- what core NATS does not do


async def test_core_nats_says_so_and_loses_what_nobody_listens_to(server, client, caplog):
    transport = made(server, NatsTransport)
    with caplog.at_level(logging.WARNING, "duly.nats"):
        for _ in range(2):
            await transport.close()
            await transport.open()
    (record,) = caplog.records
    assert "acknowledges nothing" in record.message
    assert "WHICH ACKNOWLEDGES NOTHING" in (NatsTransport.__doc__ or "")
    assert await transport.publish(envelope(payload=b"lost")) is None
    heard = await client.subscribe("orders.>")
    await flushed(client)
    assert await transport.publish(envelope(payload=b"heard")) is None
    assert (await heard.next_msg()).data == b"heard"
    await transport.close()


async def test_cancelled_while_it_finds_out_why_nothing_was_answered(caplog):
    """Nobody looks at what the others of the batch hold, and that is not logged as a mistake."""
    with NatsServer() as server:
        transport = JetStreamTransport([f"127.0.0.1:{server.port}"], timeout=timedelta(seconds=2))
        await transport.open()
        client = await nats.connect(server.url)
        await client.jetstream().add_stream(name="orders", subjects=["orders.>"])
        await client.close()
        await back(transport)
        server.freeze()
        batch = [envelope(payload=bytes([number])) for number in range(5)]
        publish = asyncio.ensure_future(transport.publish_many(batch))
        while not transport._connection._asked:  # noqa: ASYNC110  # nobody tells when it asks
            await asyncio.sleep(0.001)
        publish.cancel()
        await asyncio.wait([publish])
        assert publish.cancelled()
        server.thaw()
        await transport.close()
    del publish, transport
    gc.collect()
    assert "never retrieved" not in caplog.text
