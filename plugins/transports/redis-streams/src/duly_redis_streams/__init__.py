"""The Redis transports of duly: due messages as entries of streams, or by Pub/Sub."""

from duly_redis_streams.pubsub import PubSubTransport
from duly_redis_streams.streams import StreamTransport

__all__ = ["PubSubTransport", "StreamTransport"]
