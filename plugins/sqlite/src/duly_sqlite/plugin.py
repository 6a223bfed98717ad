"""What duly-sqlite offers to duly: the scheme ``sqlite``."""

from collections.abc import Mapping

from duly import InvalidArgument, hookimpl
from duly.hookspecs import StoreFactory
from duly.url import mask, parse, scheme_of
from duly_sqlite.store import SQLiteStore

__all__ = ["duly_stores", "store_from_url"]


@hookimpl
def duly_stores() -> Mapping[str, StoreFactory]:
    """The scheme of SQLite files."""
    return {"sqlite": store_from_url}


def store_from_url(text: str) -> SQLiteStore:
    """The store of ``sqlite:///relative.db`` or ``sqlite:////absolute.db``.

    Raises:
        InvalidArgument: no slashes, a host, credentials, an option, no path, or ``:memory:``.
    """
    scheme = scheme_of(text)
    path = text[len(scheme) + 1 :]
    if not path.startswith("//") and "@" not in path:
        raise InvalidArgument(f"{mask(text)!r} lacks slashes: write {mask(f'sqlite:///{path}')}")
    url = parse(text)
    url.take_options()
    if url.hosts or url.username or url.password:
        raise InvalidArgument(
            f"{url}: a file has no host: write sqlite:///relative.db or sqlite:////absolute.db"
        )
    return SQLiteStore(url.path.removeprefix("/"))
