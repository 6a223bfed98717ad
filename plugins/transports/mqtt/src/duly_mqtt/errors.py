"""Translates answers of brokers into duly's errors; the only place that does.

https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html, section 2.4
"""

from typing import Final

from duly.errors import Rejected, TransportError, TransportUnavailable
from duly.url import mask
from duly_mqtt.answers import Answer

__all__ = ["UNMATCHED", "UNSUPPORTED_VERSION", "away", "refusal", "told", "verdict"]

UNMATCHED: Final = 0x10
UNSUPPORTED_VERSION: Final = 0x84
_NOT_AUTHORIZED: Final = 0x87
_TOPIC_INVALID: Final = 0x90
_TOO_LARGE: Final = 0x95
_FORMAT_INVALID: Final = 0x99
_FAILURES: Final = 0x80  # and all above

_NEVER: Final = {_NOT_AUTHORIZED, _TOPIC_INVALID, _TOO_LARGE, _FORMAT_INVALID}
# Answers to CONNECT that are about the broker's state, not about our request.
_LATER: Final = {0x80, 0x83, 0x88, 0x89, 0x97, 0x9C, 0x9F}
_WORDS: Final = {
    0x10: "nobody subscribes to it",
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "an error of this broker's own kind",
    0x84: "unsupported protocol version",
    0x85: "client id not valid",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8A: "banned",
    0x8B: "server shutting down",
    0x8C: "bad authentication method",
    0x8D: "keep alive timeout",
    0x8E: "another client took the client id: each needs its own",
    0x90: "topic name invalid",
    0x91: "packet id in use",
    0x92: "packet id not found",
    0x93: "receive maximum exceeded",
    0x95: "packet too large",
    0x96: "message rate too high",
    0x97: "quota exceeded",
    0x98: "administrative action",
    0x99: "payload format invalid",
    0x9A: "retain not supported",
    0x9B: "QoS not supported",
    0x9C: "use another server",
    0x9D: "server moved",
    0x9F: "connection rate exceeded",
    0xA0: "maximum connect time",
}


def told(answer: Answer) -> str:
    """A reason code in words, with what the broker adds to it."""
    words = _WORDS.get(answer.code, "reason code")
    text = f": {mask(answer.text)}" if answer.text else ""
    return f"{words} ({answer.code:#04x}){text}"


def verdict(answer: Answer, topic: str, *, must_match: bool) -> TransportError | None:
    """What an acknowledgement means for its message; None: it is accepted.

    ``must_match``: a message that the broker had nobody to send to is a failed attempt.
    """
    if answer.code < _FAILURES and not (must_match and answer.code == UNMATCHED):
        return None
    text = f"{topic}: {told(answer)}"
    return Rejected(text) if answer.code in _NEVER else TransportError(text)


def refusal(answer: Answer, place: str) -> TransportError:
    """The error when a broker refuses a connection."""
    text = f"{place} refuses the connection: {told(answer)}"
    return TransportUnavailable(text) if answer.code in _LATER else TransportError(text)


def away(error: BaseException, place: str) -> TransportUnavailable:
    """The error when no connection could be made."""
    reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
    return TransportUnavailable(f"{place}: {mask(reason) or type(error).__name__}")
