"""What aio-pika raises, in duly's words: here and nowhere else."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from aio_pika.exceptions import (
    CONNECTION_EXCEPTIONS,
    AMQPChannelError,
    AuthenticationError,
    ChannelClosed,
    DeliveryError,
    ProbableAuthenticationError,
    PublishError,
)

from duly.errors import Rejected, TransportError, TransportUnavailable
from duly.url import mask

__all__ = ["DRIVER_ERRORS", "limit_told_by", "translating"]

DRIVER_ERRORS: Final = CONNECTION_EXCEPTIONS
"""All that it may raise; OSError, and so TimeoutError, is among it."""

_CLOSED: Final = "Expected one of ['Connection.OpenOk'], got"
_NO_HOST: Final = "the virtual host, the path of the URL, is not there or not for this user"
_TOO_LARGE: Final = re.compile(r"message size \d+ is larger than configured max size (\d+)")


@contextmanager
def translating(place: str) -> Iterator[None]:
    """Raise what it means in place of what the driver raises; ``place`` is named in the text.

    Raises:
        TransportError: see below.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # Nobody cancelled us: that is how the driver ends what waits on a lost connection.
        raise TransportUnavailable(f"{place}: the connection is lost") from error
    except DRIVER_ERRORS as error:
        raise _translated(error, place) from error


def _translated(error: Exception, place: str) -> TransportError:
    """What an error of the driver means.

    Rejected: no queue takes the message. TransportError: the broker is there, but did not take it
    or has closed the channel. TransportUnavailable: anything else, for the connection is lost.
    """
    match error:
        case PublishError():
            return Rejected(f"{place}: no queue takes it: {error}")
        case DeliveryError():
            return TransportError(f"{place}: the broker refused it; a queue may be full")
        case AMQPChannelError():
            return TransportError(f"{place}: the broker closed the channel: {_text(error)}")
        case AuthenticationError() | ProbableAuthenticationError():
            return TransportUnavailable(f"{place} lets us not in: {_text(error)}")
        case TimeoutError():
            return TransportUnavailable(f"{place} does not answer in time")
    return TransportUnavailable(f"{place}: {_NO_HOST if _CLOSED in str(error) else _text(error)}")


def limit_told_by(error: ChannelClosed) -> int | None:
    """The largest payload, in bytes, that the broker told when it refused a larger one."""
    found = _TOO_LARGE.search(str(error))
    return None if found is None else int(found[1])


def _text(error: Exception) -> str:
    return mask(str(error)) or type(error).__name__
