"""Making the tables of a history, and the partitions of the days."""

from collections.abc import Iterable

import sqlalchemy as sa

from duly_history.batch import DAY
from duly_history.database import Database
from duly_history.errors import HistoryError, HistoryUnavailable
from duly_history.tables import VERSION

__all__ = ["Days", "make_ready", "see_that_it_is_ready"]


def make_ready(database: Database) -> None:
    """Make the tables where they are missing and that is allowed.

    Raises:
        HistoryError: they are missing, or of a later version of duly; the text says what to do.
        HistoryUnavailable: the database cannot be reached.
    """
    if _found(database) == VERSION:
        return
    if not database.auto_migrate:
        raise HistoryError(
            f"history {database.place}: its tables are missing, and auto_migrate is false: call "
            "migrate() of a History without that"
        )
    tables = database.tables
    with database.transaction() as connection:
        if database.is_postgres:
            key = sa.func.hashtext(f"duly-history {tables.schema} {tables.prefix}")
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # which the driver does not for DDL
        tables.metadata.create_all(connection)
        if database.is_postgres:
            parent = tables.qualified(tables.entries.name)
            connection.exec_driver_sql(
                f"CREATE TABLE IF NOT EXISTS {parent}_other PARTITION OF {parent} DEFAULT"
            )
        version = tables.schema_version
        if connection.execute(sa.select(version.c.version)).first() is None:
            connection.execute(version.insert().values(version=VERSION))


def see_that_it_is_ready(database: Database) -> None:
    """For those who only read, and make nothing.

    Raises:
        HistoryError: nothing has been kept there yet, or it is of a later version of duly.
        HistoryUnavailable: the database cannot be reached.
    """
    if database.path is not None and not database.path.exists():
        raise HistoryError(f"history {database.place}: there is no such file: is the path right?")
    if _found(database) is None:
        raise HistoryError(f"history {database.place}: nothing has been kept there yet")


def _found(database: Database) -> int | None:
    """The version of the tables that are there."""
    version = database.tables.schema_version
    with database.transaction() as connection:
        if not sa.inspect(connection).has_table(version.name, schema=version.schema):
            return None
        found: int | None = connection.execute(sa.select(version.c.version)).scalar()
    if found is not None and found > VERSION:
        raise HistoryError(
            f"history {database.place}: its tables are of a later version of duly-history: "
            "upgrade this one"
        )
    return found


class Days:
    """The partitions of PostgreSQL, one for each day of UTC, made before they are needed.

    Where one cannot be made, for want of a grant or because rows of that day are elsewhere
    already, they go to the partition of all else, and are deleted from there.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: set[int] = set()

    def make(self, days: Iterable[int]) -> None:
        """See to it that there are partitions for these days, numbers since 1970, and the next.

        Raises:
            HistoryUnavailable: the database cannot be reached.
        """
        if not self._database.is_postgres or not self._database.auto_migrate:
            return
        wanted = {day + more for day in days for more in (0, 1)} - self._known
        for day in sorted(wanted):
            try:
                self._make(day)
            except HistoryUnavailable:
                raise
            except HistoryError:
                pass  # see above
            self._known.add(day)

    def drop(self, before: int) -> None:
        """Remove the partitions of all days before that one.

        Raises:
            HistoryError: it cannot be done now.
        """
        if not self._database.is_postgres or not self._database.auto_migrate:
            return
        tables = self._database.tables
        start = f"{tables.entries.name}_day_"
        with self._database.transaction() as connection:
            names = sa.inspect(connection).get_table_names(schema=tables.schema)
        for name in names:
            number = name.removeprefix(start)
            if name.startswith(start) and number.isdigit() and int(number) < before:
                with self._database.transaction() as connection:
                    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {tables.qualified(name)}")
                self._known.discard(int(number))

    def _make(self, day: int) -> None:
        tables = self._database.tables
        parent = tables.qualified(tables.entries.name)
        name = tables.qualified(f"{tables.entries.name}_day_{day}")
        with self._database.transaction() as connection:
            key = sa.func.hashtext(f"duly-history {tables.schema} {tables.prefix}")
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))
            if connection.execute(sa.select(sa.func.to_regclass(name))).scalar() is not None:
                return
            # Attached rather than made in place, which would wait for whoever reads.
            connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE {parent} INCLUDING DEFAULTS)")
            connection.exec_driver_sql(
                f"ALTER TABLE {parent} ATTACH PARTITION {name} "
                f"FOR VALUES FROM ({day * DAY}) TO ({(day + 1) * DAY})"
            )
