"""Transports and stores that are made by hand, of the wrong thing: a URL, above all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from duly import InvalidArgument
from duly_kafka import Cluster, KafkaTransport
from duly_mqtt import Broker, MqttTransport
from duly_nats import JetStreamTransport, NatsTransport
from duly_rabbitmq import RabbitMQTransport
from duly_rabbitmq import Server as RabbitMQServer
from duly_redis_streams import PubSubTransport, StreamTransport
from duly_redis_streams.server import Server as RedisServer
from duly_sqlite import SQLiteStore

MADE: list[Any] = [
    KafkaTransport,
    MqttTransport,
    RabbitMQTransport,
    PubSubTransport,
    StreamTransport,
]


@pytest.mark.parametrize("make", MADE)
@pytest.mark.parametrize("of", ["localhost", "mqtt://localhost:1883", None, ("localhost", 1)])
def test_a_transport_of_the_wrong_thing(make: Callable[[object], object], of: object) -> None:
    with pytest.raises(InvalidArgument, match=f"^{make.__name__} is made of a .*; a URL is given"):
        make(of)


@pytest.mark.parametrize("make", [JetStreamTransport, NatsTransport])
@pytest.mark.parametrize("servers", ["nats://localhost", ["nats://localhost"]])
def test_nats_takes_servers(make: Callable[[object], object], servers: object) -> None:
    with pytest.raises(InvalidArgument, match="a list of host:port"):
        make(servers)


@pytest.mark.parametrize("make", [Broker, Cluster, RabbitMQServer, RedisServer])
def test_hosts(make: Callable[..., Any]) -> None:
    def hosts(given: object) -> object:
        return make(hosts=given).hosts

    assert hosts("a") == hosts(["a"]) == hosts([("a", None)]) == (("a", None),)
    assert hosts("a:1") == hosts([("a", 1)]) == (("a", 1),)
    assert hosts("::1") == hosts("[::1]") == (("::1", None),)
    for wrong in ([1], [("a",)], [("a", "1")], "a:0", "a:b"):
        with pytest.raises(InvalidArgument, match="a host is text|a port is a number"):
            hosts(wrong)


def test_a_file_is_no_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidArgument, match="is a URL and not a path"):
        SQLiteStore("sqlite:///orders.db")
    assert not list(tmp_path.iterdir())
