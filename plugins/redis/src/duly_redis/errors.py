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


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """To be put around all that is asked of Redis.

    Raises:
        StoreUnavailable: for what trying again may cure.
        StoreError: for everything else that Redis or its driver raises.
    """
    try:
        yield
    except (exceptions.RedisError, OSError) as error:
        said = mask(str(error)) or type(error).__name__
        if isinstance(error, _REFUSED) or _says(error, _REFUSED_CODES):
            raise StoreError(
                f"Redis refuses user, password or what the user may do: {said}"
            ) from error
        if isinstance(error, _PASSING) or _says(error, _PASSING_CODES):
            raise StoreUnavailable(f"Redis is unavailable: {said}") from error
        if _says(error, ("WRONGTYPE",)):
            raise StoreError(
                f"something else uses keys with this prefix: choose another key_prefix ({said})"
            ) from error
        raise StoreError(f"Redis refuses: {said}") from error


def _says(error: Exception, codes: tuple[str, ...]) -> bool:
    """Whether the server gave one of these codes, perhaps out of a script."""
    words = str(error).split()
    return any(code in words for code in codes)
