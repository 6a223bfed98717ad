"""What the kit does a few times, many times: losses and silences, and messages made by chance."""

import pytest
from tests.servers.mqtt import mqtt_url, old_mqtt
from tests.servers.nats import nats_url
from tests.servers.rabbitmq import rabbitmq_url
from tests.servers.redis import redis_url
from tests.transports import (
    test_kafka,
    test_mqtt,
    test_nats,
    test_rabbitmq,
    test_redis_pubsub,
    test_redis_streams,
    test_webhook,
)

from duly.testing.transports import TransportHarness
from duly.testing.transports.fuzzing import FuzzCases
from duly.testing.transports.rounds import RoundCases

__all__ = ["mqtt_url", "nats_url", "old_mqtt", "rabbitmq_url", "redis_url"]  # fixtures

pytest_plugins = ["duly.testing"]
pytestmark = pytest.mark.slow

ROUNDS, MESSAGES = 200, 400


def cases(kind: type) -> set[str]:
    return {name for name in dir(kind) if name.startswith("test_")}


def long(kind: type[TransportHarness]) -> type[TransportHarness]:
    """The same harness with these cases alone."""
    others = cases(kind) - cases(RoundCases) - cases(FuzzCases)
    numbers = {"rounds": ROUNDS, "fuzzed": MESSAGES}
    members = {**dict.fromkeys(others), **numbers, "__module__": __name__}
    return type(f"{kind.__name__}Long", (kind,), members)


TestExactlyOnceLong = long(test_mqtt.TestExactlyOnce)
TestJetStreamLong = long(test_nats.TestJetStream)
TestKafkaLong = long(test_kafka.TestMesh)
TestMqttLong = long(test_mqtt.TestMqtt)
TestNatsLong = long(test_nats.TestNats)
TestPubSubLong = long(test_redis_pubsub.TestChannels)
TestRabbitMQLong = long(test_rabbitmq.TestRabbitMQ)
TestStreamsLong = long(test_redis_streams.TestStreams)
TestWebhookLong = long(test_webhook.TestWebhook)
