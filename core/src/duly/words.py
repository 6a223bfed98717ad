"""Recurrences and durations as a person says them: the same in the command, over HTTP, on pages."""

from datetime import timedelta
from typing import Final

from duly._values.cron_words import cron_words, joined
from duly.recurrence import Cron, Every, Recurrence

__all__ = ["duration", "in_words"]

_UNITS: Final = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
_MOST: Final = 1000  # of a unit, before a larger one is told too
_WHOLE: Final = (
    ("week", timedelta(weeks=1)),
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
    ("millisecond", timedelta(milliseconds=1)),
)


def duration(value: timedelta) -> str:
    """A duration, such as "14 ms", "2.3 s", "6 min 43 s", "2 d 3 h": the two largest units.

    What is negative is told as 0: clocks of two hosts differ a little.
    """
    seconds = max(0.0, value.total_seconds())
    if seconds < 0.9995:  # what is no second when it is rounded
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:  # a tenth matters
        return f"{seconds:.1f} s"
    left, told = max(10, int(seconds)), list[str]()
    for unit, size in _UNITS:
        number, left = divmod(left, size)
        if number or told:
            told.append(f"{number:,} {unit}")
    return " ".join(each for each in told[:2] if not each.startswith("0 "))


def in_words(recurrence: Recurrence) -> str:
    """When it fires, such as "every day at 02:30" or "every 15 minutes".

    A cron expression that cannot be said simply is named as it is.
    """
    if isinstance(recurrence, Cron):
        return cron_words(recurrence.expression) or f"by the expression {recurrence.expression}"
    if isinstance(recurrence, Every):
        return f"every {_interval(recurrence.interval)}"
    return str(recurrence)


def _interval(value: timedelta) -> str:
    for unit, size in _WHOLE:
        number, rest = divmod(value, size)
        if number and not rest and number < _MOST:
            return unit if number == 1 else f"{number} {unit}s"
    said, rest = [], value
    for unit, size in _WHOLE[1:5]:
        number, rest = divmod(rest, size)
        if number:
            said.append(f"{number} {unit}{'s' if number > 1 else ''}")
    return joined(said) if said and not rest else f"{value.total_seconds():g} seconds"
