"""Clients made from URLs: of one server, of a group under Sentinel, of a Cluster."""

from collections.abc import Callable
from typing import Any, Final

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from duly import InvalidArgument
from duly.tls import TLS, take_tls, tls_options
from duly.url import URL, boolean, number
from duly_redis.calls import Client

__all__ = ["client_of", "take_options"]

_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379


def take_options(url: URL) -> dict[str, Any]:
    """The options of a store's URL, checked.

    Raises:
        InvalidArgument: an unknown one, or a value that is not valid.
    """
    known: dict[str, Callable[[str], Any]] = {
        "key_prefix": str,
        "shards": number,
        "allow_eviction": boolean,
        "auto_migrate": boolean,
        **tls_options(),
    }
    if "+sentinel" in url.scheme:
        known |= {"sentinel_username": str, "sentinel_password": str}
    return url.take_options(**known)


def client_of(url: URL, options: dict[str, Any]) -> Callable[[], Client]:
    """A function that makes the client of a URL; the options of TLS and Sentinel are taken out.

    Raises:
        InvalidArgument: a host, database or primary that is missing or not valid.
    """
    shared = {
        # A script is sent only once: the caller tries again, and so knows that it does.
        "retry": Retry(NoBackoff(), 0),
        "socket_connect_timeout": 5,
        "socket_timeout": None,  # the caller's patience decides
        "socket_keepalive": True,
        **_encrypted(take_tls(options, always=url.scheme.startswith("rediss"))),
        "username": url.username,
        "password": url.password,
    }
    if not url.hosts:
        raise InvalidArgument(f"{url}: it names no host")
    match url.scheme.partition("+")[2]:
        case "cluster":
            return _of_cluster(url, shared)
        case "sentinel":
            return _under_sentinel(url, options, shared)
        case _:
            return _of_one(url, shared)


def _of_one(url: URL, shared: dict[str, Any]) -> Callable[[], Client]:
    if len(url.hosts) > 1:
        raise InvalidArgument(
            f"{url}: one server has one host; several are for {url.scheme}+cluster:// and "
            f"{url.scheme}+sentinel://"
        )
    ((host, port),) = url.hosts
    database = _database(url, url.path)
    return lambda: Redis(host=host, port=port or _PORT, db=database, **shared)


def _of_cluster(url: URL, shared: dict[str, Any]) -> Callable[[], Client]:
    if url.path not in ("", "/", "/0"):
        raise InvalidArgument(f"{url}: a Cluster has no databases but 0, and no other path")
    return lambda: RedisCluster(
        startup_nodes=[ClusterNode(host, port or _PORT) for host, port in url.hosts], **shared
    )


def _under_sentinel(
    url: URL, options: dict[str, Any], shared: dict[str, Any]
) -> Callable[[], Client]:
    name, _, rest = url.path.removeprefix("/").partition("/")
    if not name:
        raise InvalidArgument(f"{url}: say which primary: {url.scheme}://host,host/mymaster/0")
    database = _database(url, rest)
    hosts = [(host, port or _SENTINEL_PORT) for host, port in url.hosts]
    own = {
        "username": options.pop("sentinel_username", None),
        "password": options.pop("sentinel_password", None),
    }

    def make() -> Client:
        sentinel = Sentinel(hosts, sentinel_kwargs={**shared, **own}, **shared)  # type: ignore[no-untyped-call]  # its class has no annotations
        client: Redis = sentinel.master_for(name, db=database)
        return client

    return make


def _database(url: URL, path: str) -> int:
    text = path.removeprefix("/")
    if text and not (text.isascii() and text.isdigit()):
        raise InvalidArgument(f"{url}: a database is a number: {text!r}")
    return int(text or 0)


def _encrypted(tls: TLS | None) -> dict[str, Any]:
    if tls is None:
        return {}
    tls.context()  # tells what is wrong with its files
    return {
        "ssl": True,
        "ssl_ca_certs": tls.ca,
        "ssl_certfile": tls.cert,
        "ssl_keyfile": tls.key,
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
    }
