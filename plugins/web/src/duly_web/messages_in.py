"""A message as it is sent to us, and what becomes of it."""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec

from duly import Cron, Every, InvalidArgument, Message
from duly.recurrence import Recurrence
from duly_web.problems import Problem
from duly_web.times import DURATION, Moment, as_duration, as_moment

__all__ = [
    "CronIn",
    "EveryIn",
    "Many",
    "Move",
    "NewMessage",
    "NewSeries",
    "message_of",
    "moment_in",
]

Duration = Annotated[
    str,
    msgspec.Meta(
        max_length=64,
        examples=["10m", "1h30m", "PT10M", "PT1H30M"],
        extra_json_schema={"pattern": DURATION},
    ),
]
"""A length of time, as :func:`duly_web.times.as_duration` reads it."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Missed = Literal["once", "all", "skip"]

_CONTENT_TYPE: Final = "content-type"


class _RuleIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What both kinds of recurrence take."""

    until: Moment | None = None
    max_occurrences: _Count | None = None
    missed: Missed = "once"
    grace: Duration | None = None
    grace_seconds: _Seconds | None = None
    jitter: Duration | None = None
    jitter_seconds: _Seconds | None = None


class CronIn(_RuleIn, frozen=True, kw_only=True, tag_field="type", tag="cron"):
    """Whenever the clock of a time zone matches an expression of five or six fields."""

    expression: str
    timezone: str = "UTC"
    interval_seconds: None = None
    anchor: None = None


class EveryIn(_RuleIn, frozen=True, kw_only=True, tag_field="type", tag="every"):
    """Again and again, so long apart: ``interval`` or ``interval_seconds``."""

    interval: Duration | None = None
    interval_seconds: _Seconds | None = None
    anchor: Moment | None = None
    expression: None = None
    timezone: None = None


class NewSeries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A series to see to, under the id in the path."""

    event_name: Name
    recurrence: CronIn | EveryIn
    payload: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    payload_text: str | None = None
    payload_base64: str | None = None
    content_type: Name | None = None
    metadata: dict[str, str] | None = None


class NewMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message to schedule: due at ``scheduled_at``, after ``delay``, or by a ``recurrence``.

    ``payload`` is any JSON, kept as the very bytes that were sent; ``payload_text`` and
    ``payload_base64`` are for what is no JSON.
    """

    event_name: Name
    id: Name | None = None
    scheduled_at: Moment | None = None
    delay: Duration | None = None
    recurrence: CronIn | EveryIn | None = None
    payload: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    payload_text: str | None = None
    payload_base64: str | None = None
    content_type: Name | None = None
    metadata: dict[str, str] | None = None
    expires_at: Moment | None = None
    replace: bool = False


