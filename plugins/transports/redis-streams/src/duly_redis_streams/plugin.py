"""What duly-redis-streams offers to duly: ``redis+stream``, ``redis+pubsub``, and both with TLS."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from duly import InvalidArgument, hookimpl
from duly.hookspecs import TransportFactory
from duly.tls import take_tls, tls_options
from duly.url import URL, boolean, number, parse, seconds
from duly_redis_streams.pubsub import PubSubTransport
from duly_redis_streams.server import Server
from duly_redis_streams.stream import StreamTransport

__all__ = ["duly_transports", "pubsub_from_url", "stream_from_url"]

_SERVER_OPTIONS: Final[Mapping[str, Callable[[str], Any]]] = {
    **tls_options(),
    "master": str,
    "sentinel_password": str,
    "sentinel_username": str,
    "timeout": seconds,
    "topology": str,
}


@hookimpl
def duly_transports() -> Mapping[str, TransportFactory]:
    """The schemes of both transports; those with two s mean TLS."""
    return {
        "redis+pubsub": pubsub_from_url,
        "redis+stream": stream_from_url,
        "rediss+pubsub": pubsub_from_url,
        "rediss+stream": stream_from_url,
    }


def stream_from_url(text: str) -> StreamTransport:
    """The transport to ``redis+stream://user:password@host:port/0?stream=events.{event_name}``.

    Raises:
        InvalidArgument: an unknown option or a value that cannot be.
    """
    url = parse(text)
    options = url.take_options(
        **_SERVER_OPTIONS, connections=number, create=boolean, deduplicate=seconds, exact=boolean,
        max_age=seconds, maxlen=number, stream=str,
    )  # fmt: skip
    return StreamTransport(_take_server(url, options), **options)


def pubsub_from_url(text: str) -> PubSubTransport:
    """The transport to ``redis+pubsub://user:password@host:port/?channel=events.{event_name}``.

    Raises:
        InvalidArgument: an unknown option or a value that cannot be.
    """
    url = parse(text)
    options = url.take_options(
        **_SERVER_OPTIONS, channel=str, connections=number, format=str, require_subscriber=boolean
    )
    return PubSubTransport(_take_server(url, options), **options)


def _take_server(url: URL, options: dict[str, Any]) -> Server:
    """Take the options out that say where to connect."""
    tls = take_tls(options, always=url.scheme.startswith("rediss"))
    given = {name: options.pop(name) for name in _SERVER_OPTIONS if name in options}
    database = url.path.strip("/")
    if database and not (database.isascii() and database.isdigit()):
        raise InvalidArgument(f"{url}: the path is the number of a database, not {database!r}")
    return Server(
        hosts=url.hosts,
        database=int(database or 0),
        username=url.username,
        password=url.password,
        tls=tls,
        **given,
    )
