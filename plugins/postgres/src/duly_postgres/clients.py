"""From a URL to an engine."""

import functools
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import NullPool, event
from sqlalchemy import engine as sqlalchemy_engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from duly import InvalidArgument, StoreUnavailable
from duly.tls import TLS, take_tls, tls_options
from duly.url import URL, boolean, parse

__all__ = ["engine_for", "take_apart"]

_PORT: Final = 5432
_PATIENCE: Final = 10  # seconds for the driver to connect


def take_apart(text: str) -> tuple[URL, dict[str, Any]]:
    """A URL, and the options of the store in it; ``tls`` is None or of :mod:`duly.tls`.

    Raises:
        InvalidArgument: an unknown option, or one that cannot be used; a path of several parts.
    """
    url = parse(text)
    options = url.take_options(table=str, schema=str, auto_migrate=boolean, **tls_options())
    tls = options["tls"] = take_tls(options)
    if tls is not None:
        tls.context()  # so that a file that cannot be used is an error here
    if "/" in url.path.removeprefix("/"):
        raise InvalidArgument(f"{url}: the path is the name of one database")
    return url, options


def engine_for(url: URL, tls: TLS | None) -> AsyncEngine:
    """An engine that keeps no connections: the store keeps what it needs by itself.

    Each connection reads the files of ``tls`` anew: certificates are renewed while we run.
    """
    connect: dict[str, Any] = {
        "timeout": _PATIENCE,
        "server_settings": {"application_name": "duly"},
        # No prepared statement is left behind, so that this works through a pooler too; where it
        # can, the store itself prepares the statements that it repeats.
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": _nameless,
    }
    host, port = url.hosts[0] if url.hosts else (None, None)
    if len(url.hosts) > 1:
        connect |= _hosts(url.hosts)
    engine = create_async_engine(
        sqlalchemy_engine.URL.create(
            "postgresql+asyncpg",
            username=url.username,
            password=url.password,
            host=host,
            port=port,
            database=url.path.removeprefix("/") or None,
        ),
        poolclass=NullPool,
        connect_args=connect,
    )
    if tls is not None:
        event.listen(engine.sync_engine, "do_connect", functools.partial(_encrypt, tls))
    return engine


def _encrypt(tls: TLS, _dialect: object, _record: object, _args: object, how: Any) -> None:
    try:
        how["ssl"] = tls.context()
    except InvalidArgument as error:  # the files were valid at the start, and may be soon again
        raise StoreUnavailable(f"PostgreSQL: TLS cannot be begun ({error})") from error


def _hosts(hosts: Sequence[tuple[str, int | None]]) -> dict[str, Any]:
    return {
        "host": [host for host, _ in hosts],
        "port": [port or _PORT for _, port in hosts],
        "target_session_attrs": "read-write",  # whichever is the primary at present
    }


def _nameless() -> str:
    return ""
