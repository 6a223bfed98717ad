"""MQTT beside aiomqtt."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlsplit

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from benchmarks.rivals import BATCH, Rivals, opened
from duly.transport import Envelope
from duly_mqtt.plugin import transport_from_url as mqtt_from_url


@contextlib.asynccontextmanager
async def mqtt(url: str) -> AsyncIterator[Rivals]:
    """A broker of MQTT 5 with QoS 1, beside aiomqtt; nobody subscribes."""
    topic, place = "duly-benchmark", urlsplit(url)
    rival = aiomqtt.Client(
        place.hostname or "", place.port or 1883, protocol=aiomqtt.ProtocolVersion.V5
    )
    rival.pending_calls_threshold = BATCH  # above which it warns

    async def one(envelope: Envelope) -> None:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # has no types
        properties.UserProperty = list(envelope.headers.items())
        await rival.publish(topic, envelope.payload, qos=1, properties=properties)

    async def many(envelopes: Sequence[Envelope]) -> None:
        await asyncio.gather(*map(one, envelopes))

    transport = mqtt_from_url(f"{url}?topic={topic}&unmatched=accept")
    async with opened(transport), rival:
        yield Rivals(transport, one, many)
