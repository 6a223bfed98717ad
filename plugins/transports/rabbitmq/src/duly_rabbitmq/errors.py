"""What aio-pika raises, in duly's words: here and nowhere else."""

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
_LOGIN: Final = "look after the user and the password, or the certificate"
_NOT_ALLOWED: Final = 530  # the code for a virtual host that does not exist, and for a limit
_LIMIT: Final = "is reached"
_TOO_LARGE: Final = re.compile(r"message size \d+ is larger than configured max size (\d+)")


class RefusedError(TransportUnavailable):
    """The broker is there, but lets us not in: an outage for who had been let in before."""


@contextmanager
def translating(
    place: str, *, unknown: type[TransportError] = TransportUnavailable
) -> Iterator[None]:
    """Raise what it means in place of what the driver raises; ``place`` is named in the text.

    ``unknown`` stands for errors that are not of the driver's own kinds: in connecting they mean
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
        # Nobody cancelled us: that is how the driver ends what waits on a lost connection.
        raise TransportUnavailable(f"{place}: the connection is lost") from error
    except DulyError:
        raise
    except CONNECTION_EXCEPTIONS as error:
        raise _translated(error, place) from error
    except Exception as error:
        # With a bare one the driver ends all that waits when a connection ends behind a frame.
        kind = TransportUnavailable if type(error) is Exception else unknown
        raise kind(f"{place}: {_text(error)}") from error


def _translated(error: Exception, place: str) -> TransportError:
    """What an error of the driver means.

    Rejected: no queue takes the message. TransportError: the broker is there, but did not take it
    or has closed the channel. RefusedError: it lets us not in. TransportUnavailable: anything
    else, for the connection is lost.
    """
    match error:
        case PublishError():
            return Rejected(f"{place}: no queue takes it: {error}")
        case DeliveryError():
            return TransportError(f"{place}: the broker refused it; a queue may be full")
        case AMQPChannelError():
            return TransportError(f"{place}: the broker closed the channel: {_text(error)}")
        case AuthenticationError() | ProbableAuthenticationError():
            return RefusedError(f"{place} lets us not in: {_text(error)}; {_LOGIN}")
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
    """Whether a broker let us not in, which waiting does not mend."""
    if isinstance(error, AuthenticationError | ProbableAuthenticationError):
        return True
    farewell = _farewell(error)
    return farewell is not None and farewell[0] == _NOT_ALLOWED and _LIMIT not in farewell[1]


def _farewell(error: BaseException) -> tuple[int, str] | None:
    """The code and the text with which a broker ended a connection before it stood.

    The driver keeps them to itself: its error says that it got another frame than it expected,
    which is only to be found where it raised.
    """
    if not isinstance(error, InvalidFrameError):
        return None
    for place, _ in traceback.walk_tb(error.__traceback__):
        frame: Any = place.f_locals.get("frame")
        if getattr(frame, "name", None) == "Connection.Close":
            return frame.reply_code, mask(frame.reply_text)
    return None


def limit_told_by(error: ChannelClosed) -> int | None:
    """The largest payload, in bytes, that the broker told when it refused a larger one."""
    found = _TOO_LARGE.search(str(error))
    return None if found is None else int(found[1])


def _text(error: Exception) -> str:
    if type(error) is Exception and not error.args:
        return "the connection is lost"
    return mask(str(error)) or type(error).__name__
