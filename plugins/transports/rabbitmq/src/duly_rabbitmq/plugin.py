"""What duly-rabbitmq offers to duly: the schemes ``amqp`` and ``amqps``."""

from collections.abc import Mapping
from typing import Any

from duly import InvalidArgument, hookimpl
from duly.hookspecs import TransportFactory
from duly.tls import take_tls, tls_options
from duly.url import boolean, number, parse, seconds
from duly_rabbitmq.filling import pairs_of
from duly_rabbitmq.server import Server
from duly_rabbitmq.transport import RabbitMQTransport

__all__ = ["duly_transports", "transport_from_url"]


@hookimpl
def duly_transports() -> Mapping[str, TransportFactory]:
    """The schemes of RabbitMQ."""
    return {"amqp": transport_from_url, "amqps": transport_from_url}


def transport_from_url(text: str) -> RabbitMQTransport:
    """The transport to ``amqp://user:password@host,host/vhost?exchange=...&routing_key=...``.

    Without a virtual host, or with ``/`` alone, it is the broker's default one, which is ``/``.

    Raises:
        InvalidArgument: an unknown option or a value that is not valid.
    """
    url = parse(text)
    options: dict[str, Any] = url.take_options(
        **tls_options(), auth=str, declare=str, exchange=str, headers=pairs_of, heartbeat=seconds,
        max_message_size=number, persistent=boolean, properties=pairs_of, routing_key=str,
        timeout=seconds,
    )  # fmt: skip
    server: dict[str, Any] = {
        name: options.pop(name) for name in ("auth", "heartbeat") if name in options
    }
    try:
        return RabbitMQTransport(
            Server(
                hosts=url.hosts,
                virtual_host=url.path.removeprefix("/") or "/",
                username=url.username,
                password=url.password,
                tls=take_tls(options, always=url.scheme == "amqps"),
                **server,
            ),
            **options,
        )
    except InvalidArgument as error:
        raise InvalidArgument(f"{url}: {error}") from None
