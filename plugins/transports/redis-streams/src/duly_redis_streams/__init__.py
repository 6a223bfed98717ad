"""The Redis transports of duly: due messages as entries of streams, or by Pub/Sub."""

from duly_redis_streams.pubsub import PubSubTransport
from duly_redis_streams.reading import read, read_json
from duly_redis_streams.stream import StreamTransport

__all__ = ["PubSubTransport", "StreamTransport", "read", "read_json"]
