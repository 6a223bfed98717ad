"""Translates the driver's errors into duly's; the only place that does."""

import contextlib
from collections.abc import Iterator
from typing import Final

from bson.errors import BSONError
from pymongo import errors

from duly import InvalidArgument, StoreError, StoreUnavailable
from duly.url import mask

__all__ = ["DUPLICATE", "not_retried", "translated"]

DUPLICATE: Final = 11000
"""The server's code for an ``_id`` that is taken."""

_LASTING: Final = {
    13: "this user has no right to do that: it needs the role readWrite on the database",
    18: "the user name or the password is wrong",
    26: "the collection is gone",
    59: "this server is too old: duly needs MongoDB 4.4 or later",
    85: "an index on these keys exists with other options: drop it, or choose another collection",
    86: "an index of that name exists with other keys: drop it, or choose another collection",
    8000: "the user name or the password is wrong",
}
"""The codes of errors that trying again does not cure."""

_PASSING: Final = frozenset({
    6, 7, 89, 9001,  # the network
    24, 46, 50, 202, 262,  # no time left
    43, 237,  # a cursor that is gone
    64,  # a majority that did not answer
    91, 189, 10107, 11600, 11602, 13388, 13435, 13436,  # elections, shutdowns, moved chunks
    112, 225, 246, 251, 290,  # transactions that others ended
    133, 134,  # nobody to read from
    14031,  # a full disk
})  # fmt: skip
"""The codes of errors that may be gone at the next try."""

_LABELS: Final = ("TransientTransactionError", "RetryableWriteError", "RetryableError",
                  "UnknownTransactionCommitResult")  # fmt: skip


@contextlib.contextmanager
def translated(*, within: bool = False) -> Iterator[None]:
    """Wrap every call of the driver in this; ``within`` is a caller's own transaction.

    Raises:
        StoreUnavailable: for what trying again may cure.
        InvalidArgument: a session that cannot be used here.
        StoreError: for everything else that the driver raises.
    """
    try:
        yield
    except errors.ServerSelectionTimeoutError as error:
        raise StoreUnavailable(f"MongoDB: {_who_is_missing(error)} ({_text(error)})") from error
    except errors.ConnectionFailure as error:
        raise StoreUnavailable(f"MongoDB: the connection failed ({_text(error)})") from error
    except errors.InvalidOperation as error:
        if within:
            raise InvalidArgument(f"within cannot be used here: {_text(error)}") from error
        raise StoreError(f"MongoDB: {_text(error)}") from error
    except errors.ConfigurationError as error:
        reason = f"{_LASTING[59]} " if "wire version" in str(error) else ""
        raise StoreError(f"MongoDB: {reason}({_text(error)})") from error
    except errors.PyMongoError as error:
        if not_retried(error) and not (within and _code(error) == DUPLICATE):
            raise StoreError(f"MongoDB: {_reason(error)} ({_text(error)})") from error
        advice = "roll back and do it again" if within else "it may work again"
        raise StoreUnavailable(f"MongoDB: {advice} ({_text(error)})") from error
    except BSONError as error:
        raise StoreError(f"MongoDB: it cannot be stored ({_text(error)})") from error


def not_retried(error: errors.PyMongoError) -> bool:
    """Whether trying again does not help."""
    if any(error.has_error_label(label) for label in _LABELS) or error.timeout:
        return False
    if isinstance(error, errors.BulkWriteError) and error.details.get("writeConcernErrors"):
        return False
    return not isinstance(error, errors.WriteConcernError) and _code(error) not in _PASSING


def _reason(error: errors.PyMongoError) -> str:
    code = _code(error)
    return "refused" if code is None else _LASTING.get(code, "refused")


def _code(error: errors.PyMongoError) -> int | None:
    if isinstance(error, errors.BulkWriteError):
        failed = error.details.get("writeErrors") or [{}]
        code = failed[0].get("code")
        return code if isinstance(code, int) else None
    return error.code if isinstance(error, errors.OperationFailure) else None


def _who_is_missing(error: errors.ServerSelectionTimeoutError) -> str:
    text = str(error).lower()
    if ("primary" in text and "no replica set members" in text) or "no primary" in text:
        return "no server of the replica set is its primary at the moment"
    return "nobody answers"


def _text(error: Exception) -> str:
    """The text of an error, at a readable length and without secrets."""
    text = mask(str(error)).partition(", full error:")[0].partition(", Topology Description:")[0]
    return text if len(text) <= 300 else f"{text[:300]}..."
