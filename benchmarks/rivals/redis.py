"""Redis Streams and Pub/Sub beside redis-py."""

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from benchmarks.rivals import Missing, Rivals, opened
from duly.transport import Envelope
from duly_redis_streams.plugin import pubsub_from_url, stream_from_url

STREAM = "duly:benchmark"


@contextlib.asynccontextmanager
async def redis_streams(url: str) -> AsyncIterator[Rivals]:
    """A stream of about 10,000 entries, beside redis-py, whose batches are pipelines."""
    place = f"{url.replace('redis', 'redis+stream', 1)}?stream={STREAM}&maxlen=10000"
    async with redis(url) as client, opened(stream_from_url(place)) as transport:

        def fields(envelope: Envelope) -> dict[Any, Any]:
            own = {"event_name": envelope.event_name, "payload": envelope.payload}
            return {**own, **envelope.headers}

        async def one(envelope: Envelope) -> None:
            await client.xadd(STREAM, fields(envelope), maxlen=10_000)

        async def many(envelopes: Sequence[Envelope]) -> None:
            pipeline = client.pipeline(transaction=False)
            for each in envelopes:
                _ = pipeline.xadd(STREAM, fields(each), maxlen=10_000)
            await pipeline.execute()

        yield Rivals(transport, one, many)


@contextlib.asynccontextmanager
async def redis_deduplicated(url: str) -> AsyncIterator[Rivals]:
    """The same with deliveries remembered, beside the same client, which remembers none."""
    place = f"{url.replace('redis', 'redis+stream', 1)}?stream={STREAM}&maxlen=10000&deduplicate=5"
    async with redis_streams(url) as rivals, opened(stream_from_url(place)) as transport:
        yield rivals._replace(transport=transport)


@contextlib.asynccontextmanager
async def redis_pubsub(url: str) -> AsyncIterator[Rivals]:
    """A channel that nobody listens to, beside redis-py that publishes the same JSON."""
    place = f"{url.replace('redis', 'redis+pubsub', 1)}?channel={STREAM}"
    async with redis(url) as client, opened(pubsub_from_url(place)) as transport:

        def content(envelope: Envelope) -> str:
            own = {"event_name": envelope.event_name, "payload": envelope.payload.decode()}
            return json.dumps({**own, "headers": dict(envelope.headers)})

        async def one(envelope: Envelope) -> None:
            await client.publish(STREAM, content(envelope))

        async def many(envelopes: Sequence[Envelope]) -> None:
            pipeline = client.pipeline(transaction=False)
            for each in envelopes:
                _ = pipeline.publish(STREAM, content(each))
            await pipeline.execute()

        yield Rivals(transport, one, many)


@contextlib.asynccontextmanager
async def redis(url: str) -> AsyncIterator[Redis]:
    """A client of redis-py."""
    async with Redis.from_url(url) as client:
        try:
            await client.ping()
        except RedisError as error:
            raise Missing(str(error)) from None
        yield client
        await client.delete(STREAM)
