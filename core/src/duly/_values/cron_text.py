"""Cron expressions as people write them, turned into the five or six fields that are kept."""

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

from cronsim import CronSim, CronSimError

from duly._values.plain import text_of
from duly.errors import InvalidArgument

__all__ = ["cron_text"]

_MONTHS: Final = (
    "JANUARY", "FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE", "JULY", "AUGUST", "SEPTEMBER",
    "OCTOBER", "NOVEMBER", "DECEMBER",
)  # fmt: skip
_DAYS: Final = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")
_SHORTHANDS: Final = {
    "@HOURLY": "0 * * * *",
    "@DAILY": "0 0 * * *",
    "@MIDNIGHT": "0 0 * * *",
    "@WEEKLY": "0 0 * * 0",
    "@MONTHLY": "0 0 1 * *",
    "@YEARLY": "0 0 1 1 *",
    "@ANNUALLY": "0 0 1 1 *",
}
_ANY_DAY: Final = datetime(2024, 1, 1, tzinfo=UTC)
_ABBREVIATED: Final = 3  # letters of a name at least
_DIGITS: Final = 9  # of a number that is read at all: more are out of bounds anyway
_ZONE: Final = re.compile(r"(?:CRON_)?TZ=(\S+)\s*(.*)", re.IGNORECASE)
_ORDINAL: Final = re.compile(r"([^#]+)(?:#([1-5])|L)")  # of weekdays in a month
_FIVE: Final = (
    "five fields are expected: minute, hour, day of month, month, day of week (a sixth, in front, "
    "means seconds)"
)


class _Refused(Exception):
    """What is wrong with an expression, and what to write instead."""


class _Field(NamedTuple):
    """What a field may hold; ``size`` is how many different values there are."""

    name: str
    first: int
    last: int
    size: int
    names: tuple[str, ...] = ()


_SECOND: Final = _Field("second", 0, 59, 60)
_DAY: Final = _Field("day of month", 1, 31, 31)
_WEEKDAY: Final = _Field("day of week", 0, 7, 7, _DAYS)  # 7 is Sunday once more
_FIELDS: Final = (
    _SECOND,
    _Field("minute", 0, 59, 60),
    _Field("hour", 0, 23, 24),
    _DAY,
    _Field("month", 1, 12, 12, _MONTHS),
    _WEEKDAY,
)


def cron_text(value: str, *, kept: bool = False) -> str:
    """The five or six fields of a cron expression, in one spelling for all that mean the same.

    ``kept``: it was stored by an earlier version, which accepted steps larger than their range.

    Raises:
        InvalidArgument: it is none; says what to write.
    """
    text = text_of(value)
    if text is None:
        raise InvalidArgument(f"a cron expression is text, not {type(value).__name__}")
    value = text
    try:
        text = _SHORTHANDS.get(value.strip().upper()) or _all_fields(value.split(), kept=kept)
        CronSim(text, _ANY_DAY)
    except _Refused as refused:
        raise InvalidArgument(f"cron expression {value!r:.200}: {refused}") from None
    except CronSimError:
        raise InvalidArgument(f"cron expression {value!r:.200}: no such day ever comes") from None
    return text


def _all_fields(parts: list[str], *, kept: bool) -> str:
    if parts and (parts[0].startswith("@") or "=" in parts[0]):
        raise _Refused(_hint_for_prefix(" ".join(parts)))
    if len(parts) == len(_FIELDS) + 1:
        raise _Refused(f"{_FIVE}; there is no year field, but until= says where a series ends")
    if len(parts) not in (len(_FIELDS) - 1, len(_FIELDS)):
        raise _Refused(_FIVE)
    given = zip(_FIELDS[-len(parts) :], parts, strict=True)
    return " ".join(_one_field(field, part.upper(), kept=kept) for field, part in given)


def _one_field(field: _Field, text: str, *, kept: bool) -> str:
    terms = ",".join(_term(field, term, kept=kept) for term in text.split(","))
    return ",".join(dict.fromkeys(terms.split(",")))


def _hint_for_prefix(text: str) -> str:
    zone = _ZONE.fullmatch(text)
    if zone is not None:
        return f"write the expression {zone[2]!r}, and {zone[1]!r} as its timezone"
    if text.lower().startswith("@every"):
        return "so long apart is no cron but an Every, for example of 5 minutes"
    return f"{_FIVE}, or one of {', '.join(map(str.lower, _SHORTHANDS))}"


