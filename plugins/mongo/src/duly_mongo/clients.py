"""From a URL to a store whose client is its own."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote, urlencode, urlunsplit

from pymongo.errors import ConfigurationError
from pymongo.uri_parser import split_options

from duly import InvalidArgument
from duly.tls import take_tls, tls_options
from duly.url import URL, boolean, number, parse
from duly_mongo.handles import Made
from duly_mongo.opening import checked_name
from duly_mongo.store import MongoStore

__all__ = ["store_from_url"]

_DATABASE: Final = "duly"  # where the URL names none

_OURS: Final[dict[str, Callable[[str], Any]]] = {
    "auto_migrate": boolean,
    "collection": checked_name,
}
_DRIVERS: Final[dict[str, Callable[[str], Any]]] = {
    "appName": str,
    "authMechanism": str,
    "authMechanismProperties": str,
    "authSource": str,
    "compressors": str,
    "connectTimeoutMS": number,
    "directConnection": boolean,
    "heartbeatFrequencyMS": number,
    "journal": boolean,
    "loadBalanced": boolean,
    "localThresholdMS": number,
    "maxIdleTimeMS": number,
    "maxPoolSize": number,
    "minPoolSize": number,
    "replicaSet": str,
    "retryReads": boolean,
    "retryWrites": boolean,
    "serverSelectionTimeoutMS": number,
    "socketTimeoutMS": number,
    "srvMaxHosts": number,
    "srvServiceName": str,
    "w": str,
    "waitQueueTimeoutMS": number,
    "wTimeoutMS": number,
    "zlibCompressionLevel": int,
}
"""The options of MongoDB's URLs that are handed on; those for TLS have duly's names."""

# With the driver's defaults a thread of Motor could wait for an answer for ever.
_DEFAULTS: Final[dict[str, Any]] = {
    "appName": "duly",
    "connectTimeoutMS": 5000,
    "serverSelectionTimeoutMS": 5000,
    "socketTimeoutMS": 20000,
}


def store_from_url(text: str) -> MongoStore:
    """The store of ``mongodb://user:password@host1,host2/database?replicaSet=name``.

    Raises:
        InvalidArgument: no host, an unknown option, a value that an option cannot have.
    """
    url = parse(text)
    if "AWS_SESSION_TOKEN" in unquote(text):  # which would show in errors
        raise InvalidArgument("a session token of AWS does not belong in a URL: the driver takes "
                              "it from the environment")  # fmt: skip
    if not url.hosts:
        raise InvalidArgument(f"{url}: it names no host: write mongodb://localhost/shop")
    options = url.take_options(**_OURS, **_DRIVERS, **tls_options())
    tls = take_tls(options)
    ours = {name: options.pop(name) for name in _OURS if name in options}
    database = url.path.removeprefix("/") or _DATABASE
    if not database.isprintable() or set(database) & set('/\\. "$*<>:|?'):
        raise InvalidArgument(f"{url}: {database!r} cannot be the name of a database")
    given = {
        name: str(value).lower() if isinstance(value, bool) else url.options[name]
        for name, value in options.items()
    }
    _check(url, given)
    # The URL as the driver gets it, without the options of duly.
    authority, _, path = text.partition("://")[2].partition("?")[0].partition("/")
    uri = urlunsplit((url.scheme, authority, f"/{path}", urlencode(given), ""))
    defaults = {name: value for name, value in _DEFAULTS.items() if name not in given}
    return MongoStore(Made(uri, database, defaults, tls), **ours)


def _check(url: URL, given: Mapping[str, str]) -> None:
    """Let the driver check its options; an error where it would only warn."""
    try:
        if given:
            split_options(urlencode(given), warn=False)
    except (ConfigurationError, ValueError) as error:
        raise InvalidArgument(f"{url}: {error}") from None
