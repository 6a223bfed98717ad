"""From a URL to a database: an engine of SQLAlchemy, its tables, and transactions on it."""

import contextlib
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from duly import InvalidArgument
from duly.tls import TLS, take_tls, tls_options
from duly.url import URL, boolean, mask, number, parse, scheme_of, seconds
from duly_history.errors import translated
from duly_history.tables import Tables

__all__ = ["Database"]

_PATIENCE: Final = 5  # seconds for a connection, and for the lock of a file
_SCHEMES: Final = ("sqlite", "postgresql", "postgres")
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,39}")


class Database:
    """Where a history is kept: a file of SQLite, or a database of PostgreSQL.

    Raises:
        InvalidArgument: a URL of another kind, an unknown option, a name that cannot be used.
    """

    def __init__(self, url: str) -> None:
        if scheme_of(url) not in _SCHEMES:
            raise InvalidArgument(
                f"a history is kept at sqlite:///... or postgresql://..., not at {mask(url)!r}"
            )
        self.text = url
        parsed = parse(url)
        self.place = str(parsed).partition("?")[0]
        self.is_postgres = parsed.scheme != "sqlite"
        self.path: Path | None = None
        self._make: Callable[[], sa.Engine]
        if self.is_postgres:
            options = parsed.take_options(schema=_name, **_OPTIONS, **tls_options())
            self._make = functools.partial(_postgres, parsed, take_tls(options))
        else:
            options = parsed.take_options(**_OPTIONS)
            self.path = _path(parsed)
            self._make = functools.partial(_sqlite, self.path)
        self.engine = self._make()
        self._parents: list[sa.Engine] = []
        self.auto_migrate: bool = options.pop("auto_migrate", True)
        self.tables = Tables(options.pop("prefix", "duly_history"), options.pop("schema", None))
        self.options: Mapping[str, Any] = options
        """What else the URL says: arguments of a History."""

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Committed at the end of the block, rolled back after an error.

        Raises:
            HistoryUnavailable: the database cannot be reached.
            HistoryError: it refuses.
        """
        with translated(self.place), self.engine.begin() as connection:
            if self.is_postgres:
                connection.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
                connection.exec_driver_sql("SET LOCAL statement_timeout = '30s'")
            yield connection

    def forget(self) -> None:
        """In a child process after a fork: leave the parent's connections as they are."""
        # Kept, or they would be closed; and a lock of theirs may have been held when it forked.
        self._parents.append(self.engine)
        self.engine = self._make()


def _name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no name of small letters, digits and _, at most 40")
    return text


_OPTIONS: Final[Mapping[str, Callable[[str], Any]]] = {
    "prefix": _name, "auto_migrate": boolean, "keep": seconds, "keep_changes": seconds,
    "of": lambda text: text.split(","), "messages": boolean, "audit": boolean,
    "most_waiting": number,
}  # fmt: skip


def _path(url: URL) -> Path:
    if url.hosts or url.username or url.password:
        raise InvalidArgument(f"{url}: a file has no host: write sqlite:///relative.db")
    path = url.path.removeprefix("/")
    if path in ("", ":memory:"):
        raise InvalidArgument(f"{url}: a history is kept in a file: sqlite:///history.db")
    return Path(path).absolute()  # wherever the process goes meanwhile


def _sqlite(path: Path) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"timeout": _PATIENCE, "check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(driver: Any, _record: object) -> None:
        if driver.execute("PRAGMA journal_mode").fetchone()[0] != "wal":  # to set it takes a lock
            driver.execute("PRAGMA journal_mode = WAL")
        driver.execute("PRAGMA synchronous = FULL")

    return engine


def _postgres(url: URL, tls: TLS | None) -> sa.Engine:
    if "/" in url.path.removeprefix("/"):
        raise InvalidArgument(f"{url}: the path is the name of one database")
    query = {}
    if url.hosts:
        query["host"] = ",".join(host for host, _ in url.hosts)
        query["port"] = ",".join("" if port is None else str(port) for _, port in url.hosts)
    if tls is not None:
        query |= {"sslmode": "verify-full", "sslrootcert": tls.ca or "system"}
        query |= {"sslcert": tls.cert} if tls.cert else {}
        query |= {"sslkey": tls.key} if tls.key else {}
    return sa.create_engine(
        sa.URL.create(
            "postgresql+psycopg",
            username=url.username,
            password=url.password,
            database=url.path.removeprefix("/") or None,
        ),
        pool_size=2,
        max_overflow=8,
        pool_pre_ping=True,
        connect_args={
            **query,
            "connect_timeout": _PATIENCE,
            "tcp_user_timeout": 10_000,  # milliseconds, for a network that swallows everything
            "application_name": "duly history",
            "prepare_threshold": None,  # so that a pooler may be between
        },
    )
