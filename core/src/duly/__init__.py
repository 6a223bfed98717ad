"""Delayed and scheduled message delivery: publish this message at that moment, never lose it."""

from duly import sync as sync
from duly._caller.explaining import Why
from duly._caller.forecasting import Expected, Forecast
from duly._caller.overview import Count, CountKind, Found
from duly._caller.surveying import Finding, Standing
from duly._caller.upcoming import Upcoming
from duly._caller.witnessing import acting, changing
from duly._values.acts import Change, Changing
from duly._values.causes import Cause, Causes, common_text
from duly._values.controls import Control, Limit, Pause
from duly._values.presence import SchedulerInfo
from duly.client import Cancellation, Client
from duly.codec import Codec
from duly.errors import (
    DulyError,
    DuplicateMessage,
    Expired,
    InvalidArgument,
    InvalidMessage,
    MessageNotFound,
    PartlyScheduled,
    PluginError,
    Postpone,
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
from duly.event import Event
from duly.health import Health, Liveness, Status
from duly.hookspecs import Burial, Controlled, Delivery, MissedFires, hookimpl
from duly.local import LocalTransport
from duly.memory import MemoryStore
from duly.message import Filter, Message, Phase, State
from duly.moment import after
from duly.recovery import Backoff, Bury, Discard, Failure, Retry, Verdict
from duly.recurrence import Cron, Every
from duly.scheduler import Scheduler
from duly.store import Ensured, NameStats, Stats, Whereabouts
from duly.transport import Envelope

__all__ = [
    "Backoff",
    "Burial",
    "Bury",
    "Cancellation",
    "Cause",
    "Causes",
    "Change",
    "Changing",
    "Client",
    "Codec",
    "Control",
    "Controlled",
    "Count",
    "CountKind",
    "Cron",
    "Delivery",
    "Discard",
    "DulyError",
    "DuplicateMessage",
    "Ensured",
    "Envelope",
    "Event",
    "Every",
    "Expected",
    "Expired",
    "Failure",
    "Filter",
    "Finding",
    "Forecast",
    "Found",
    "Health",
    "InvalidArgument",
    "InvalidMessage",
    "Limit",
    "Liveness",
    "LocalTransport",
    "MemoryStore",
    "Message",
    "MessageNotFound",
    "MissedFires",
    "NameStats",
    "PartlyScheduled",
    "Pause",
    "Phase",
    "PluginError",
    "Postpone",
    "Rejected",
    "Retry",
    "Scheduler",
    "SchedulerInfo",
    "SchedulerStateError",
    "SchemeConflict",
    "Standing",
    "State",
    "Stats",
    "Status",
    "StoreError",
    "StoreUnavailable",
    "TransportError",
    "TransportUnavailable",
    "UnknownScheme",
    "Unsupported",
    "Upcoming",
    "Verdict",
    "Whereabouts",
    "Why",
    "WrongState",
    "acting",
    "after",
    "changing",
    "common_text",
    "hookimpl",
]
