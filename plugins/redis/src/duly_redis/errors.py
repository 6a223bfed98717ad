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
    except (exceptions.RedisError, exceptions.RedisClusterException, OSError) as error:
        said = mask(str(error)) or type(error).__name__
        if _is(error, _REFUSED, _REFUSED_CODES):
            raise StoreError(
                f"Redis refuses user, password or what the user may do: {said}"
            ) from error
        if "Cluster mode is not enabled" in said:
            raise StoreError("this Redis is no Cluster: its scheme is redis://") from error
        if _is(error, _PASSING, _PASSING_CODES):
            raise StoreUnavailable(f"Redis is unavailable: {said}") from error
        if _is(error, (), ("WRONGTYPE",)):
            raise StoreError(
                f"something else uses keys with this prefix: choose another key_prefix ({said})"
            ) from error
        raise StoreError(f"Redis refuses: {said}") from error


def _is(
    error: BaseException | None, kinds: tuple[type[Exception], ...], codes: tuple[str, ...]
) -> bool:
    """Whether it, or what the driver made it of, is of some kind or has some code of the server.

    Out of a script the code stands somewhere in the text.
    """
    while error is not None:
        if isinstance(error, kinds) or any(code in str(error).split() for code in codes):
            return True
        error = error.__cause__
    return False
