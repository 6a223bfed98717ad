"""What duly-mongo offers to duly: the schemes ``mongodb`` and ``mongodb+srv``."""

from collections.abc import Mapping

from duly import hookimpl
from duly.hookspecs import StoreFactory
from duly_mongo.clients import store_from_url

__all__ = ["duly_stores"]


@hookimpl
def duly_stores() -> Mapping[str, StoreFactory]:
    """The schemes of MongoDB's own URLs."""
    return {"mongodb": store_from_url, "mongodb+srv": store_from_url}
