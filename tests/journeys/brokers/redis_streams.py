"""Redis: streams, which are kept on disk, and channels, which are not kept at all."""

from collections.abc import Sequence

from redis.asyncio import Redis
from tests.journeys.brokers import Arrival, Broker
from tests.servers.process import Server
from tests.servers.redis import RedisServer
from tests.transports.redis_consumers import Consumer, StreamReader, Subscriber


class RedisBroker(Broker):
    """One server, and a consumer by redis-py's own means."""

    server: RedisServer

    def prepare(self) -> Server:
        return RedisServer("--appendonly", "yes", "--appendfsync", "always")

    async def listen(self) -> None:
        self.consumer = self.make_consumer(Redis.from_url(self.server.url))
        await self.consumer.start()

    def make_consumer(self, client: Redis) -> Consumer:
        raise NotImplementedError

    async def arrivals(self) -> Sequence[Arrival]:
        return [
            Arrival(
                each.headers["duly-message-id"],
                each.headers["duly-delivery-id"],
                int(each.headers["duly-attempt"]),
                each.payload,
            )
            for each in self.consumer.got
        ]

    async def leave(self) -> None:
        await self.consumer.stop()


class StreamBroker(RedisBroker):
    """Answers when an entry is on disk; what was on its way is added again, and told twice."""

    @property
    def url(self) -> str:
        return f"redis+stream://127.0.0.1:{self.server.port}/?stream=in.{{event_name}}"

    def make_consumer(self, client: Redis) -> Consumer:
        return StreamReader(client, "in.", ["quick"])


class DeduplicatingStreamBroker(StreamBroker):
    """Remembers deliveries on disk too, in the same step as it adds them."""

    deduplicates = True

    @property
    def url(self) -> str:
        return f"{super().url}&deduplicate=3600"


class ChannelBroker(RedisBroker):
    """Nobody answers for what was on its way, or was sent before all subscribers were back."""

    acknowledges = False

    @property
    def url(self) -> str:
        return f"redis+pubsub://127.0.0.1:{self.server.port}/?channel=in.{{event_name}}"

    def make_consumer(self, client: Redis) -> Consumer:
        return Subscriber(client, "in.")
