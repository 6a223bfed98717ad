"""Translates errors of aiohttp and answers of receivers into duly's errors; the only place."""

import time
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp

from duly.errors import Rejected, TransportError, TransportUnavailable
from duly.url import mask
from duly_webhook.addresses import IS_METADATA, IS_PRIVATE
from duly_webhook.listening import UnreadableAnswerError

__all__ = ["check_answer", "translated"]

_AGAIN: Final = {408, 425, 429}  # Request Timeout, Too Early, Too Many Requests
_LONGEST_PAUSE: Final = timedelta(days=1)  # a receiver that asks for more gets this


def check_answer(answer: aiohttp.ClientResponse | UnreadableAnswerError, place: str) -> str:
    """The receipt of an answer that accepts: its status, whatever else it holds.

    Raises:
        Rejected: 4xx, except those that mean "later".
        TransportError: anything else, redirects included; with the pause that was asked for.
    """
    status = answer.status
    if 200 <= status < 300:
        return str(status)
    reason, pause = "", None
    if isinstance(answer, aiohttp.ClientResponse):
        reason, pause = answer.reason or "", answer.headers.get("Retry-After")
    text = f"{mask(place)} answered {status} {reason}".rstrip()
    if 300 <= status < 400:
        raise TransportError(f"{text}: redirects are not followed; give the final URL")
    if 400 <= status < 500 and status not in _AGAIN:
        raise Rejected(text)
    raise TransportError(text, retry_after=_pause(pause))


def translated(error: Exception, place: str, *, alone: bool) -> TransportError:
    """The error for a failed request; ``alone``: this place is all that the transport has."""
    place = mask(place)
    if (refusal := _refusal(error)) is not None:
        text = f"{place}: {refusal}"
        # A DNS entry may be corrected; one of many places is refused for good.
        return TransportError(text) if alone else Rejected(text)
    text = f"{place}: {mask(str(error)) or type(error).__name__}"
    if isinstance(error, aiohttp.SocketTimeoutError):
        return TransportError(f"{place} does not answer in time")
    if alone and isinstance(error, aiohttp.ClientConnectionError | RuntimeError | OSError):
        return TransportUnavailable(text)
    return TransportError(text)


def _refusal(error: Exception) -> str | None:
    """The text about a refused address; if there are several, all are in one text."""
    said = str(getattr(error, "os_error", error))
    if IS_METADATA in said:
        return said
    return f"{said}: allow_private lets it pass" if IS_PRIVATE in said else None


def _pause(text: str | None) -> timedelta | None:
    """A Retry-After, which is a number of seconds or a date (RFC 9110, section 10.2.3)."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        seconds = float(text[:18])
    else:
        try:
            moment: datetime = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        seconds = max(0.0, moment.timestamp() - time.time())
    return min(timedelta(seconds=min(seconds, 1e9)), _LONGEST_PAUSE)