def _term(field: _Field, term: str, *, kept: bool) -> str:
    """One of the alternatives of a field, in numbers."""
    head, slash, tail = ("*" if term == "?" else term).partition("/")
    if field is _DAY and head in ("L", "LW") and (kept or not slash):
        return head
    ordinal = _ORDINAL.fullmatch(term) if field is _WEEKDAY else None
    if ordinal is not None:
        day, number = ordinal.groups()
        return f"{_value(field, day, term)}{f'#{number}' if number else 'L'}"
    step = _number(tail) if slash else 1
    if not step:
        raise _Refused(_hint(field, term))
    if head == "*":
        step = _within(field, term, step, field.size, kept=kept)
        if field is _SECOND and step == field.size:
            return str(field.first)  # elsewhere the star has a meaning of its own
        return "*" if step == 1 else f"*/{step}"
    start, dash, end = head.partition("-")
    first = _value(field, start, term)
    if dash:
        return _range(field, term, (first, _value(field, end, term), step), kept=kept)
    step = _within(field, term, step, field.size, kept=kept)
    return f"{first}/{step}" if slash and first + step <= field.last else str(first)


def _range(field: _Field, term: str, parts: tuple[int, int, int], *, kept: bool) -> str:
    """A range, which may go round the end of the field."""
    first, last, step = parts
    if field is _WEEKDAY and last < first:  # Sunday is 0 or 7, as it fits
        first, last = (0, last) if first == field.last else (first, last or field.last)
    if first == last:  # cronsim would take a step for one from here to the end of the field
        return str(first)
    count = last - first + 1 + (field.size if last < first else 0)
    step = _within(field, term, step, count, kept=kept)
    if step == count:
        return str(first)
    if last > first:
        return f"{first}-{last}" if step == 1 else f"{first}-{last}/{step}"
    numbers = (
        number % field.size
        for number in range(first - field.first, first - field.first + count, step)
    )
    return ",".join(str(field.first + number) for number in sorted(numbers))


def _within(field: _Field, term: str, step: int, count: int, *, kept: bool) -> int:
    """The step, if it is not larger than a range of so many values."""
    if step <= count:
        return step
    if kept:
        return count
    raise _Refused(
        f"{field.name} {term!r}: the step is larger than the range, so that its first value alone "
        "would be left: write that value, or take an Every for a longer interval"
    )


def _value(field: _Field, text: str, term: str) -> int:
    number = _number(text)
    if number is not None and field.first <= number <= field.last:
        return number
    if len(text) >= _ABBREVIATED:
        for place, name in enumerate(field.names):
            if name.startswith(text):
                return field.first + place
    raise _Refused(_hint(field, term))


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()):
        return None
    return int(text.lstrip("0")[:_DIGITS] or "0")


def _hint(field: _Field, term: str) -> str:
    """What is wrong with a term that cannot be read, and what to write."""
    if term == "H" or (term.startswith("H") and field is not _WEEKDAY):
        hint = f"H is Jenkins' own: write a number of your choice, {field.first + 3} for example"
    elif field is _DAY and term.startswith("L-"):
        hint = "days are not counted from the end of a month: write L for its last day, or a number"
    elif field is _DAY and "W" in term:
        hint = "there is no weekday nearest to a day: write LW for the last one of a month, or days"
    elif field is _DAY and "L" in term:
        hint = "L, for the last day of a month, stands alone or in a list"
    elif field is _WEEKDAY and term == "L":
        hint = "write 6 for Saturdays, or 6L for the last Saturday of a month"
    elif field is _WEEKDAY and "#" in term:
        hint = "5#2 is the second Friday of a month: a day, and a number from 1 to 5"
    elif "?" in term:
        hint = "? stands alone, and means *"
    else:
        named = f" or a name such as {field.names[1][:_ABBREVIATED]}" if field.names else ""
        hint = (
            f"a number from {field.first} to {field.last}{named} is expected; also *, a-b, */n, "
            "a-b/n, and lists with commas"
        )
    return f"{field.name} {term!r:.50}: {hint}"
