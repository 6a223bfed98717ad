"""What goes wrong with a history, and the only place where errors of its drivers are translated."""

import contextlib
import sqlite3
from collections.abc import Iterator

import sqlalchemy.exc

from duly import StoreError, StoreUnavailable
from duly.url import mask

__all__ = ["HistoryError", "HistoryUnavailable", "Unfit", "translated"]


class HistoryError(StoreError):
    """The history cannot be read or written; the text says why."""


class HistoryUnavailable(HistoryError, StoreUnavailable):
    """The database of the history cannot be reached; trying again may help."""


class Unfit(HistoryError):
    """What was to be kept is refused by the database for what it holds."""


_AWAY = (
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.TimeoutError,  # no connection of the pool is free
    OSError,
)


@contextlib.contextmanager
def translated(place: str) -> Iterator[None]:
    """Wrap every call of the database in this; ``place`` is what to call it, without secrets.

    Raises:
        HistoryUnavailable: for what trying again may cure.
        Unfit: for a value that cannot be kept.
        HistoryError: for everything else that driver or SQLAlchemy raise.
    """
    try:
        yield
    except _AWAY as error:
        if _is_lasting(error):
            raise HistoryError(f"history {place}: {_text(error)}") from error
        raise HistoryUnavailable(
            f"history {place}: it cannot be used now: {_text(error)}"
        ) from error
    except (sqlalchemy.exc.DataError, sqlalchemy.exc.IntegrityError) as error:
        raise Unfit(f"history {place}: refused: {_text(error)}") from error
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise HistoryError(f"history {place}: {_text(error)}") from error


def _is_lasting(error: BaseException) -> bool:
    """Whether SQLite means what its file is, or that a table is missing."""
    cause = getattr(error, "orig", None)
    code = getattr(cause, "sqlite_errorcode", None)
    lasting = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CORRUPT)
    return isinstance(cause, sqlite3.Error) and (
        code in lasting or isinstance(cause, sqlite3.NotSupportedError)
    )


def _text(error: BaseException) -> str:
    """The driver's own words in one line: SQLAlchemy adds statement and values."""
    cause = getattr(error, "orig", None) or error
    lines = [line for line in str(cause).splitlines() if line.strip()]
    return mask(" ".join(lines[:2]) or type(cause).__name__)
