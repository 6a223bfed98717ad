"""The MQTT transport is held to the contract, with real brokers and a real consumer."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import ClassVar
from urllib.parse import urlsplit

import pytest
from tests.servers.mqtt import PERSISTENT, STANDARD, Mosquitto, mqtt_url, old_mqtt
from tests.transports.mqtt_consumer import Consumer

from duly.testing import Gate
from duly.testing.transports import (
    BatchCases,
    BatchHeaderCases,
    BatchOutageCases,
    BatchRefusalCases,
    HeaderCases,
    ReadingCases,
    Received,
    TransportHarness,
    TransportSuite,
)
from duly.testing.transports.bench import Bench
from duly.transport import Envelope, Transport
from duly_mqtt.plugin import transport_from_url

__all__ = ["mqtt_url", "old_mqtt"]  # fixtures are found by their names

PASSWORD = "the-password-of-the-broker"


class MqttHarness(TransportHarness):
    """Topics of the test's own on a broker, and a consumer of them."""

    any_event_name = True
    secrets: ClassVar[Sequence[str]] = (PASSWORD,)
    topic = "{event_name}"
    options = ""
    user = f"user:{PASSWORD}@"
    url: str
    consumer: Consumer

    @pytest.fixture(autouse=True)
    def broker(self, mqtt_url: str) -> None:
        self.url = mqtt_url

    async def listen(self) -> None:
        self.consumer = Consumer(self.url, self.namespace, topic=self.topic)
        await self.consumer.start()

    async def drop(self) -> None:
        await self.consumer.stop()

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or STANDARD

    def make_gate(self) -> Gate:
        return Gate(self.port)

    async def make_transport(self) -> Transport:
        place = self.url.replace("://", f"://{self.user}")
        if not self.no_gate:
            place = place.replace(f":{self.port}", f":{self.gate.port}")
        return transport_from_url(f"{place}?topic={self.namespace}/{self.topic}{self.options}")

    async def received(self, number: int) -> Sequence[Received]:
        return [each.told for each in await self.consumer.wait_for(number)]


class TestMqtt(MqttHarness, ReadingCases, BatchHeaderCases, TransportSuite):
    """MQTT 5 with QoS 1."""


class TestOneTopicForAll(MqttHarness, ReadingCases, HeaderCases):
    """The event name is told by a property then."""

    topic = "all"


class TestExactlyOnce(MqttHarness, BatchCases, TransportSuite):
    scale = 0.3
    options = "&qos=2"


class TestAtMostOnce(MqttHarness, BatchCases, TransportSuite):
    scale = 0.3
    options = "&qos=0"
    keeps = False
    no_confirmations = "QoS 0 has none"


class TestOldVersion(MqttHarness, BatchCases):
    """MQTT 3.1.1 because the URL asks for it: no headers."""

    scale = 0.3
    options = "&version=3.1.1"


class TestOldBroker(MqttHarness, TransportSuite):
    """MQTT 3.1.1 because the broker refuses 5."""

    scale = 0.1
    user, secrets = "", ()

    @pytest.fixture(autouse=True)
    def broker(self, old_mqtt: str) -> None:
        self.url = old_mqtt

    async def listen(self) -> None:
        self.consumer = Consumer(self.url, self.namespace, old=True)
        await self.consumer.start()


class TestOutages(MqttHarness, BatchOutageCases, BatchRefusalCases):
    """A Mosquitto that is ended and comes back, and takes no packet above a size."""

    scale = 0.3
    largest = 100_000
    no_gate = "the server itself is ended"

    @pytest.fixture(autouse=True)
    def broker(self) -> Iterator[None]:
        with Mosquitto("max_packet_size 110000", *PERSISTENT) as self.server:
            self.url = self.server.url
            yield

    async def listen(self) -> None:
        self.consumer = Consumer(self.url, self.namespace, session=60)
        await self.consumer.start()

    def unacceptable(self, desk: Bench) -> Envelope:
        return desk.envelope(bytes(110_000))

    async def break_connection(self) -> None:
        self.consumer.gone()
        await asyncio.to_thread(self.server.stop)

    async def restore_connection(self) -> None:
        await asyncio.to_thread(self.server.start)
        await self.consumer.subscribed()


class TestOutagesOfSessions(TestOutages):
    options = "&qos=2&session=60"


class TestCrashes(TestOutages):
    """What it had acknowledged a moment before and not written down yet is gone then."""

    keeps = False

    async def break_connection(self) -> None:
        self.consumer.gone()
        await asyncio.to_thread(self.server.kill)


class TestCrashesAtMostOnce(TestCrashes):
    options = "&qos=0"
