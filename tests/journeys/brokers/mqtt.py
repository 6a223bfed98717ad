"""MQTT: Mosquitto, which keeps on disk what it had when it was told to end."""

import asyncio
from collections.abc import Sequence

from tests.journeys.brokers import Arrival, Broker
from tests.servers.mqtt import PERSISTENT, Mosquitto
from tests.transports.mqtt_consumer import Consumer


class MqttBroker(Broker):
    """Its subscriber has a session, which outlives the broker's death as what is in it does."""

    options = ""
    server: Mosquitto

    @property
    def url(self) -> str:
        return f"{self.server.url}?topic=journey/{{event_name}}{self.options}"

    def prepare(self) -> Mosquitto:
        return Mosquitto(*PERSISTENT)

    async def listen(self) -> None:
        self.consumer = Consumer(self.server.url, "journey", session=3600)
        await self.consumer.start()

    async def arrivals(self) -> Sequence[Arrival]:
        found = [each.told for each in list(self.consumer.arrivals)]
        return [
            Arrival(
                each.headers["duly-message-id"], each.headers["duly-delivery-id"],
                int(each.headers["duly-attempt"]), each.payload,
            )
            for each in found
        ]  # fmt: skip

    async def leave(self) -> None:
        await self.consumer.stop()

    async def kill(self) -> None:
        """Tell it to end: it writes down what it has, as it does now and then while it runs."""
        await asyncio.to_thread(self.server.stop)


class ExactlyOnceMqttBroker(MqttBroker):
    options = "&qos=2&session=3600"


class CrashingMqttBroker(MqttBroker):
    """Ended without warning: what it had acknowledged and not written down yet may be gone."""

    acknowledges = False

    async def kill(self) -> None:
        await asyncio.to_thread(self.server.kill)


class UnacknowledgedMqttBroker(CrashingMqttBroker):
    """QoS 0, with which it may also be gone if it never came to the broker."""

    options = "&qos=0"
