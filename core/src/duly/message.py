"""The message: payload bytes, an event name, metadata and the moment it is due."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final

import attrs

from duly._values.copying import Copyable
from duly._values.filters import Filter
from duly._values.message import (
    UNREADABLE,
    as_created_at,
    as_event_name,
    as_expires_at,
    as_id,
    as_payload,
    as_recurrence,
    as_scheduled_at,
    new_id,
)
from duly._values.spoken import exact
from duly._values.states import Phase, State
from duly._values.texts import METADATA_LIMIT, as_metadata
from duly.errors import InvalidMessage
from duly.moment import from_microseconds, to_microseconds
from duly.recurrence import Recurrence

__all__ = [
    "METADATA_LIMIT",
    "MOMENTS",
    "UNREADABLE",
    "UNTOUCHED",
    "Filter",
    "Message",
    "Phase",
    "State",
    "begun",
    "first_due",
    "new_id",
    "restore",
    "with_changes",
    "without_payload",
]

_NO_MOMENT: Final = (
    "scheduled_at is missing: give a moment, as duly.after(hours=1), or a recurrence"
)
MOMENTS: Final = ("scheduled_at", "created_at", "next_attempt_at")
"""The moments that every message has."""

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_SELDOM: Final[Mapping[str, Any]] = MappingProxyType(
    {"postpone_count": 0, "died_at": None, "error_class": None, "_put_back": False}
)
_set = object.__setattr__


UNTOUCHED: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "state": State.SCHEDULED,
        "retry_count": 0,
        "occurrence_count": 0,
        "last_error": None,
        **_SELDOM,
    }
)
"""What duly manages, as it is while a message waits for its first attempt."""


@attrs.frozen(slots=False)  # restore() hands over a whole __dict__, five times as fast as slots
class Message(Copyable):
    """What is to be published, and when. One object stands for one scheduling.

    What tells one from the next under the same ``id`` is ``created_at``: a copy that is to be
    scheduled anew needs another, as ``attrs.evolve(message, created_at=None)`` gives it.

    ``scheduled_at`` is required unless there is a recurrence. ``id`` (1 to 255 characters, as
    ``event_name``) becomes a UUID version 7 and ``created_at`` now when left out. What is still
    waiting at ``expires_at``, later than ``scheduled_at``, is not published. Moments are aware
    datetimes, kept in UTC with microseconds. Payload and metadata never appear in logs.

    Managed by duly, read-only: ``retry_count`` and ``occurrence_count`` start at 0,
    ``next_attempt_at`` equals ``scheduled_at``, or in a series with ``jitter`` is that much later,
    until a retry moves it; ``last_error`` is the text of the last failure. ``postpone_count`` says
    how often this delivery was put off by :class:`duly.Postpone`. A dead letter has the moment
    ``died_at`` by the store's clock, and the name of the class of its last error as
    ``error_class``; both are None where nobody took note of them.

    Raises:
        InvalidMessage: a wrong type, a naive datetime, a name too long or with control characters,
            metadata beyond 64 KiB, a recurrence that can never fire, an end before it is due.
    """

    event_name: str = attrs.field(converter=as_event_name)
    payload: bytes = attrs.field(default=b"", converter=as_payload, repr=False)
    scheduled_at: datetime = attrs.field(default=None, converter=as_scheduled_at, kw_only=True)
    id: str = attrs.field(default=None, converter=as_id, kw_only=True)
    metadata: Mapping[str, str] = attrs.field(
        default=_NOTHING, converter=as_metadata, kw_only=True, repr=False, hash=False
    )
    recurrence: Recurrence | None = attrs.field(default=None, converter=as_recurrence, kw_only=True)
    expires_at: datetime | None = attrs.field(default=None, converter=as_expires_at, kw_only=True)
    created_at: datetime = attrs.field(default=None, converter=as_created_at, kw_only=True)
    retry_count: int = attrs.field(default=0, init=False)
    occurrence_count: int = attrs.field(default=0, init=False)
    state: State = attrs.field(default=State.SCHEDULED, init=False)
    next_attempt_at: datetime = attrs.field(default=None, init=False)
    last_error: str | None = attrs.field(default=None, init=False)
    postpone_count: int = attrs.field(default=0, init=False)
    died_at: datetime | None = attrs.field(default=None, init=False, eq=False)
    error_class: str | None = attrs.field(default=None, init=False)
    trace_context: Mapping[str, str] = attrs.field(
        default=_NOTHING, init=False, repr=False, hash=False
    )
    _delivery_id: str | None = attrs.field(default=None, init=False, repr=False)
    _given_at: datetime | None = attrs.field(default=None, init=False, repr=False)
    _put_back: bool = attrs.field(default=False, init=False, repr=False)
    _last_attempt: ClassVar[str | None] = None  # of few: the W3C context of a traced attempt

    if not TYPE_CHECKING:  # who misspells an attribute is to be told by the type checker

        def __getattr__(self, name: str) -> Any:
            """What :func:`restore` was not given: one of the :data:`MOMENTS`, or what few have."""
            if name in _SELDOM:
                return _SELDOM[name]
            if name == "payload" and "id" in self.__dict__:
                raise InvalidMessage(
                    f"message {self.id!r} was listed without its payload: get({self.id!r}) of a "
                    "client brings all of it"
                )
            if name not in MOMENTS or "_moments" not in self.__dict__:
                text = f"{type(self).__name__!r} object has no attribute {name!r}"
                raise AttributeError(text, name=name, obj=self)
            number = self.__dict__["_moments"][MOMENTS.index(name)]
            moment = self.__dict__[name] = from_microseconds(number)
            return moment

    def __attrs_post_init__(self) -> None:
        scheduled_at: datetime | None = self.scheduled_at
        if self.recurrence is not None:
            if self.expires_at is not None:
                raise InvalidMessage("expires_at cannot go with a recurrence: use until instead")
            recurrence = self.recurrence
            _set(self, "_given_fire", scheduled_at is not None)
            if scheduled_at is None:  # what ended since it was written down is seen when scheduled
                recurrence = attrs.evolve(recurrence, until=None)
            scheduled_at = recurrence.first(scheduled_at, self.created_at)
            if scheduled_at is None:
                raise InvalidMessage(f"{self.recurrence!r} can never fire")
        elif scheduled_at is None:
            raise InvalidMessage(_NO_MOMENT)
        elif self.expires_at is not None and self.expires_at <= scheduled_at:
            raise InvalidMessage(
                f"expires_at must be later than scheduled_at, {exact(scheduled_at)}"
            )
        _set(self, "scheduled_at", scheduled_at)
        if self.recurrence is None or not self.recurrence.jitter:
            _set(self, "next_attempt_at", scheduled_at)
        else:
            _set(self, "next_attempt_at", self.recurrence.due(self.id, scheduled_at))

    @property
    def delivery_id(self) -> str:
        """The name of what is delivered, the same on every attempt to deliver it.

        ``<id>:<created_at>:<fire>``, both in microseconds since 1970: the fire is the moment of
        this occurrence in a series, 0 without a recurrence. Another for every new message under
        the same id and for every fire, so that brokers and consumers may deduplicate on it, also
        when a store was restored to an earlier state. A message without a recurrence keeps it
        when it is moved or replayed, a buried occurrence when it is replayed.
        """
        if self._delivery_id is not None:
            return self._delivery_id
        if "created_at" in self.__dict__:
            created_at = to_microseconds(self.created_at)
        else:
            created_at = self.__dict__["_moments"][MOMENTS.index("created_at")]
        if self.recurrence is None:
            return f"{self.id}:{created_at}:0"
        if "scheduled_at" in self.__dict__:
            fire = to_microseconds(self.scheduled_at)
        else:
            fire = self.__dict__["_moments"][MOMENTS.index("scheduled_at")]
        return f"{self.id}:{created_at}:{fire}"


def restore(fields: dict[str, Any]) -> Message:
    """A message from the values of all its fields by name, unchecked: a store's way to load.

    Instead of the :data:`MOMENTS` it may have ``_moments``, their microseconds since 1970 in that
    order: few are ever asked for, and each costs as much as all else. ``postpone_count``,
    ``died_at``, ``error_class`` and ``_put_back`` may be left out. Takes the dictionary over.
    """
    message = Message.__new__(Message)
    _set(message, "__dict__", fields)
    return message


def with_changes(message: Message, **changes: Any) -> Message:
    """A copy with some fields changed, those managed by duly included; unchecked."""
    return restore({**message.__dict__, **changes})


def first_due(message: Message) -> datetime:
    """When a message was due at first: ``scheduled_at``, and in a series what jitter adds to it."""
    at, recurrence = message.scheduled_at, message.recurrence
    return at if recurrence is None else recurrence.due(message.id, at)


def begun(message: Message) -> bool:
    """Whether this fire of a series was retried, put back or moved to here before.

    It has a ``next_attempt_at`` of its own then, at least a microsecond behind the fire. With
    jitter every fire has one, and a mark tells.
    """
    if message.retry_count:
        return True
    if message.recurrence is not None and message.recurrence.jitter:
        return message._put_back  # noqa: SLF001  # a mark that only duly knows
    return message.next_attempt_at != message.scheduled_at


def without_payload(message: Message) -> Message:
    """A copy that has no payload: reading it raises InvalidMessage."""
    fields = message.__dict__.copy()
    fields.pop("payload", None)
    return restore(fields)
