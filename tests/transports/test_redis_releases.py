"""What a server is short of, out of scripts and commands, by releases that say it differently."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis
from tests.servers.redis import RELEASES, RedisServer
from tests.transports.envelopes import NAME, envelope

from duly import TransportError, TransportUnavailable
from duly_redis_streams import StreamTransport
from duly_redis_streams.plugin import stream_from_url

OPTIONS = ["", "deduplicate=60", "max_age=3600", "max_age=3600&deduplicate=60"]

SHORTAGES = {
    "memory": ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
    "replicas": ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"),
    "a primary": ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
}


@pytest.fixture(scope="module", params=RELEASES)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(release=request.param) as server:
        yield server


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.url) as client:
        yield client
        await client.flushall()


@pytest.fixture(params=OPTIONS)
async def transport(
    server: RedisServer, request: pytest.FixtureRequest
) -> AsyncIterator[StreamTransport]:
    options = request.param and f"{request.param}&"
    url = f"redis+stream://127.0.0.1:{server.port}/?{options}timeout=5"
    transport = stream_from_url(url)
    await transport.open()
    yield transport
    await transport.close()


@pytest.mark.parametrize("shortage", SHORTAGES)
async def test_what_a_server_is_short_of_is_an_outage(redis, transport, shortage):
    begin, end = SHORTAGES[shortage]
    await redis.execute_command(*begin.split(" "))
    try:
        (one,) = await transport.publish_many([envelope()])
        two = await transport.publish_many([envelope(), envelope(delivery_id="b:1:0")])
        reasons = await transport.check()
    finally:
        await redis.execute_command(*end.split(" "))
    assert {type(each) for each in (one, *two)} == {TransportUnavailable}
    assert len(reasons) == 1  # so that no message is blamed for it
    assert await transport.publish(envelope())
    assert await transport.check() == []


async def test_what_is_wrong_with_a_stream_is_none(redis, transport):
    await redis.set(NAME, "-OOM text")
    with pytest.raises(TransportError, match="WRONGTYPE") as told:
        await transport.publish(envelope())
    assert type(told.value) is TransportError


@pytest.mark.parametrize("text", ["-OOM ", "@user_script: 1: -OOM memory", "READONLY ", "BUSY "])
async def test_what_a_message_says_is_none(redis, transport, text):
    await redis.set(NAME, "text")
    with pytest.raises(TransportError) as told:
        await transport.publish(envelope(payload=text.encode(), delivery_id=f"{text}:1:0"))
    assert type(told.value) is TransportError
