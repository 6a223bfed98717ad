"""Translates errors of redis-py and answers of servers into duly's errors; the only place."""

import re
from typing import Final

from redis import exceptions

from duly.errors import Rejected, TransportError, TransportUnavailable
from duly.url import mask

__all__ = ["FAILURES", "out_of_reach", "told_by_server", "translated", "translated_at_open"]

# asyncio of Python 3.12 and 3.13 raises an AttributeError when something is written to a connection
# that is lost, and redis-py lets it pass.
FAILURES: Final = (
    exceptions.RedisError,
    exceptions.RedisClusterException,
    OSError,
    AttributeError,
)
"""All that a call of redis-py raises when something is wrong with a server."""

_GONE: Final = (
    AttributeError,
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ClusterDownError,
    exceptions.RedisClusterException,  # no node of a cluster answers, or none has the slot
    exceptions.ReadOnlyError,  # a replica: its primary has moved
    exceptions.OutOfMemoryError,
    exceptions.TryAgainError,  # a slot is on its way to another node
    OSError,
)
# The beginnings of answers that concern the whole server and not the message.
_GONE_WORDS: Final = ("BUSY ", "MISCONF ", "NOREPLICAS ", "Protocol error: unauthenticated ")
# In errors of scripts Redis 6.2 puts the place in front, and the driver does not recognise them.
_GONE_IN_SCRIPT: Final = re.compile(
    r"@user_script: ?\d+: -(BUSY|CLUSTERDOWN|LOADING|MASTERDOWN|MISCONF|NOREPLICAS|OOM|READONLY|"
    r"TRYAGAIN) "
)
_NEVER: Final = (
    "too large",  # XADD
    "exceeds maximum allowed size",
    "invalid bulk length",
    "too many results to unpack",  # of Lua, for thousands of headers
)
_QUOTED: Final = ", with args beginning with: "
_NO_CLUSTER: Final = "Cluster mode is not enabled"


def translated(error: Exception, place: str) -> TransportError:
    """The error of duly's for a message on its way to that place."""
    text = f"{place}: {_text(error)}"
    if isinstance(error, _GONE) or str(error).startswith(_GONE_WORDS):
        return TransportUnavailable(text)
    if _GONE_IN_SCRIPT.search(str(error).partition(_QUOTED)[0]):
        return TransportUnavailable(text)
    if any(words in str(error) for words in _NEVER):
        return Rejected(text)
    return TransportError(text)


def translated_at_open(error: Exception, place: str) -> TransportError:
    """The error of duly's while nothing has worked yet: then a refusal is not an outage."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, exceptions.AuthenticationError) or _NO_CLUSTER in str(cause):
            return TransportError(f"{place}: {_text(cause)}")
        cause = cause.__cause__
    return translated(error, place)


def out_of_reach(error: object) -> bool:
    """Whether a cluster's client knows no node that answers, and cannot learn of any."""
    return isinstance(error, exceptions.RedisClusterException) and not isinstance(
        error, exceptions.SlotNotCoveredError
    )


def told_by_server(outcome: object) -> bool:
    """Whether a server has answered that nothing can be sent now; the connection stands."""
    return isinstance(outcome, TransportUnavailable) and isinstance(
        outcome.__cause__, exceptions.ResponseError
    )


def _text(error: BaseException) -> str:
    if isinstance(error, AttributeError):
        return "the connection is lost"
    # A server's answer to an unknown command quotes the message.
    return mask(str(error).partition(_QUOTED)[0]) or type(error).__name__
