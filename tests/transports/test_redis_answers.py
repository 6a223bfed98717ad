"""What becomes of a message by what the server answers, and what is kept of streams."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from redis.asyncio import Redis
from tests.servers.redis import RedisServer
from tests.transports.redis_consumers import Subscriber

from duly import Rejected, TransportError, TransportUnavailable
from duly.testing.clock import START
from duly.transport import Envelope
from duly_redis_streams import PubSubTransport, StreamTransport
from duly_redis_streams.plugin import pubsub_from_url, stream_from_url
from duly_redis_streams.transport import RedisTransport

SMALLEST = 2**20  # bytes, the lowest limit that a server may have


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.url) as client:
        yield client
        await client.config_set("maxmemory", 0)
        await client.flushall()
        await client.execute_command("ACL", "SETUSER", "default", "reset", "on", "nopass", "+@all",
                                     "~*", "&*")  # fmt: skip


def envelope(number: int = 1, event_name: str = "b", **more: Any) -> Envelope:
    return Envelope(
        message_id=f"id-{number}", event_name=event_name, scheduled_at=START,
        delivery_id=f"id-{number}:1:0", **more,
    )  # fmt: skip


def streams(server: RedisServer, options: str = "", login: str = "") -> StreamTransport:
    return stream_from_url(
        f"redis+stream://{login}127.0.0.1:{server.port}/?{options and f'{options}&'}timeout=5"
    )


def channels(server: RedisServer, options: str = "") -> PubSubTransport:
    return pubsub_from_url(
        f"redis+pubsub://127.0.0.1:{server.port}/?{options and f'{options}&'}timeout=5"
    )


async def publish(transport: RedisTransport, *envelopes: Envelope) -> Any:
    """One outcome each; of one envelope it is raised."""
    try:
        await transport.open()
        if len(envelopes) > 1:
            return await transport.publish_many(envelopes)
        return await transport.publish(*envelopes)
    finally:
        await transport.close()


async def fails(transport: RedisTransport, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said) as told:
        await publish(transport, envelope())
    assert type(told.value) is kind


# --- what is kept


async def test_an_entry(server, redis):
    id = await publish(
        streams(server, "stream=s"), envelope(payload=b"\xff\r\n", metadata={"t": "ö"})
    )
    ((found, fields),) = await redis.xrange("s")
    assert found.decode() == id
    assert list(fields.items()) == [
        (b"event_name", b"b"), (b"payload", b"\xff\r\n"), (b"t", "ö".encode()),
        (b"duly-message-id", b"id-1"), (b"duly-scheduled-at", START.isoformat(timespec="microseconds").encode()),
        (b"duly-occurrence", b"0"), (b"duly-attempt", b"1"), (b"duly-delivery-id", b"id-1:1:0"),
    ]  # fmt: skip


async def test_no_line_end_leaves_in_a_header(server, redis):
    metadata = {"a": "1\r\n2%", "b*": "%", "payload": "x", "metadata-a": "\n", "c": "100%"}
    await publish(streams(server, "stream=s"), envelope(metadata=metadata))
    ((_, fields),) = await redis.xrange("s")
    assert {name: value for name, value in fields.items() if not name.startswith(b"duly-")} == {
        b"event_name": b"b", b"payload": b"", b"a*": b"1%0D%0A2%25", b"b**": b"%25",
        b"metadata-payload": b"x", b"metadata-metadata-a*": b"%0A", b"c": b"100%",
    }  # fmt: skip


async def test_a_stream_for_each_event_name(server, redis):
    made = [envelope(number, event_name=name) for number, name in enumerate(["a", "b{c}", "a"])]
    await publish(streams(server, "stream={{x}}.{event_name}"), *made)
    assert {key: await redis.xlen(key) for key in await redis.keys()} == {
        b"{x}.a": 2,
        b"{x}.b{c}": 1,
    }


async def test_no_more_entries_than_that(server, redis):
    made = [envelope(number) for number in range(20)]
    await publish(streams(server, "stream=s&maxlen=5&exact=true"), *made)
    assert await redis.xlen("s") == 5


async def test_about_so_many_entries(server, redis):
    made = [envelope(number) for number in range(1000)]
    await publish(streams(server, "stream=s&maxlen=5"), *made)
    assert 5 <= await redis.xlen("s") < 300


async def test_no_older_entries_by_the_clock_of_the_server(server, redis):
    seconds, microseconds = await redis.time()
    now = seconds * 1000 + microseconds // 1000
    for age in (3_700_000, 3_500_000):
        await redis.xadd("s", {"old": age}, id=f"{now - age}-0")
    await publish(streams(server, "stream=s&max_age=3600&exact=true"), envelope())
    first, second = await redis.xrange("s")
    assert first[1] == {b"old": b"3500000"}
    assert second[1][b"event_name"] == b"b"


# --- deduplication


async def test_a_delivery_that_is_remembered(server, redis):
    transport = streams(server, "stream=s&deduplicate=60")
    first = await publish(transport, envelope(attempt=1))
    again = await publish(transport, envelope(attempt=2), envelope(2), envelope(attempt=3))
    assert (again[0], again[2]) == (first, first)
    assert [fields[b"duly-attempt"] for _, fields in await redis.xrange("s")] == [b"1", b"1"]
    assert 0 < await redis.pttl("duly:delivery:{s}:1:s:id-1:1:0") <= 60_000


async def test_it_is_forgotten_in_time(server, redis):
    transport = streams(server, "stream=s&deduplicate=0.001")
    await publish(transport, envelope())
    while await redis.exists("duly:delivery:{s}:1:s:id-1:1:0"):
        pass
    await publish(transport, envelope())
    assert await redis.xlen("s") == 2


async def test_what_was_not_added_is_not_remembered(server, redis):
    transport = streams(server, "stream=s&deduplicate=60&create=false")
    await fails(transport, TransportError, "no such stream")
    await redis.xadd("s", {"a": "b"})
    await publish(transport, envelope())
    assert await redis.xlen("s") == 2


async def test_thousands_of_headers(server, redis):
    many = envelope(metadata={str(number): "" for number in range(9000)})
    assert await publish(streams(server, "stream=s"), many)
    with pytest.raises(Rejected, match="unpack"):
        await publish(streams(server, "stream=s&deduplicate=60"), many)


# --- what goes wrong


async def test_a_stream_that_does_not_exist_yet(server, redis):
    transport = streams(server, "stream=s&create=false")
    await fails(transport, TransportError, "s: there is no such stream")
    await redis.xadd("s", {"a": "b"})
    assert await publish(transport, envelope())


async def test_a_key_that_is_no_stream(server, redis):
    await redis.set("b", "text")
    one, other = await publish(streams(server), envelope(), envelope(event_name="c"))
    assert type(one) is TransportError
    assert "b: WRONGTYPE" in str(one)
    assert isinstance(other, str)


@pytest.mark.parametrize("options", ["", "deduplicate=60"])
async def test_a_server_without_room(server, redis, options):
    await redis.config_set("maxmemory", 1)
    transport = streams(server, options)
    await transport.open()
    with pytest.raises(TransportUnavailable, match="maxmemory"):
        await transport.publish(envelope())
    (reason,) = await transport.check()  # so that no message is blamed for it
    assert "maxmemory" in reason
    await redis.config_set("maxmemory", 0)
    assert await transport.publish(envelope())
    assert await transport.check() == []
    await transport.close()


async def test_a_replica(server):
    with RedisServer("--replicaof", f"127.0.0.1 {server.port}") as replica:
        await fails(streams(replica), TransportUnavailable, "READONLY|replica")


async def test_a_server_without_the_replicas_it_wants():
    with RedisServer("--min-replicas-to-write", "1") as lonely:
        await fails(streams(lonely), TransportUnavailable, "NOREPLICAS")


async def test_a_look_at_the_server_before_it_is_opened(server):
    assert await streams(server).check() == []
    with RedisServer() as other:
        other.kill()
        (reason,) = await streams(other).check()
    assert str(other.port) in reason


async def test_a_server_that_hangs():
    with RedisServer() as server:
        transport = stream_from_url(f"redis+stream://127.0.0.1:{server.port}/?timeout=2")
        await transport.open()
        server.freeze()
        outcomes = await transport.publish_many([envelope(), envelope(2)])
        assert [type(each) for each in outcomes] == [TransportUnavailable] * 2
        assert await transport.check()
        server.thaw()
        assert await transport.check() == []
        assert await transport.publish(envelope())
        await transport.close()


async def test_a_payload_beyond_the_limit_leaves_the_connection_alone():
    with RedisServer("--proto-max-bulk-len", str(SMALLEST)) as server:
        transport = streams(server)
        await transport.open()
        known = server.ask("INFO", "stats")
        with pytest.raises(Rejected, match="proto-max-bulk-len"):
            await transport.publish(envelope(payload=bytes(SMALLEST + 1)))
        assert await transport.publish(envelope(payload=bytes(SMALLEST)))
        now = server.ask("INFO", "stats")
        assert _received(now) - _received(known) == 1  # that of asking
        await transport.close()


def _received(stats: str) -> int:
    return int(stats.partition("total_connections_received:")[2].split()[0])


async def test_a_limit_that_is_not_told(server, redis):
    """As where there is no right to ask: the server ends the connection, which breaks nothing."""
    await redis.execute_command("ACL", "SETUSER", "writer", "on", ">secret", "~events.*", "+xadd")
    transport = streams(server, "stream=events.{event_name}", login="writer:secret@")
    assert await publish(transport, envelope())
    await transport.open()
    assert await transport.check() == []
    await transport.close()


# --- who may


async def test_a_right_that_is_missing_is_that_of_one_stream(server, redis):
    await redis.execute_command("ACL", "SETUSER", "writer", "on", ">secret", "~b", "+xadd")
    one, other = await publish(
        streams(server, login="writer:secret@"), envelope(event_name="c"), envelope()
    )
    assert type(one) is TransportError
    assert isinstance(other, str)


@pytest.mark.parametrize("login", ["user:wrong@", ":wrong@", ""])
async def test_a_wrong_password_is_told_at_once(server, redis, login):
    await redis.execute_command("ACL", "SETUSER", "default", "resetpass", ">right")
    await fails(streams(server, login=login), TransportError, "password|uthentication")
    assert await publish(streams(server, login=":right@"), envelope())
    await redis.execute_command("ACL", "SETUSER", "default", "nopass")


async def test_a_password_that_is_changed_is_an_outage(server, redis):
    transport = streams(server)
    await transport.open()
    await transport.publish(envelope())
    await redis.execute_command("ACL", "SETUSER", "default", "resetpass", ">right")
    await redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    with pytest.raises(TransportUnavailable):
        await transport.publish(envelope())
    await redis.execute_command("ACL", "SETUSER", "default", "nopass")
    assert await transport.publish(envelope())
    await transport.close()


async def test_a_server_that_is_no_cluster(server):
    await fails(streams(server, "topology=cluster"), TransportError, "Cluster mode is not enabled")


async def test_a_client_of_ones_own_is_left_open(server, redis):
    for decode in (False, True):
        client = Redis.from_url(server.url, decode_responses=decode)
        transport = StreamTransport(client, stream="s")
        assert "-" in await publish(transport, envelope())
        assert await client.ping()
        await client.aclose()


# --- Pub/Sub


async def test_the_number_of_subscribers_is_the_receipt(server, redis):
    assert await publish(channels(server), envelope()) == "0"
    subscriber = Subscriber(Redis.from_url(server.url), "")
    await subscriber.start()
    assert await publish(channels(server), envelope(payload=b"x")) == "1"
    assert [each.payload for each in await subscriber.wait_for(1)] == [b"x"]
    await subscriber.stop()


async def test_a_subscriber_that_is_required(server, redis):
    await fails(channels(server, "require_subscriber=true"), TransportError, "b: nobody listens")
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe("b")
        await pubsub.get_message(timeout=5)
        assert await publish(channels(server, "require_subscriber=true"), envelope()) == "1"


@pytest.mark.parametrize("payload", [b"text", b"\xff"])
async def test_formats(server, redis, payload):
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe("b")
        await pubsub.get_message(timeout=5)
        for options in ("format=payload", ""):
            await publish(
                channels(server, options), envelope(payload=payload, metadata={"a": "\r\n"})
            )
        bare = await pubsub.get_message(timeout=5)
        full = await pubsub.get_message(timeout=5)
    assert bare["data"] == payload
    assert b"\n" not in full["data"]
    content = json.loads(full["data"])
    assert content["headers"]["a"] == "\r\n"
    assert ("payload" in content) == (payload == b"text")


# --- answers that are lost


@pytest.mark.parametrize(("options", "entries"), [("", 2), ("deduplicate=60", 1)])
async def test_an_answer_that_is_lost(server, redis, options, entries):
    """The server has added it and cannot say so: it is sent again, as after a crash."""
    lost = 0

    async def lose_the_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal lost
        there, back = await asyncio.open_connection("127.0.0.1", server.port)
        while request := await reader.read(2**16):
            back.write(request)
            answer = await there.read(2**16)
            if b"XADD" in request and not lost:
                lost += 1
                break
            writer.write(answer)
        for each in (writer, back):
            each.close()
            await each.wait_closed()

    async with await asyncio.start_server(lose_the_answer, "127.0.0.1", 0) as between:
        port = between.sockets[0].getsockname()[1]
        transport = stream_from_url(
            f"redis+stream://127.0.0.1:{port}/?stream=s&{options or 'exact=false'}"
        )
        await transport.open()
        with pytest.raises(TransportUnavailable):
            await transport.publish(envelope(attempt=1))
        assert await redis.xlen("s") == lost == 1
        receipt = await transport.publish(envelope(attempt=2))
        await transport.close()
    assert await redis.xlen("s") == entries
    assert receipt in [id.decode() for id, _ in await redis.xrange("s")]


async def test_one_delivery_to_two_streams_of_the_same_slot(server, redis):
    """A mark is of one stream alone, also where a part of its name decides the slot."""
    for stream in ("{{s}}.one", "{{s}}.two", "s"):
        await publish(streams(server, f"stream={stream}&deduplicate=60"), envelope())
        await publish(streams(server, f"stream={stream}&deduplicate=60"), envelope())
    assert [await redis.xlen(stream) for stream in ("{s}.one", "{s}.two", "s")] == [1, 1, 1]


async def test_marks_of_two_streams_are_never_the_same(server, redis):
    """Wherever the name of the one ends and the delivery of the other begins."""
    names = {("s", "{s}x:a:1:0"), ("{s}x", "a:1:0"), ("{s}x:a", "b:1:0"), ("{s}x", "a:b:1:0")}
    for stream, delivery_id in sorted(names):
        transport = streams(server, f"stream={quote(stream.replace('{', '{{').replace('}', '}}'))}"
                            "&deduplicate=60")  # fmt: skip
        told = Envelope(message_id="a", event_name="b", scheduled_at=START, delivery_id=delivery_id)
        await publish(transport, told)
    assert [await redis.xlen(each) for each in ("s", "{s}x", "{s}x:a")] == [1, 2, 1]


async def test_a_server_without_the_command_does_not_quote_the_message():
    with RedisServer("--rename-command", "XADD", "", "--rename-command", "PUBLISH", "") as server:
        for transport in (streams(server), channels(server), channels(server, "format=payload")):
            with pytest.raises(TransportError, match="unknown command") as told:
                await publish(
                    transport, envelope(payload=b"my payload", metadata={"a": "my metadata"})
                )
            assert "my payload" not in str(told.value)
            assert "my metadata" not in str(told.value)
