"""Kafka: the connection is cut by a gate, because no broker here keeps anything over a restart."""

from collections.abc import Sequence

from tests.journeys.brokers import Arrival, Broker
from tests.servers.kafka import KafkaServer, MeshKafka, MockKafka
from tests.servers.process import Server, free_port
from tests.transports.kafka_reader import Reader, understood

from duly.testing import Gate

TOPIC = "orders"


class KafkaBroker(Broker):
    """librdkafka's mock cluster, known to its clients by the address of the gate alone.

    What was confirmed by the broker while the answer was cut off is sent again by another producer,
    so that it comes twice.
    """

    kind: type[KafkaServer] = MockKafka

    @property
    def url(self) -> str:
        return f"{self.kafka.url}?topic={TOPIC}{self.kafka.options}"

    def prepare(self) -> Server:
        self.kafka = self.kind(advertised=free_port())
        return self.kafka

    async def listen(self) -> None:
        self.gate = Gate(self.kafka.broker, port=self.kafka.advertised)
        await self.gate.open()
        self.reader = Reader(self.kafka.url, TOPIC)
        await self.reader.start()

    async def arrivals(self) -> Sequence[Arrival]:
        found = map(understood, await self.reader.read_all())
        return [
            Arrival(
                each.headers["duly-message-id"], each.headers["duly-delivery-id"],
                int(each.headers["duly-attempt"]), each.payload,
            )
            for each in found
        ]  # fmt: skip

    async def leave(self) -> None:
        await self.reader.stop()
        await self.gate.close()

    async def kill(self) -> None:
        await self.gate.shut()

    async def restart(self) -> None:
        await self.gate.open()


class MeshBroker(KafkaBroker):
    """The same with another broker, whose producer is not idempotent."""

    kind = MeshKafka
