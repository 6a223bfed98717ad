"""What redis-py raises, in duly's words; the one place that translates."""

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
"""What may be over when it is tried again."""

_PASSING_CODES: Final = ("BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS",
    "OOM", "READONLY", "TRYAGAIN", "UNBLOCKED")  # fmt: skip

_REFUSED: Final = (
    exceptions.AuthenticationError,
    exceptions.AuthenticationWrongNumberOfArgsError,
    exceptions.AuthorizationError,
    exceptions.NoPermissionError,
)
_REFUSED_CODES: Final = ("NOAUTH", "NOPERM", "WRONGPASS")

# What has no code when it comes out of a script.
_PASSING_WORDS: Final = ("access a non local key in a cluster node", "while the cluster is down")
_REFUSED_WORDS: Final = ("The user executing the script can't", "ACL failure in script")


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """To be put around all that is asked of Redis.

    Raises:
        StoreUnavailable: for what trying again may cure.
        StoreError: for everything else that Redis or its driver raises.
    """
    try:
        yield
    except AttributeError as error:
        # What asyncio of Python 3.12 and 3.13 raises, and redis-py lets pass, when something is
        # written to a connection that is lost.
        raise StoreUnavailable("Redis is unavailable: the connection is lost") from error
    except (exceptions.RedisError, exceptions.RedisClusterException, OSError) as error:
        said = mask(str(error)) or type(error).__name__
        if refusal := _find(error, _REFUSED, _REFUSED_CODES, _REFUSED_WORDS):
            raise StoreError(
                f"Redis refuses user, password or what the user may do: {mask(str(refusal))}"
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
    """It, or what the driver made it of, if that is of some kind, has some code, or says so.

    Out of a script the code stands somewhere in the text; in Redis 6.2 it begins with a dash.
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
    """What the driver takes for a server that is no Cluster, such as a right that is missing."""
    is_guess = isinstance(error, exceptions.RedisClusterException)
    return error.__context__ if is_guess else None
