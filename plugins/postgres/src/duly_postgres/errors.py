"""Translates the errors of PostgreSQL and its driver into duly's; the only place that does."""

import contextlib
from collections.abc import Iterator
from typing import Final

import asyncpg
import sqlalchemy.exc

from duly import StoreError, StoreUnavailable

__all__ = [
    "cause_of", "is_held", "is_taken", "may_be_repeated", "only_reads", "translated",
    "was_not_sent",
]  # fmt: skip

_PASSING: Final = {
    "08": "the connection was lost",
    "25006": "it only reads: it has become a standby, or was set to read only",
    "40": "it conflicted with other transactions: roll back and do it again",
    "40P01": "a deadlock, each of two transactions waited for the other: roll back and do it again",
    "53": "it has run out of resources",
    "55P03": "another transaction holds what this needs, and did not end in time",
    "57014": "it took too long, or somebody stopped it",
    "57": "it stopped the statement or the connection",
    "0A000": "a table was altered meanwhile",
    "58": "its system failed",
    "26000": "a pooler changed servers meanwhile",
    "42P05": "a pooler changed servers meanwhile",
}
"""By SQLSTATE or its class: errors that may be gone at the next try."""

_LASTING: Final = {
    "28": "this user is not let in: look at user, password and pg_hba.conf",
    "3D000": "the database does not exist: create it",
    "3F000": "the schema does not exist: create it",
    "42501": "this user lacks a grant",
    "42P01": "a table is missing: await client.migrate(), and look at table and schema",
    "42883": "a function is missing: await client.migrate(), and look at table and schema",
}

_RAISED: Final = (
    sqlalchemy.exc.SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    EOFError,
)
"""The errors of the driver and SQLAlchemy; those of duly are not among them."""

_REPEATED: Final = ("40001", "40P01", "23505")


def cause_of(error: BaseException) -> BaseException:
    """The driver's own exception inside the one of SQLAlchemy."""
    while type(error).__module__.startswith("sqlalchemy.") and error.__cause__ is not None:
        error = error.__cause__
    return error


def may_be_repeated(error: BaseException) -> bool:
    """Whether the same transaction may succeed at once, since somebody else was just faster."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate in _REPEATED


def is_taken(error: BaseException) -> bool:
    """Whether an id was stored by somebody else since we looked.

    Nothing else is worth another try within a transaction that goes on: its locks and what it has
    seen stay as they are.
    """
    return isinstance(error, asyncpg.UniqueViolationError)


def is_held(error: StoreError) -> bool:
    """Whether somebody else's transaction holds what was needed."""
    cause = None if error.__cause__ is None else cause_of(error.__cause__)
    return isinstance(cause, asyncpg.LockNotAvailableError)


def was_not_sent(error: StoreError) -> bool:
    """Whether the driver refused to send anything, because the connection is being closed."""
    cause = None if error.__cause__ is None else cause_of(error.__cause__)
    refused = "another operation"  # which is to read the server's last words
    return isinstance(cause, asyncpg.InternalClientError) and refused in str(cause)


def only_reads(error: StoreError) -> bool:
    """Whether the connection cannot write, because of a standby or a setting."""
    cause = None if error.__cause__ is None else cause_of(error.__cause__)
    return isinstance(cause, asyncpg.ReadOnlySQLTransactionError)


@contextlib.contextmanager
def translated(place: object) -> Iterator[None]:
    """Wrap every call of the driver in this.

    Raises:
        StoreUnavailable: for what trying again may cure.
        StoreError: for everything else that the driver raises.
    """
    try:
        yield
    except Exception as error:
        cause = cause_of(error)
        if isinstance(cause, _RAISED):
            raise _translation(place, cause) from error
        raise


def _translation(place: object, error: BaseException) -> StoreError:
    told = f"PostgreSQL, {place}: "
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        for code in (state, state[:2]):
            if code in _PASSING:
                return StoreUnavailable(f"{told}{_PASSING[code]} ({error})")
            if code in _LASTING:
                return StoreError(f"{told}{_LASTING[code]} ({error})")
        return StoreError(f"{told}refused ({error})")
    if isinstance(error, sqlalchemy.exc.ArgumentError | sqlalchemy.exc.InvalidRequestError):
        return StoreError(f"{told}refused ({error})")
    reason = str(error) or "it does not answer"
    return StoreUnavailable(f"{told}it cannot be reached ({reason})")
