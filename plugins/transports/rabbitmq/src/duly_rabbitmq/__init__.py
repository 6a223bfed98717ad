"""The RabbitMQ transport of duly: due messages with publisher confirms."""

from duly_rabbitmq.reading import read
from duly_rabbitmq.server import Server
from duly_rabbitmq.transport import RabbitMQTransport

__all__ = ["RabbitMQTransport", "Server", "read"]
