"""MQTT: Mosquitto, which writes down what it has accepted as soon as it comes to it."""

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
        """Without what the broker repeats because it forgot that its subscriber had it already."""
        found: list[Arrival] = []
        for arrival in list(self.consumer.arrivals):
            headers = arrival.told.headers
            each = Arrival(
                headers["duly-message-id"], headers["duly-delivery-id"],
                int(headers["duly-attempt"]), arrival.told.payload,
            )  # fmt: skip
            if not (arrival.repeated and each in found):
                found.append(each)
        return found

    async def leave(self) -> None:
        await self.consumer.stop()


class ExactlyOnceMqttBroker(MqttBroker):
    options = "&qos=2&session=3600"


class UnacknowledgedMqttBroker(MqttBroker):
    acknowledges = False
    options = "&qos=0"
