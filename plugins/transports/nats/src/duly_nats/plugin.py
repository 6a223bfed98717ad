"""What duly-nats offers to duly: the schemes ``nats`` and ``jetstream``."""

from collections.abc import Mapping
from typing import Any

from duly import InvalidArgument, hookimpl
from duly.hookspecs import TransportFactory
from duly.tls import take_tls, tls_options
from duly.url import URL, parse, seconds
from duly_nats.core import NatsTransport
from duly_nats.jetstream import JetStreamTransport
from duly_nats.login import Login

__all__ = ["duly_transports", "jetstream_from_url", "nats_from_url"]


@hookimpl
def duly_transports() -> Mapping[str, TransportFactory]:
    """The schemes of NATS."""
    return {"jetstream": jetstream_from_url, "nats": nats_from_url}


def jetstream_from_url(text: str) -> JetStreamTransport:
    """The transport to ``jetstream://user:password@host:port,host:port?option=value``.

    A text alone before the ``@`` is a token.

    Raises:
        InvalidArgument: an unknown option, a value that is not valid, no host, or a path.
    """
    url = parse(text)
    return JetStreamTransport(_servers(url), **_options(url, stream=str))


def nats_from_url(text: str) -> NatsTransport:
    """The transport to ``nats://...``; the URL is like that of JetStream, but without ``stream``.

    Raises:
        InvalidArgument: as for JetStream.
    """
    url = parse(text)
    return NatsTransport(_servers(url), **_options(url))


def _servers(url: URL) -> list[str]:
    if not url.hosts:
        raise InvalidArgument(f"{url}: it names no server")
    if url.path.strip("/"):
        raise InvalidArgument(f"{url}: NATS has no paths; give the subject as ?subject=...")
    return [f"{f'[{host}]' if ':' in host else host}:{port or 4222}" for host, port in url.hosts]


def _options(url: URL, **more: Any) -> dict[str, Any]:
    options = url.take_options(
        **tls_options(), creds_file=str, inbox_prefix=str, nkey_file=str, subject=str,
        timeout=seconds, **more,
    )  # fmt: skip
    token = url.username if url.password is None else None
    login = Login(
        user=None if token else url.username,
        password=url.password,
        token=token,
        creds_file=options.pop("creds_file", None),
        nkey_file=options.pop("nkey_file", None),
    )
    return {"login": login, "tls": take_tls(options), **options}
