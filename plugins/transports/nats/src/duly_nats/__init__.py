"""The NATS transports of duly: due messages to JetStream, acknowledged, or to core NATS."""

from duly_nats.core import NatsTransport
from duly_nats.jetstream import JetStreamTransport
from duly_nats.login import Login
from duly_nats.reading import read

__all__ = ["JetStreamTransport", "Login", "NatsTransport", "read"]
