"""What duly-kafka offers to duly: the scheme ``kafka``."""

from collections.abc import Mapping
from typing import Any

from duly import InvalidArgument, hookimpl
from duly.hookspecs import TransportFactory
from duly.tls import take_tls, tls_options
from duly.url import URL, boolean, number, parse, seconds
from duly_kafka.server import Cluster
from duly_kafka.topics import NewTopics
from duly_kafka.transport import KafkaTransport

__all__ = ["duly_transports", "transport_from_url"]


@hookimpl
def duly_transports() -> Mapping[str, TransportFactory]:
    """The scheme of Kafka."""
    return {"kafka": transport_from_url}


def transport_from_url(text: str) -> KafkaTransport:
    """The transport to ``kafka://user:password@host:port,host:port/?topic=events.{event_name}``.

    Raises:
        InvalidArgument: an unknown option or a value that is not valid.
    """
    url = parse(text)
    options: dict[str, Any] = url.take_options(
        **tls_options(), compression=str, create=boolean, idempotence=boolean, key_from=str,
        max_request_size=number, partitions=number, replication=number, sasl_mechanism=str,
        timeout=seconds, topic=str,
    )  # fmt: skip
    if url.path.strip("/"):
        raise InvalidArgument(f"{url}: a path means nothing here; topic is an option")
    return KafkaTransport(
        _take_cluster(url, options), new_topics=_take_new_topics(url, options), **options
    )


def _take_cluster(url: URL, options: dict[str, Any]) -> Cluster:
    mechanism = options.pop("sasl_mechanism", None)
    if mechanism is not None and url.username is None:
        raise InvalidArgument(f"{url}: sasl_mechanism is given without a user and a password")
    return Cluster(
        hosts=url.hosts,
        username=url.username,
        password=url.password,
        mechanism=mechanism or "PLAIN",
        tls=take_tls(options),
    )


def _take_new_topics(url: URL, options: dict[str, Any]) -> NewTopics | None:
    create = options.pop("create", False)
    sizes = {name: options.pop(name) for name in ("partitions", "replication") if name in options}
    if len(sizes) != (2 if create else 0):
        raise InvalidArgument(
            f"{url}: topics are created by create=true, partitions and replication, all three"
        )
    return NewTopics(**sizes) if create else None
