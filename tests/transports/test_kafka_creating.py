"""Brokers that are lost while a topic is being created."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.servers.kafka import MeshKafka
from tests.servers.process import free_port
from tests.transports.envelopes import envelope

from duly import TransportUnavailable
from duly.testing import Gate
from duly_kafka.plugin import transport_from_url

PIECES = 40  # more than it takes


@pytest.fixture(scope="module")
def server() -> Iterator[MeshKafka]:
    with MeshKafka(advertised=free_port()) as server:
        yield server


@pytest.fixture
async def gate(server: MeshKafka) -> AsyncIterator[Gate]:
    async with Gate(server.broker, port=server.advertised) as gate:
        yield gate


async def test_brokers_lost_while_a_topic_is_created_are_an_outage(server, gate):
    url = f"{server.url}?create=true&partitions=1&replication=1&timeout=6{server.options}"
    transport = transport_from_url(url)
    await transport.open()
    for pieces in range(1, PIECES, 2):
        gate.cut_behind(pieces)
        message = envelope(f"{secrets.token_hex(6)}")
        publish = asyncio.ensure_future(transport.publish(message))
        while gate.cutting and not publish.done():
            await asyncio.wait([publish], timeout=0.001)
        if gate.cutting:  # it took less than that
            await publish
            break
        await gate.shut()
        (outcome,) = await asyncio.gather(publish, return_exceptions=True)
        assert isinstance(outcome, str | TransportUnavailable), f"behind {pieces}: {outcome!r}"
        await gate.open()
        await transport.open()
        assert await transport.publish(message)
    await transport.close()
    assert not publish.exception()
