"""What redis-py raises and what servers answer, in duly's words: here and nowhere else."""

import re
from typing import Final

from redis import exceptions

from duly.errors import Rejected, TransportError, TransportUnavailable
from duly.url import mask

__all__ = ["FAILURES", "out_of_reach", "told_by_server", "translated", "translated_at_open"]

# An AttributeError is what asyncio of Python 3.12 and 3.13 raises, and redis-py lets pass, when
# something is written to a connection that is lost.
FAILURES: Final = (
    exceptions.RedisError,
    exceptions.RedisClusterException,
    OSError,
    AttributeError,
)
"""All that a call of redis-py raises when a server is not as it should be."""

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
# How an answer begins that has nothing to do with the message, but with all of the server.
_GONE_WORDS: Final = ("BUSY ", "MISCONF ", "NOREPLICAS ", "Protocol error: unauthenticated ")
# Out of a script Redis 6.2 puts the place in front, and the driver does not know it any more.
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
    """What an error means for a message on its way to that place."""
    text = f"{place}: {_text(error)}"
    if isinstance(error, _GONE) or str(error).startswith(_GONE_WORDS):
        return TransportUnavailable(text)
    if _GONE_IN_SCRIPT.search(str(error).partition(_QUOTED)[0]):
        return TransportUnavailable(text)
    if any(words in str(error) for words in _NEVER):
        return Rejected(text)
    return TransportError(text)


def translated_at_open(error: Exception, place: str) -> TransportError:
    """What an error means while nothing has ever worked: a refusal is no outage then."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, exceptions.AuthenticationError) or _NO_CLUSTER in str(cause):
            return TransportError(f"{place}: {_text(cause)}")
        cause = cause.__cause__
    return translated(error, place)


def out_of_reach(error: object) -> bool:
    """Whether a cluster's client knows of no node that answers, and will not learn of any."""
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
    # What a server says of a command that it does not know quotes the message.
    return mask(str(error).partition(_QUOTED)[0]) or type(error).__name__
