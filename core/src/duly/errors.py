"""Every error that duly raises on purpose.

    DulyError
    ├── InvalidArgument (ValueError)      a value that can never work
    │   └── InvalidMessage                ... in a message
    ├── DuplicateMessage                  the id is taken
    ├── MessageNotFound (LookupError)     the id is unknown
    ├── WrongState                        it is in another state than the verb needs
    ├── Unsupported                       this store or transport cannot do it
    ├── PartlyScheduled                   some of many were stored, the rest was not
    ├── SchedulerStateError               started twice, used after close, ...
    ├── PluginError
    │   ├── UnknownScheme                 nothing installed serves the URL
    │   └── SchemeConflict                two plugins serve it
    ├── StoreError                        the store refused
    │   └── StoreUnavailable              the store cannot be reached; trying again may help
    ├── TransportError                    this delivery failed; trying again may help
    │   ├── TransportUnavailable          the whole transport is gone
    │   └── Rejected                      this message, never
    ├── Expired                           the message outlived its ``expires_at``
    └── Postpone                          raised by a handler: not now

A driver's own exception never comes through bare: it is the ``__cause__`` of one of these.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from duly._values.retry_after import LATEST, as_pause

__all__ = [
    "DulyError",
    "DuplicateMessage",
    "Expired",
    "InvalidArgument",
    "InvalidMessage",
    "MessageNotFound",
    "PartlyScheduled",
    "PluginError",
    "Postpone",
    "Rejected",
    "SchedulerStateError",
    "SchemeConflict",
    "StoreError",
    "StoreUnavailable",
    "TransportError",
    "TransportUnavailable",
    "UnknownScheme",
    "Unsupported",
    "WrongState",
]

_NO_TIME = timedelta(0)


class DulyError(Exception):
    """Catch this to catch all that duly raises on purpose."""


class InvalidArgument(DulyError, ValueError):
    """An argument that can never work; nothing was stored or changed."""


class InvalidMessage(InvalidArgument):
    """A message that can never be scheduled as it is; nothing was stored."""


class DuplicateMessage(DulyError):
    """A message with this id is stored already (or was given twice in one call)."""


class MessageNotFound(DulyError, LookupError):
    """No message with this id is stored: never scheduled, delivered already, or cancelled."""


class WrongState(DulyError):
    """The message, or the scheduler, is there, but the verb does not apply to its state."""


class Unsupported(DulyError):
    """This store or transport cannot do what was asked, whatever the arguments."""


class PartlyScheduled(DulyError):
    """``schedule_many(atomic=False)`` stored some of its messages and not the others.

    ``stored_ids`` are the ids that are stored, in the order given. ``__cause__`` is the first
    error among the others.
    """

    def __init__(self, message: str, stored_ids: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.stored_ids: tuple[str, ...] = tuple(stored_ids)


class SchedulerStateError(DulyError):
    """A call that the client or scheduler cannot serve in its present state."""


class PluginError(DulyError):
    """A plugin that is missing, broken or at odds with another."""


class UnknownScheme(PluginError):
    """No plugin that could be loaded serves this URL scheme."""


class SchemeConflict(PluginError):
    """Two plugins offer the same URL scheme."""


class StoreError(DulyError):
    """The store refused: wrong credentials, a missing table, a file that is no database."""


class StoreUnavailable(StoreError):
    """The store cannot be reached or did not answer in time; trying again may help."""


class TransportError(DulyError):
    """This delivery failed and may succeed later; it counts as an attempt.

    ``retry_after`` is how long the receiver asked to be left alone, None when it did not say; it
    may be given as a number of seconds.
    """

    def __init__(self, message: str = "", retry_after: timedelta | float | None = None) -> None:
        super().__init__(message)
        self.retry_after = as_pause(retry_after)


class TransportUnavailable(TransportError):
    """The *whole* transport is gone: deliveries pause and no attempt is counted."""


class Rejected(TransportError):
    """The receiver will never take this message as it is; it is buried, not retried."""


class Expired(DulyError):
    """The message was still waiting when its ``expires_at`` passed; it was not published."""


class Postpone(DulyError):
    """Raised by a handler or a transport: not now, but ``after`` that long.

    The message is put back, due that long from then by the store's clock, and nothing counts as
    failed. How often a delivery was postponed stands in :attr:`duly.Envelope.postpone_count`; the
    100 first times are free, from then on it is a failed attempt.

    Raises:
        InvalidArgument: ``after`` is negative, over a century, or no timedelta.
    """

    def __init__(self, after: timedelta) -> None:
        asked = as_pause(after)
        if not isinstance(after, timedelta) or asked is None or not _NO_TIME <= asked <= LATEST:
            raise InvalidArgument(
                "Postpone takes how long to wait, as timedelta(minutes=5): at least 0, at most a "
                f"century, not {after!r}"
            )
        super().__init__(f"not before {asked} from now")
        self.after = timedelta(asked.days, asked.seconds, asked.microseconds)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, also in another process, is made from ``after``: a pool's worker may raise it."""
        return type(self), (self.after,), self.__dict__
