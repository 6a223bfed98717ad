"""Cron expressions in words, where they can be said simply."""

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["cron_words", "joined"]

_DAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_PLACES: Final = ("first", "second", "third", "fourth", "fifth")
_MOST_TIMES: Final = 6  # of a day that are said one by one
_HOURS: Final = 24
_STAR: Final = re.compile(r"\*(?:/(\d+))?")
_RANGE: Final = re.compile(r"(\d+)-(\d+)")
_ORDINAL: Final = re.compile(r"(\d)(?:#(\d)|L)")


def cron_words(expression: str) -> str | None:
    """When an expression fires, of five or six fields as :class:`~duly.Cron` keeps them.

    None where it takes more than a few words.
    """
    *seconds, minute, hour, day, month, weekday = expression.split()
    second = "".join(seconds) or "0"
    times = _times(second, minute, hour)
    days = _days(day, month, weekday)
    if times is None or days is None:
        return None
    if times.startswith("at "):
        return f"{days or 'every day'} {times}"
    return f"{times}, {days}" if days else times


def _times(second: str, minute: str, hour: str) -> str | None:
    """When of a day: "at 02:30", or "every 15 minutes"."""
    if second != "0":
        return _by_seconds(second, minute, hour)
    minutes, hours = _numbers(minute), _numbers(hour)
    if minutes is not None and hours is not None and len(minutes) * len(hours) <= _MOST_TIMES:
        return f"at {joined([f'{h:02}:{m:02}' for h in hours for m in minutes])}"
    span = _span(hour)
    step = _step(minute, 60)
    if step is not None and (hour == "*" or span is not None):
        each = "every minute" if step == 1 else f"every {step} minutes"
        return each + _between(span, 0, 60 - step)
    if minutes is None or len(minutes) != 1:
        return None
    return _by_hours(minutes[0], hour, span)


def _by_hours(minute: int, hour: str, span: tuple[int, int] | None) -> str | None:
    step = _step(hour, _HOURS)
    if span is not None:
        return "every hour" + _between(span, minute, minute)
    if step is None:
        return None
    each = "every hour" if step == 1 else f"every {step} hours"
    if not minute:
        return f"{each}, on the hour" if step == 1 else f"{each} from 00:00"
    return f"{each} at {minute} past" if step == 1 else f"{each} from 00:{minute:02}"


def _by_seconds(second: str, minute: str, hour: str) -> str | None:
    step = _step(second, 60)
    if step is not None and (minute, hour) == ("*", "*"):
        return "every second" if step == 1 else f"every {step} seconds"
    if not all(each.isdecimal() for each in (second, minute, hour)):
        return None
    return f"at {int(hour):02}:{int(minute):02}:{int(second):02}"


def _between(span: tuple[int, int] | None, first: int, last: int) -> str:
    return "" if span is None else f" from {span[0]:02}:{first:02} to {span[1]:02}:{last:02}"


def _days(day: str, month: str, weekday: str) -> str | None:
    """On which days; empty: on each."""
    of_week = "" if weekday == "*" else _weekdays(weekday)
    months = "" if month == "*" else _months(month)
    of_month = "" if day == "*" else _of_month(day, months)
    if of_week is None or months is None or of_month is None:
        return None
    if of_week and of_month:
        if months or day.startswith("*") or weekday.startswith("*"):
            return None  # both must match then, which nobody means
        return f"{of_month} and {of_week}"
    if of_month:
        return of_month
    if months:
        return f"{of_week or 'every day'} in {months}"
    return of_week


def _weekdays(text: str) -> str | None:
    span = _RANGE.fullmatch(text)
    if span is not None:
        return f"{_weekday(span[1])} to {_weekday(span[2])}"
    ordinal = _ORDINAL.fullmatch(text)
    if ordinal is not None:
        place = _PLACES[int(ordinal[2]) - 1] if ordinal[2] else "last"
        return f"on the {place} {_weekday(ordinal[1])} of the month"
    numbers = _numbers(text)
    return None if numbers is None else f"every {joined([_weekday(each) for each in numbers])}"


def _weekday(number: str | int) -> str:
    return _DAYS[int(number) % 7]


def _months(text: str) -> str | None:
    span = _RANGE.fullmatch(text)
    if span is not None:
        return f"{_MONTHS[int(span[1]) - 1]} to {_MONTHS[int(span[2]) - 1]}"
    numbers = _numbers(text)
    return None if numbers is None else joined([_MONTHS[each - 1] for each in numbers])


def _of_month(day: str, months: str | None) -> str | None:
    """Days of the month, with the months."""
    within = f"of {months or 'every month'}"
    if day in ("L", "LW"):
        which = "last day" if day == "L" else "last weekday (Monday to Friday)"
        return f"on the {which} {within}"
    span = _RANGE.fullmatch(day)
    if span is not None:
        return f"from the {_ordinal(int(span[1]))} to the {_ordinal(int(span[2]))} {within}"
    numbers = _numbers(day)
    if numbers is None:
        return None
    return f"on the {joined([_ordinal(each) for each in numbers])} {within}"


def _ordinal(number: int) -> str:
    teen = number // 10 == 1
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _numbers(text: str) -> Sequence[int] | None:
    """The numbers of a list; None where it is something else."""
    parts = text.split(",")
    return sorted(map(int, parts)) if all(each.isdecimal() for each in parts) else None


def _step(text: str, size: int) -> int | None:
    """Of "*" or "*/n", where that goes evenly round."""
    found = _STAR.fullmatch(text)
    step = None if found is None else int(found[1] or 1)
    return step if step is not None and step < size and not size % step else None


def _span(hour: str) -> tuple[int, int] | None:
    """The hours from one to another."""
    found = _RANGE.fullmatch(hour)
    if found is not None:
        return int(found[1]), int(found[2])
    return (int(hour), int(hour)) if hour.isdecimal() else None


def joined(parts: Sequence[str]) -> str:
    """Such as "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
