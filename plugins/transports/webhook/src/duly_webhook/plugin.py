"""What duly-webhook offers to duly: the schemes ``http`` and ``https``."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from duly import InvalidArgument, hookimpl
from duly.hookspecs import TransportFactory
from duly.tls import take_tls, tls_options
from duly.url import boolean, number, parse, seconds
from duly_webhook.transport import WebhookTransport

__all__ = ["duly_transports", "transport_from_url"]


@hookimpl
def duly_transports() -> Mapping[str, TransportFactory]:
    """The schemes of webhooks."""
    return {"http": transport_from_url, "https": transport_from_url}


def transport_from_url(text: str) -> WebhookTransport:
    """The transport to ``https://user:password@host/path/{event_name}?option=value``.

    All arguments of the URL are options of the transport; those for the receiver go into the option
    ``query``, percent-encoded. ``secret`` may hold several, with commas between them.

    Raises:
        InvalidArgument: an unknown option or a value that is not valid; TLS options with ``http``.
    """
    url = parse(text)
    options: dict[str, Any] = url.take_options(
        **tls_options(), allow_headers=_names, allow_private=boolean, bearer_token=str,
        connections=number, mode=str, query=str, secret=_secrets, source=str, timeout=seconds,
    )  # fmt: skip
    tls = take_tls(options, always=url.scheme == "https")
    if tls is not None and url.scheme == "http":
        raise InvalidArgument(f"{url}: leave tls out: https:// means TLS")
    if len(url.hosts) != 1:
        raise InvalidArgument(f"{url}: a webhook goes to one host")
    parts = urlsplit(text)
    path = (parts.path or "/").replace("%7B", "{").replace("%7D", "}")
    target = parts._replace(scheme=url.scheme, path=path, query=options.pop("query", ""))
    if "bearer_token" in options:
        options["authorization"] = f"Bearer {options.pop('bearer_token')}"
    return WebhookTransport(target.geturl(), secrets=options.pop("secret", ()), tls=tls, **options)


def _names(text: str) -> list[str]:
    return text.split(",")


def _secrets(text: str) -> list[str]:
    # A plus sign that was not encoded has become a blank; secrets hold no blanks.
    return text.replace(" ", "+").split(",")
