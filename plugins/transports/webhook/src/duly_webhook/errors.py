"""What aiohttp raises and what receivers answer, in duly's words: here and nowhere else."""

import time
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp

from duly.errors import Rejected, TransportError, TransportUnavailable
from duly.url import mask
from duly_webhook.addresses import PrivateAddressError

__all__ = ["check_answer", "translated"]

_AGAIN: Final = {408, 425, 429}  # Request Timeout, Too Early, Too Many Requests
_LONGEST_PAUSE: Final = timedelta(days=1)  # who asks for more is believed for so long


def check_answer(answer: aiohttp.ClientResponse) -> str:
    """The receipt of an answer that accepts: its status.

    Raises:
        Rejected: 4xx, but for those that mean "later".
        TransportError: anything else, a redirect among it; with the pause that was asked for.
    """
    status = answer.status
    if 200 <= status < 300:
        return str(status)
    text = f"{mask(str(answer.url))} answered {status} {answer.reason or ''}".rstrip()
    if 300 <= status < 400:
        raise TransportError(f"{text}: redirects are not followed; give the place itself")
    if 400 <= status < 500 and status not in _AGAIN:
        raise Rejected(text)
    raise TransportError(text, retry_after=_pause(answer.headers.get("Retry-After")))


def translated(error: Exception, place: str, *, alone: bool) -> TransportError:
    """What a failed request means; ``alone``: this place is all that the transport has."""
    place = mask(place)
    if (private := _private(error)) is not None:
        text = f"{place}: {private}: allow_private lets it pass"
        # The meaning of a name may be mended; one of many places is refused for good.
        return TransportError(text) if alone else Rejected(text)
    text = f"{place}: {mask(str(error)) or type(error).__name__}"
    if isinstance(error, aiohttp.SocketTimeoutError):
        return TransportError(f"{place} does not answer in time")
    if alone and isinstance(error, aiohttp.ClientConnectionError | RuntimeError | OSError):
        return TransportUnavailable(text)
    return TransportError(text)


def _private(error: Exception) -> str | None:
    """What is said of a private address; of several addresses all are told in one text."""
    inner = getattr(error, "os_error", error)
    if isinstance(inner, PrivateAddressError) or "is a private address" in str(inner):
        return str(inner)
    return None


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
