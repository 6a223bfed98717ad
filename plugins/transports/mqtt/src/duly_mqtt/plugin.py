"""What duly-mqtt offers to duly: the schemes ``mqtt`` and ``mqtts``."""

from collections.abc import Mapping
from typing import Any

from duly import InvalidArgument, hookimpl
from duly.hookspecs import TransportFactory
from duly.tls import take_tls, tls_options
from duly.url import boolean, number, parse, seconds
from duly_mqtt.server import Broker
from duly_mqtt.transport import MqttTransport

__all__ = ["duly_transports", "transport_from_url"]

_OF_BROKERS = ("client_id", "inflight", "keepalive", "session", "timeout", "version")


@hookimpl
def duly_transports() -> Mapping[str, TransportFactory]:
    """The schemes of MQTT; that with an s means TLS."""
    return {"mqtt": transport_from_url, "mqtts": transport_from_url}


def transport_from_url(text: str) -> MqttTransport:
    """The transport to ``mqtt://user:password@host:port?topic=events/{event_name}``.

    There may be several hosts, with commas between them.

    Raises:
        InvalidArgument: a path, an unknown option or a value that is not valid.
    """
    url = parse(text)
    options: dict[str, Any] = url.take_options(
        **tls_options(), client_id=str, expiry=seconds, inflight=number, keepalive=seconds,
        qos=number, retain=boolean, session=seconds, timeout=seconds, topic=str, unmatched=str,
        version=str,
    )  # fmt: skip
    if url.path.strip("/"):
        raise InvalidArgument(f"{url}: a path means nothing to MQTT: write ?topic={url.path[1:]}")
    tls = take_tls(options, always=url.scheme == "mqtts")
    given = {name: options.pop(name) for name in _OF_BROKERS if name in options}
    broker = Broker(hosts=url.hosts, username=url.username, password=url.password, tls=tls, **given)
    return MqttTransport(broker, **options)
