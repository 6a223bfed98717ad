"""What duly-redis offers to duly: the schemes of Redis, with and without TLS."""

from collections.abc import Mapping

from duly import hookimpl
from duly.hookspecs import StoreFactory
from duly.url import parse
from duly_redis.clients import client_of, take_options
from duly_redis.store import RedisStore

__all__ = ["duly_stores", "store_from_url"]


@hookimpl
def duly_stores() -> Mapping[str, StoreFactory]:
    """The schemes of one server, of a group under Sentinel, and of a Cluster."""
    kinds = ("", "+sentinel", "+cluster")
    return {f"{name}{kind}": store_from_url for name in ("redis", "rediss") for kind in kinds}


def store_from_url(text: str) -> RedisStore:
    """The store of ``redis://host/0``, ``redis+sentinel://h1,h2/name/0``, ``redis+cluster://h1,h2``.

    Raises:
        InvalidArgument: something in the URL is missing, unknown, or not valid.
    """
    url = parse(text)
    options = take_options(url)
    return RedisStore(client_of(url, options), **options)