class Many(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Messages to schedule, up to 10,000; ``atomic``: all or none."""

    messages: list[msgspec.Raw]
    atomic: bool = True


class Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When it is to be due: ``scheduled_at``, or so long from now."""

    scheduled_at: Moment | None = None
    delay: Duration | None = None


def moment_in(said: Any) -> datetime | None:
    """What ``scheduled_at`` or ``delay`` says; None for neither.

    Raises:
        Problem: both, or one that tells no moment.
    """
    if said.delay is None:
        return None if said.scheduled_at is None else as_moment(said.scheduled_at, "/scheduled_at")
    if said.scheduled_at is not None:
        raise _wrong("/delay", "scheduled_at and delay both say when: give one of them")
    try:
        return datetime.now(UTC) + as_duration(said.delay, "/delay")
    except OverflowError:
        raise _wrong("/delay", f"{said.delay!r} is beyond what a date can hold") from None


def message_of(said: NewMessage | NewSeries, id: str | None) -> Message:
    """The message that was sent.

    Raises:
        Problem: it can never be scheduled; the pointer says which part.
    """
    more: dict[str, Any] = {}
    if isinstance(said, NewMessage):
        at = moment_in(said)
        if at is not None:
            more["scheduled_at"] = at
        if said.delay is not None and said.recurrence is not None:
            raise _wrong("/delay", "a recurrence says when: give scheduled_at for its first moment")
        if at is None and said.recurrence is None:
            raise Problem(
                422, "InvalidMessage", "say when: scheduled_at, delay or recurrence",
                pointer="/scheduled_at",
            )  # fmt: skip
        if said.expires_at is not None:
            more["expires_at"] = as_moment(said.expires_at, "/expires_at")
    rule = None if said.recurrence is None else _rule(said.recurrence)
    payload, kind = _payload(said)
    metadata = dict(said.metadata or {})
    own = next((key for key in metadata if key.lower() == _CONTENT_TYPE), None)
    if said.content_type is not None and own is not None:
        raise _wrong("/content_type", f"the metadata has {own} too: give one of them")
    if own is None and (said.content_type or kind) is not None:
        metadata[_CONTENT_TYPE] = said.content_type or kind or ""
    try:
        return Message(said.event_name, payload, id=id, metadata=metadata, recurrence=rule, **more)
    except InvalidArgument as error:
        raise Problem(
            422, type(error).__name__, str(error), pointer=pointer_of(error, said)
        ) from None


def pointer_of(error: Exception, said: msgspec.Struct, under: str = "") -> str:
    """Of which field an error of ours speaks: its text begins with the name."""
    text = str(error).replace("the event name", "event_name")
    words = [(text.find(name), -len(name), name) for name in type(said).__struct_fields__]
    found = sorted(each for each in words if 0 <= each[0] < 40)
    return f"{under}/{found[0][2]}" if found else under


def _payload(said: NewMessage | NewSeries) -> tuple[bytes, str | None]:
    """The bytes, and of which type they are if nobody says."""
    raw = bytes(said.payload)
    given = [
        *(["payload"] if raw else []),
        *(["payload_text"] if said.payload_text is not None else []),
        *(["payload_base64"] if said.payload_base64 is not None else []),
    ]
    if len(given) > 1:
        raise _wrong(f"/{given[1]}", f"{' and '.join(given)} both say what it holds: give one")
    if said.payload_text is not None:
        return said.payload_text.encode(), "text/plain; charset=utf-8"
    if said.payload_base64 is not None:
        try:
            return base64.b64decode(said.payload_base64, validate=True), None
        except (binascii.Error, ValueError) as error:
            raise _wrong("/payload_base64", f"it is no base64: {error}") from None
    return raw, "application/json" if raw else None


def _rule(said: CronIn | EveryIn) -> Recurrence:
    under = "/recurrence"
    bounds: dict[str, Any] = {"missed": said.missed, "max_occurrences": said.max_occurrences}
    if said.until is not None:
        bounds["until"] = as_moment(said.until, f"{under}/until")
    for name in ("grace", "jitter"):
        length = _length(said, name)
        if length is not None:
            bounds[name] = length
    try:
        if isinstance(said, CronIn):
            return Cron(said.expression, timezone=said.timezone, **bounds)
        interval = _length(said, "interval")
        if interval is None:
            raise _wrong(f"{under}/interval", "say how long apart: interval, as 15m")
        if said.anchor is not None:
            bounds["anchor"] = as_moment(said.anchor, f"{under}/anchor")
        return Every(interval, **bounds)
    except InvalidArgument as error:
        pointer = pointer_of(error, said, under)
        if pointer == under and isinstance(said, CronIn):
            zone = "zone" in str(error)
            pointer = f"{under}/{'timezone' if zone else 'expression'}"
        raise Problem(422, "InvalidArgument", str(error), pointer=pointer) from None


def _length(said: CronIn | EveryIn, name: str) -> timedelta | None:
    text = getattr(said, name)
    number: float | None = getattr(said, f"{name}_seconds")
    pointer = f"/recurrence/{name}"
    if text is not None and number is not None:
        raise _wrong(pointer, f"{name} and {name}_seconds both say it: give one of them")
    if text is not None:
        return as_duration(text, pointer)
    try:
        return None if number is None else timedelta(seconds=number)
    except OverflowError:
        raise _wrong(f"{pointer}_seconds", f"{number} s is over a century") from None


def _wrong(pointer: str, detail: str) -> Problem:
    return Problem(422, "InvalidArgument", detail, pointer=pointer)
