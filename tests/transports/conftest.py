"""Brokers that tests share."""

from tests.servers.kafka import kafka_url

__all__ = ["kafka_url"]  # fixtures are found by their names
