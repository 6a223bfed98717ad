"""What the tests of RabbitMQ share: envelopes, open transports, names and a channel of their own."""

import contextlib
import secrets
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from tests.servers.rabbitmq import rabbitmq_url

from duly.testing.clock import START
from duly.transport import Envelope
from duly_rabbitmq import RabbitMQTransport
from duly_rabbitmq.plugin import transport_from_url

__all__ = ["channel", "envelope", "name", "opened", "rabbitmq_url"]


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
