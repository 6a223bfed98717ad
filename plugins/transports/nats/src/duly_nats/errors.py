"""Translates errors of nats-py and answers of servers into duly's errors; the only place."""

import asyncio
import json
from typing import Final

import nats.errors
from nats.aio.msg import Msg

from duly.errors import Rejected, TransportError, TransportUnavailable
from duly.url import mask

__all__ = [
    "NoAnswerError",
    "NoStreamError",
    "StrangerError",
    "at_connecting",
    "at_sending",
    "stored_by",
]

_NO_RESPONDERS: Final = "503"
# JetStream's own numbers for a message that its stream will never take.
_NEVER: Final = {
    10054,  # message size exceeds maximum allowed
    10097,  # header size exceeds maximum allowed of 64k
}
_LOGIN: Final = ("authorization violation", "authentication")


class NoAnswerError(TransportError):
    """Nothing was heard of a message in time."""


class NoStreamError(TransportError):
    """Nobody listens on the subject, neither a stream nor anybody else."""


class StrangerError(TransportError):
    """The answer is not from a stream; that of the stream may still come."""


def at_connecting(error: Exception, place: str) -> TransportError:
    """The error when no connection could be made.

    A refused login is not an outage: somebody has to correct it.
    """
    text = f"{place}: {_text(error)}"
    if isinstance(error, nats.errors.Error) and any(each in text.lower() for each in _LOGIN):
        return TransportError(f"{text}; check the user, token or key file")
    return TransportUnavailable(text)


def at_sending(error: Exception, place: str) -> TransportError:
    """The error when the client library did not take a message."""
    if isinstance(error, nats.errors.MaxPayloadError):
        return Rejected(f"{place}: {_text(error)}")
    if isinstance(error, nats.errors.BadSubjectError | nats.errors.BadHeaderError):
        return TransportError(f"{place}: {_text(error)}")
    return TransportUnavailable(f"{place}: {_text(error)}")


def stored_by(answer: Msg) -> tuple[str, int]:
    """The stream that has stored a message, and the message's number in it.

    Raises:
        NoStreamError: nobody listens.
        StrangerError: it is not the answer of a stream.
        Rejected: its stream never takes such a message.
        TransportError: the stream cannot take it now.
    """
    if answer.headers and answer.headers.get("Status") == _NO_RESPONDERS:
        raise NoStreamError("no stream listens on its subject")
    try:
        told = json.loads(answer.data)
        error = told.get("error")
        if error is None:
            return str(told["stream"]), int(told["seq"])
        text = f"{error.get('description') or 'refused'} ({error.get('err_code', error['code'])})"
    except (ValueError, TypeError, KeyError, AttributeError):
        raise StrangerError("what answered on its subject is no stream") from None
    raise (Rejected if error.get("err_code") in _NEVER else TransportError)(mask(text))


def _text(error: BaseException) -> str:
    if isinstance(error, asyncio.TimeoutError):
        return "no answer in time"
    return mask(str(error).removeprefix("nats: ")) or type(error).__name__
