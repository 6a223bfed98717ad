"""The Kafka transport of duly: due messages as records, confirmed by all replicas in sync."""

from duly_kafka.reading import read
from duly_kafka.server import Cluster
from duly_kafka.topics import NewTopics
from duly_kafka.transport import KafkaTransport

__all__ = ["Cluster", "KafkaTransport", "NewTopics", "read"]
