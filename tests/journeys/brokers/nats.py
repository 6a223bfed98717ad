"""NATS: a stream that keeps all and drops repeats, and core NATS, which promises nothing."""

from collections.abc import Sequence
from typing import ClassVar

from tests.journeys.brokers import Arrival, Broker
from tests.servers.nats import NatsServer
from tests.transports.nats_consumer import Consumer, StreamConsumer


class NatsBroker(Broker):
    """Whoever does not listen when a message is sent never gets it."""

    acknowledges = False
    scheme: ClassVar[str] = "nats"
    make_consumer: ClassVar[type[Consumer]] = Consumer
    server: NatsServer

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server.port}?subject=journey.{{event_name}}"

    def prepare(self) -> NatsServer:
        return NatsServer()

    async def listen(self) -> None:
        self.consumer = await self.make_consumer(self.server.url, "journey").start()

    async def arrivals(self) -> Sequence[Arrival]:
        return [
            Arrival(
                each.headers["duly-message-id"], each.headers["duly-delivery-id"],
                int(each.headers["duly-attempt"]), each.payload,
            )
            for each in await self.consumer.wait_for(0)
        ]  # fmt: skip

    async def leave(self) -> None:
        await self.consumer.stop()


class JetStreamBroker(NatsBroker):
    """A stream in files, which knows after its death what it had before."""

    acknowledges = True
    deduplicates = True
    scheme = "jetstream"
    make_consumer = StreamConsumer
