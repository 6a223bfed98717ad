"""Translates aio-pika's errors into duly's; the only place that does."""

import asyncio
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from aio_pika.exceptions import (
    CONNECTION_EXCEPTIONS,
    AMQPChannelError,
    AuthenticationError,
    ChannelClosed,
    DeliveryError,
    InvalidFrameError,
    ProbableAuthenticationError,
    PublishError,
)

from duly.errors import DulyError, Rejected, TransportError, TransportUnavailable
from duly.url import mask

__all__ = ["RefusedError", "is_refusal", "limit_told_by", "translating"]

_NO_HOST: Final = "the virtual host, the path of the URL, is not there or not for this user"
_LOGIN: Final = "check the user and the password, or the certificate"
_NOT_ALLOWED: Final = 530  # the code for a virtual host that does not exist, and for a limit
_LIMIT: Final = "is reached"
_TOO_LARGE: Final = re.compile(r"message size \d+ is larger than configured max size (\d+)")


class RefusedError(TransportUnavailable):
    """The broker is there, but refuses us: an outage if it has accepted us before."""


@contextmanager
def translating(
    place: str, *, unknown: type[TransportError] = TransportUnavailable
) -> Iterator[None]:
    """Raise an error of duly's in place of the driver's; ``place`` is named in the text.

    ``unknown`` is raised for errors that are not of the driver's own kinds: in connecting they mean
    that nobody is there, in publishing the message may be at fault.

    Raises:
        TransportError: see below.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # Nobody cancelled us: in this way the driver ends what waits on a lost connection.
        raise TransportUnavailable(f"{place}: the connection is lost") from error
    except DulyError:
        raise
    except CONNECTION_EXCEPTIONS as error:
        raise _translated(error, place) from error
    except Exception as error:
        # With a bare one the driver ends all that waits when a connection ends after a frame.
        kind = TransportUnavailable if type(error) is Exception else unknown
        raise kind(f"{place}: {_text(error)}") from error


def _translated(error: Exception, place: str) -> TransportError:
    """The error of duly's for an error of the driver.

    Rejected: no queue takes the message. TransportError: the broker is there, but did not take it
    or has closed the channel. RefusedError: it refuses us. TransportUnavailable: anything else,
    since the connection is lost.
    """
    match error:
        case PublishError():
            return Rejected(f"{place}: no queue takes it: {error}")
        case DeliveryError():
            return TransportError(f"{place}: the broker refused it; a queue may be full")
        case AMQPChannelError():
            return TransportError(f"{place}: the broker closed the channel: {_text(error)}")
        case AuthenticationError() | ProbableAuthenticationError():
            return RefusedError(f"{place} refuses the connection: {_text(error)}; {_LOGIN}")
        case TimeoutError():
            return TransportUnavailable(f"{place} does not answer in time")
    return _ended(error, place)


def _ended(error: Exception, place: str) -> TransportUnavailable:
    farewell = _farewell(error)
    if farewell is None:
        return TransportUnavailable(f"{place}: {_text(error)}")
    if is_refusal(error):
        return RefusedError(f"{place}: {_NO_HOST}: {farewell[1]}")
    return TransportUnavailable(f"{place}: {farewell[1]}")


def is_refusal(error: BaseException) -> bool:
    """Whether a broker refused us, which waiting does not cure."""
    if isinstance(error, AuthenticationError | ProbableAuthenticationError):
        return True
    farewell = _farewell(error)
    return farewell is not None and farewell[0] == _NOT_ALLOWED and _LIMIT not in farewell[1]


def _farewell(error: BaseException) -> tuple[int, str] | None:
    """The code and the text with which a broker ended a connection while it was being made.

    The driver does not show them: its error only says that it got an unexpected frame, which can
    be found only in the traceback.
    """
    if not isinstance(error, InvalidFrameError):
        return None
    for place, _ in traceback.walk_tb(error.__traceback__):
        frame: Any = place.f_locals.get("frame")
        if getattr(frame, "name", None) == "Connection.Close":
            return frame.reply_code, mask(frame.reply_text)
    return None


def limit_told_by(error: ChannelClosed) -> int | None:
    """The largest payload, in bytes, as the broker told it when it refused a larger one."""
    found = _TOO_LARGE.search(str(error))
    return None if found is None else int(found[1])


def _text(error: Exception) -> str:
    if type(error) is Exception and not error.args:
        return "the connection is lost"
    return mask(str(error)) or type(error).__name__
