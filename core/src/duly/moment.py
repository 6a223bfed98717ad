"""Moments and durations: aware datetimes outside, whole microseconds since 1970 inside stores."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Never

from duly._values.plain import shown
from duly.errors import InvalidArgument

__all__ = [
    "FIRST",
    "LAST",
    "after",
    "as_duration",
    "as_moment",
    "by_keyword",
    "from_microseconds",
    "to_microseconds",
]

FIRST: Final = -62_135_596_800_000_000
"""The first moment of the year 1, in microseconds since 1970-01-01 UTC."""
LAST: Final = 253_402_300_799_999_999
"""The last one of the year 9999."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CENTURY: Final = timedelta(days=36_525)  # added to a moment of our days it stays in the calendar


def after(*unnamed: Never, **timedelta_arguments: float) -> datetime:
    """The moment that long from now by this host's clock, in UTC: ``duly.after(hours=1)``.

    What is due is decided by the store's clock; a host whose clock is off schedules that much
    off. Takes the keywords of :class:`datetime.timedelta`.

    Raises:
        InvalidArgument: an unknown keyword, or none, or a moment beyond the years 1 to 9999.
    """
    if unnamed:
        raise InvalidArgument(f"after({shown(unnamed[0])}): {by_keyword('duly.after', unnamed[0])}")
    try:
        return datetime.now(UTC) + timedelta(**timedelta_arguments)
    except TypeError as error:
        raise InvalidArgument(
            f"after({_shown(timedelta_arguments)}): it takes numbers of weeks, days, hours, "
            "minutes, seconds, milliseconds and microseconds"
        ) from error
    except Exception as error:  # whatever arithmetic with what was given raises
        raise InvalidArgument(f"after({_shown(timedelta_arguments)}): {shown(error)}") from error


def as_moment(value: object, name: str, error: type[InvalidArgument] = InvalidArgument) -> datetime:
    """The same moment in UTC, for checking an argument called ``name``.

    One of a subclass, as pendulum's and pandas', becomes a plain datetime; what is finer than a
    microsecond is cut off.

    Raises:
        InvalidArgument: (or ``error``) not a datetime, naive, out of range in UTC, or no moment at
            all, as pandas' NaT.
    """
    if type(value) is datetime and value.tzinfo is UTC:
        return value
    if not isinstance(value, datetime):
        hint = ": duly.after() makes one of it" if isinstance(value, timedelta) else ""
        raise error(f"{name} must be a datetime, not {type(value).__name__}{hint}")
    try:
        offset = value.utcoffset()
        wall = datetime(  # noqa: DTZ001  # the offset is taken off by hand
            value.year, value.month, value.day,
            value.hour, value.minute, value.second, value.microsecond,
        )  # fmt: skip
        moment = None if offset is None else (wall - offset).replace(tzinfo=UTC)
    except OverflowError:
        raise error(f"{name} is out of range in UTC: {shown(value)}") from None
    except Exception as cause:  # of a class or a time zone of the caller's
        raise error(f"{name} tells no moment: {shown(value)}: {shown(cause)}") from cause
    if moment is None:
        raise error(
            f"{name} is naive ({wall.isoformat()}): give it a time zone, "
            "for example datetime.now(timezone.utc)"
        )
    return moment


def as_duration(
    value: object, name: str, *, at_least: timedelta | None = None, at_most: timedelta = _CENTURY
) -> timedelta:
    """The same duration, for checking an argument called ``name``; both bounds are inclusive.

    One of a subclass becomes a plain timedelta.

    Raises:
        InvalidArgument: not a timedelta, or out of bounds.
    """
    if not isinstance(value, timedelta):
        raise InvalidArgument(
            f"{name} must be a timedelta, not {type(value).__name__}: "
            "for example timedelta(seconds=5)"
        )
    if type(value) is not timedelta:
        try:
            value = timedelta(value.days, value.seconds, value.microseconds)
        except Exception as cause:  # of a class of the caller's
            raise InvalidArgument(f"{name} is not a duration: {shown(value)}") from cause
    if at_least is not None and value < at_least:
        raise InvalidArgument(f"{name} must be at least {at_least}, not {value}")
    if value > at_most:
        raise InvalidArgument(f"{name} must be at most {at_most}, not {value}")
    return value


def by_keyword(verb: str, value: object) -> str:
    """How to say a duration to a verb that takes the keywords of a timedelta, for an error."""
    text = f"say what it counts, as in {verb}(seconds=60)"
    return f"{text}; a timedelta has total_seconds()" if isinstance(value, timedelta) else text


def to_microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970-01-01 UTC, exact (a float would round after 2255)."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """The UTC moment of whole microseconds since 1970-01-01 UTC.

    Raises:
        OverflowError: beyond the years 1 to 9999.
    """
    return _EPOCH + timedelta(0, 0, microseconds)  # by position: a third faster than by name


def _shown(arguments: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={shown(value)}" for name, value in arguments.items())
