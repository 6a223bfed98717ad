"""Translates redis-py's errors into duly's; the only place that does."""

import contextlib
from collections.abc import Iterator
from typing import Final

from redis import exceptions

from duly import StoreError, StoreUnavailable
from duly.url import mask

__all__ = ["translated"]

_PASSING: Final = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ClusterError,
    exceptions.RedisClusterException,
    exceptions.ReadOnlyError,
    exceptions.TryAgainError,
    exceptions.OutOfMemoryError,
    OSError,
)
"""Errors that may be gone at the next try."""

_PASSING_CODES: Final = ("BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS",
    "OOM", "READONLY", "TRYAGAIN", "UNBLOCKED")  # fmt: skip

_REFUSED: Final = (
    exceptions.AuthenticationError,
    exceptions.AuthenticationWrongNumberOfArgsError,
    exceptions.AuthorizationError,
    exceptions.NoPermissionError,
)
_REFUSED_CODES: Final = ("NOAUTH", "NOPERM", "WRONGPASS")

# Errors that have no code when a script raises them.
_PASSING_WORDS: Final = ("access a non local key in a cluster node", "while the cluster is down")
_REFUSED_WORDS: Final = ("The user executing the script can't", "ACL failure in script")


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Wrap every call of Redis in this.

    Raises:
        StoreUnavailable: for what trying again may cure.
        StoreError: for everything else that Redis or its driver raises.
    """
    try:
        yield
    except AttributeError as error:
        # asyncio of Python 3.12 and 3.13 raises this when something is written to a connection that
        # is lost, and redis-py lets it pass.
        raise StoreUnavailable("Redis is unavailable: the connection is lost") from error
    except (exceptions.RedisError, exceptions.RedisClusterException, OSError) as error:
        said = mask(str(error)) or type(error).__name__
        if refusal := _find(error, _REFUSED, _REFUSED_CODES, _REFUSED_WORDS):
            raise StoreError(
                f"Redis refuses user, password or a right that the user needs: {mask(str(refusal))}"
            ) from error
        if "Cluster mode is not enabled" in said:
            raise StoreError("this Redis is no Cluster: its scheme is redis://") from error
        if _find(error, _PASSING, _PASSING_CODES, _PASSING_WORDS):
            raise StoreUnavailable(f"Redis is unavailable: {said}") from error
        if _find(error, (), ("WRONGTYPE",)):
            raise StoreError(
                f"something else uses keys with this prefix: choose another key_prefix ({said})"
            ) from error
        raise StoreError(f"Redis refuses: {said}") from error


def _find(
    error: BaseException | None,
    kinds: tuple[type[Exception], ...],
    codes: tuple[str, ...],
    words: tuple[str, ...] = (),
) -> BaseException | None:
    """The error, or its cause, if it is of one of these kinds, has such a code, or such words.

    From a script the code is somewhere in the text; in Redis 6.2 it begins with a dash.
    """
    while error is not None:
        said = str(error)
        found = {part.removeprefix("-") for part in said.split()}
        if (
            isinstance(error, kinds)
            or not found.isdisjoint(codes)
            or any(each in said for each in words)
        ):
            return error
        error = error.__cause__ or _hidden(error)
    return None


def _hidden(error: BaseException) -> BaseException | None:
    """An error that the driver reports as "no Cluster", such as a right that is missing."""
    is_guess = isinstance(error, exceptions.RedisClusterException)
    return error.__context__ if is_guess else None
