"""Delayed and scheduled message delivery: publish this message at that moment, never lose it."""

from duly.errors import (
    DulyError,
    DuplicateMessage,
    Expired,
    InvalidArgument,
    InvalidMessage,
    MessageNotFound,
    PartlyScheduled,
    PluginError,
    Rejected,
    SchedulerStateError,
    SchemeConflict,
    StoreError,
    StoreUnavailable,
    TransportError,
    TransportUnavailable,
    UnknownScheme,
    Unsupported,
    WrongState,
)
from duly.hookspecs import Delivery, hookimpl
from duly.message import Filter, Message, State
from duly.moment import after
from duly.recovery import Backoff, Bury, Discard, Failure, Retry, Verdict
from duly.recurrence import Cron, Every
from duly.store import Stats
from duly.transport import Envelope

__all__ = [
    "Backoff",
    "Bury",
    "Cron",
    "Delivery",
    "Discard",
    "DulyError",
    "DuplicateMessage",
    "Envelope",
    "Every",
    "Expired",
    "Failure",
    "Filter",
    "InvalidArgument",
    "InvalidMessage",
    "Message",
    "MessageNotFound",
    "PartlyScheduled",
    "PluginError",
    "Rejected",
    "Retry",
    "SchedulerStateError",
    "SchemeConflict",
    "State",
    "Stats",
    "StoreError",
    "StoreUnavailable",
    "TransportError",
    "TransportUnavailable",
    "UnknownScheme",
    "Unsupported",
    "Verdict",
    "WrongState",
    "after",
    "hookimpl",
]
