"""URLs of RabbitMQ: what is refused, and what is shown."""

import pytest

from duly import InvalidArgument
from duly_rabbitmq.plugin import transport_from_url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("amqp:///", "needs a host"),
        ("amqp://user@a/", "together"),
        ("amqp://a/?stream=x", "unknown option 'stream'; known: auth, declare, exchange, headers"),
        ("amqp://a/?routing_key=", "routing_key: it is empty"),
        ("amqp://a/?routing_key={name}", "routing_key: .*unknown field"),
        ("amqp://a/?routing_key=" + "x" * 256, "routing_key: it has at most 255 bytes"),
        ("amqp://a/?exchange=" + "x" * 256, "exchange: .*255"),
        ("amqp://a/?declare=topic", "the broker's own"),
        ("amqp://a/?declare=topic&exchange=amq.topic", "the broker's own"),
        ("amqp://a/?declare=queue&exchange=a", "declare: it is one of direct, fanout"),
        ("amqp://a/?persistent=maybe", "neither true nor false"),
        ("amqp://a/?timeout=0", "above 0"),
        ("amqp://a/?max_message_size=0", "above 0"),
        ("amqp://a/?heartbeat=0.5", "heartbeat: whole seconds"),
        ("amqp://a/?heartbeat=65535", "heartbeat: whole seconds"),
        ("amqp://a/?auth=ldap", "auth: it is plain or external"),
        ("amqp://a/?auth=external", "auth=external: it needs TLS with a certificate"),
        ("amqps://a/?auth=external", "auth=external: it needs TLS with a certificate"),
        ("amqps://a/?tls=false", "means TLS"),
        ("amqp://a/?tls_ca=/ca.pem", "without tls=true"),
        ("amqps://a/?tls_ca=/missing.pem", "no file"),
    ],
)
def test_urls_that_are_refused(url, said):
    with pytest.raises(InvalidArgument, match=said):
        transport_from_url(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://localhost", "amqp://localhost:5672/"),
        ("amqps://user:pass%2Fword@a,b:17/shop", "amqps://a:5671,b:17/shop"),
        ("amqp://user:pass@[::1]/%2F?tls=true", "amqps://[::1]:5671/"),
        ("amqp://user:pass@a/%2Fb", "amqp://a:5672//b"),
    ],
)
def test_what_a_transport_shows(url, shown):
    assert repr(transport_from_url(url)) == f"RabbitMQTransport({shown}, exchange='')"
