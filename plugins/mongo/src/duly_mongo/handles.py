"""The driver: Motor's handles or PyMongo's own asynchronous ones, and what differs between them."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Protocol

import attrs
from motor.motor_asyncio import (
    AsyncIOMotorClient,
    AsyncIOMotorClientSession,
    AsyncIOMotorDatabase,
)
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from duly import InvalidArgument
from duly.tls import TLS

__all__ = ["Given", "Made", "Source", "in_session", "is_session", "resolve", "session_of"]


async def resolve(value: Any) -> Any:
    """A result that Motor returns at once and PyMongo's own handles as an awaitable."""
    return await value if inspect.isawaitable(value) else value


@asynccontextmanager
async def in_session(client: Any) -> AsyncIterator[Any]:
    """A session of our own."""
    async with await resolve(client.start_session()) as session:
        yield session


def is_session(value: object) -> bool:
    """Whether it is a session of either kind."""
    return isinstance(value, AsyncIOMotorClientSession | AsyncClientSession)


def session_of(within: Any) -> Any:
    """The caller's session, in which a transaction has begun; None for None.

    Raises:
        InvalidArgument: it is no session, or has no transaction.
    """
    if within is None:
        return None
    if not is_session(within):
        raise InvalidArgument(
            "within must be a session of the client that the store works with, not "
            f"{type(within).__name__}"
        )
    if not within.in_transaction:
        raise InvalidArgument(
            "within is a session without a transaction: call start_transaction() first"
        )
    return within


class Source(Protocol):
    """Where a store gets its database from when it is opened."""

    async def open(self) -> Any:
        """The database."""

    async def close(self) -> None:
        """Give back what was opened."""


class Given:
    """A database of the user's own, whose client stays open."""

    def __init__(self, database: Any) -> None:
        if not isinstance(database, AsyncIOMotorDatabase | AsyncDatabase):
            raise InvalidArgument(
                "database must be an AsyncIOMotorDatabase of Motor or an AsyncDatabase of PyMongo, "
                f"not {type(database).__module__}.{type(database).__name__}"
            )
        self._database = database

    def __repr__(self) -> str:
        return repr(self._database.name)

    async def open(self) -> Any:
        return self._database

    async def close(self) -> None:
        """It was open before."""


@attrs.define(eq=False)
class Made:
    """A client that is made from a URL, on the event loop that opens it."""

    uri: str = attrs.field(repr=False)
    database: str
    options: Mapping[str, Any] = attrs.field(repr=False)
    tls: TLS | None = attrs.field(default=None, repr=False)
    _client: Any = attrs.field(default=None, init=False, repr=False)

    def __repr__(self) -> str:
        return repr(self.database)

    async def open(self) -> Any:
        loop = asyncio.get_running_loop()

        def make() -> Any:  # reads files of certificates and asks the name service
            with encryption(self.tls) as options:
                return AsyncIOMotorClient(self.uri, io_loop=loop, **self.options, **options)

        if self._client is None:
            self._client = await asyncio.to_thread(make)
        return self._client[self.database]

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await asyncio.to_thread(client.close)  # it may speak to a server that hangs


@contextmanager
def encryption(tls: TLS | None) -> Iterator[dict[str, Any]]:
    """The driver's options for TLS; it reads the files while the client is made.

    Raises:
        InvalidArgument: a file that is missing, or that holds something else.
    """
    if tls is None:
        yield {}
        return
    tls.context()
    options: dict[str, Any] = {"tls": True}
    if tls.ca is not None:
        options["tlsCAFile"] = tls.ca
    if tls.cert is None or tls.key in (None, tls.cert):
        if tls.cert is not None:
            options["tlsCertificateKeyFile"] = tls.cert
        yield options
        return
    with NamedTemporaryFile(prefix="duly-", suffix=".pem") as both:  # the driver takes one file
        for file in (tls.cert, tls.key):
            both.write(Path(file or "").read_bytes() + b"\n")
        both.flush()
        yield {**options, "tlsCertificateKeyFile": both.name}
