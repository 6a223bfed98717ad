"""Which database a store is in, and whether a caller's transaction is in the same one."""

from typing import Final

import asyncpg

from duly import InvalidArgument
from duly_postgres.connection import Connection, Row
from duly_postgres.errors import cause_of
from duly_postgres.within import Guest

__all__ = ["Database"]

_MOST: Final = 1000  # connections that are remembered

_OID: Final = "(SELECT oid FROM pg_database WHERE datname = current_database())::text"
_WHICH: Final = f"SELECT current_database()::text AS name, {_OID} AS which"
_WHICH_OF_WHICH_CLUSTER: Final = f"""\
SELECT current_database()::text AS name, {_OID} || '/' || system_identifier::text AS which
FROM pg_control_system()"""  # noqa: S608  # of constants
"""Unique to a database: its oid, and the identifier that a server shares only with its replicas."""


class Database:
    """The database of a store, recognised whatever host name or address leads to it."""

    def __init__(self) -> None:
        self._statement = _WHICH_OF_WHICH_CLUSTER
        self._which = ""
        self._known = set[object]()

    async def find(self, db: Connection) -> None:
        """Remember the one that this connection is to."""
        self._known.clear()
        self._statement = _WHICH_OF_WHICH_CLUSTER
        try:
            (row,) = await db.fetch(self._statement)
        except (asyncpg.UndefinedFunctionError, asyncpg.InsufficientPrivilegeError):
            self._statement = _WHICH  # some servers with PostgreSQL's protocol lack the other
            (row,) = await db.fetch(self._statement)
        self._which = row["which"]

    async def admit(self, guest: Guest) -> None:
        """Check that a caller's transaction is in it; asked once for each connection.

        Raises:
            InvalidArgument: it is in another one, where no scheduler of this store looks.
        """
        if guest.settings in self._known:
            return
        name, which = await self._which_of(guest)
        if which not in (self._which, _without_cluster(self._which)):
            raise InvalidArgument(
                f'within is a transaction in another database ("{name}") than that of the store, '
                "which would never find what is stored there: use a session of the store's own"
            )
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known.add(guest.settings)

    async def _which_of(self, guest: Guest) -> Row:
        """The name of the guest's database and which it is, as far as its role may know."""
        try:
            async with guest.transaction():  # which a refusal leaves as it was
                (row,) = await guest.fetch(self._statement)
        except Exception as error:
            if not isinstance(cause_of(error), asyncpg.InsufficientPrivilegeError):
                raise
            (row,) = await guest.fetch(_WHICH)
        return row


def _without_cluster(which: str) -> str:
    return which.partition("/")[0]
