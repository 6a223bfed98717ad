"""NATS beside nats-py."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import nats.errors
from nats.aio.client import Client
from nats.js.api import StorageType

from benchmarks.rivals import Missing, Rivals, opened
from duly.transport import Envelope
from duly_nats.plugin import jetstream_from_url, nats_from_url

SUBJECT = "duly-benchmark"


@contextlib.asynccontextmanager
async def jetstream(url: str) -> AsyncIterator[Rivals]:
    """A stream in memory, made for it, beside nats-py and its outstanding acknowledgements."""
    async with connected(url) as client:
        stream = client.jetstream()
        await stream.add_stream(name=SUBJECT, subjects=[SUBJECT], storage=StorageType.MEMORY)

        def headers(envelope: Envelope) -> dict[str, str]:
            return {**envelope.headers, "Nats-Msg-Id": envelope.delivery_id}

        async def one(envelope: Envelope) -> None:
            await stream.publish(SUBJECT, envelope.payload, headers=headers(envelope))

        async def many(envelopes: Sequence[Envelope]) -> None:
            answers = [
                await stream.publish_async(SUBJECT, each.payload, headers=headers(each))
                for each in envelopes
            ]
            await asyncio.gather(*answers)

        place = url.replace("nats://", "jetstream://")
        try:
            async with opened(jetstream_from_url(f"{place}?subject={SUBJECT}")) as transport:
                yield Rivals(transport, one, many)
        finally:
            await stream.delete_stream(SUBJECT)


@contextlib.asynccontextmanager
async def core_nats(url: str) -> AsyncIterator[Rivals]:
    """Core NATS, beside nats-py that flushes after each message or batch."""
    async with connected(url) as client:

        async def one(envelope: Envelope) -> None:
            await client.publish(SUBJECT, envelope.payload, headers=dict(envelope.headers))
            await client.flush()

        async def many(envelopes: Sequence[Envelope]) -> None:
            for each in envelopes:
                await client.publish(SUBJECT, each.payload, headers=dict(each.headers))
            await client.flush()

        async with opened(nats_from_url(f"{url}?subject={SUBJECT}")) as transport:
            yield Rivals(transport, one, many)


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    """A client of nats-py."""
    client = Client()
    try:
        await client.connect(url, allow_reconnect=False, max_reconnect_attempts=1)
    except (OSError, nats.errors.Error) as error:
        raise Missing(str(error)) from None
    try:
        yield client
    finally:
        await client.close()
