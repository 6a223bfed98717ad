"""What a recurrence may be made of: each value is checked and brought into one form."""

from datetime import datetime, timedelta
from typing import Literal, get_args

from duly._values.plain import shown, text_of, whole
from duly._values.zones import zone
from duly.errors import InvalidArgument
from duly.moment import as_duration, as_moment

__all__ = [
    "Missed",
    "as_anchor",
    "as_grace",
    "as_interval",
    "as_jitter",
    "as_max_occurrences",
    "as_missed",
    "as_timezone",
    "as_until",
]

Missed = Literal["once", "all", "skip"]
"""What becomes of fires that were missed: the latest is delivered, each is, or none is."""


def as_max_occurrences(value: int | None) -> int | None:
    """How many fires are taken up at most."""
    count = whole(value)
    if value is not None and (count is None or not 1 <= count < 2**63):
        raise InvalidArgument("max_occurrences must be a whole number from 1 to 2**63 - 1, or None")
    return count


def as_until(value: datetime | None) -> datetime | None:
    """The last moment that may fire."""
    return None if value is None else as_moment(value, "until")


def as_missed(value: Missed) -> Missed:
    """What becomes of missed fires."""
    for each in get_args(Missed):
        if text_of(value) == each:
            return each  # type: ignore[no-any-return]  # one of the texts
    raise InvalidArgument(f'missed must be "once", "all" or "skip", not {shown(value)}')


def as_grace(value: timedelta) -> timedelta:
    """How late a fire may be."""
    return as_duration(value, "grace", at_least=timedelta(0), at_most=timedelta.max)


def as_jitter(value: timedelta) -> timedelta:
    """By how much a fire is due later, at most."""
    return as_duration(value, "jitter", at_least=timedelta(0), at_most=timedelta(days=1))


def as_interval(value: timedelta) -> timedelta:
    """How long from fire to fire."""
    return as_duration(value, "interval", at_least=timedelta(milliseconds=1), at_most=timedelta.max)


def as_timezone(value: str) -> str:
    """The IANA name of a time zone."""
    name = text_of(value)
    if name is None:
        raise InvalidArgument(
            f"timezone must be an IANA name such as 'Europe/Berlin': {shown(value)}"
        )
    try:
        zone(name)
    except KeyError:
        raise InvalidArgument(
            f"timezone {shown(name)} is not known: use an IANA name such as 'Europe/Berlin'"
        ) from None
    return name


def as_anchor(value: datetime | None) -> datetime | None:
    """A fire from which all others are counted."""
    return None if value is None else as_moment(value, "anchor")
