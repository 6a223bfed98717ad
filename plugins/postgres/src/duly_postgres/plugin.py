"""What duly-postgres offers to duly: the schemes of PostgreSQL."""

from collections.abc import Mapping

from duly import hookimpl
from duly.hookspecs import StoreFactory
from duly_postgres.clients import engine_for, take_apart
from duly_postgres.store import PostgresStore

__all__ = ["duly_stores", "store_from_url"]


@hookimpl
def duly_stores() -> Mapping[str, StoreFactory]:
    """The schemes of PostgreSQL."""
    return dict.fromkeys(("postgresql", "postgres", "postgresql+asyncpg"), store_from_url)


def store_from_url(text: str) -> PostgresStore:
    """The store of ``postgresql://user:password@host:5432/database?table=...&schema=...``.

    What is left out is taken from the environment (``PGHOST``, ``PGUSER``, ...), as by libpq.

    Raises:
        InvalidArgument: an unknown option, a name that cannot be used.
    """
    url, options = take_apart(text)
    return PostgresStore(engine_for(url, options.pop("tls")), **options)
