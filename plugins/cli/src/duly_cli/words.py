"""Recurrences and lengths of time in words, as a person says them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from duly import Cron, Every
from duly.recurrence import Recurrence
from duly_cli.cron_words import cron_words, joined

__all__ = ["in_words", "joined", "length", "rule_facts", "rule_text"]

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


def in_words(recurrence: Recurrence) -> str:
    """When it fires, such as "every day at 02:30" or "every 15 minutes".

    A cron expression that cannot be said simply is named as it is.
    """
    if isinstance(recurrence, Cron):
        return cron_words(recurrence.expression) or f"by the expression {recurrence.expression}"
    if isinstance(recurrence, Every):
        return f"every {_interval(recurrence.interval)}"
    return str(recurrence)


def rule_text(recurrence: Recurrence) -> str:
    """The same with its expression, zone and bounds: "every day at 02:30 (30 2 * * *), UTC"."""
    said = [in_words(recurrence)]
    if isinstance(recurrence, Cron):
        known = recurrence.expression in said[0]
        said[0] += "" if known else f" ({recurrence.expression})"
        said.append(recurrence.timezone)
    if recurrence.jitter:
        said.append(f"up to {length(recurrence.jitter)} later")
    if recurrence.max_occurrences is not None:
        said.append(f"{recurrence.max_occurrences:,} fires in all")
    return ", ".join(said)


def rule_facts(recurrence: Recurrence) -> Mapping[str, Any]:
    """A recurrence for programs."""
    facts: dict[str, Any] = {"type": type(recurrence).__name__.lower()}
    if isinstance(recurrence, Cron):
        facts |= {"expression": recurrence.expression, "timezone": recurrence.timezone}
    elif isinstance(recurrence, Every):
        facts |= {"interval_seconds": recurrence.interval, "anchor": recurrence.anchor}
    return {
        **facts,
        "until": recurrence.until,
        "max_occurrences": recurrence.max_occurrences,
        "missed": recurrence.missed,
        "grace_seconds": recurrence.grace,
        "jitter_seconds": recurrence.jitter,
    }


def length(value: timedelta) -> str:
    """Such as "6 min 43 s", "2 d 3 h", "0.2 s": the two largest units; 0 for what is negative."""
    seconds = max(0.0, value.total_seconds())
    if seconds < 10:
        return f"{seconds:.1f} s"
    left, told = int(seconds), list[str]()
    for unit, size in _UNITS:
        number, left = divmod(left, size)
        if number or told:
            told.append(f"{number} {unit}")
    return " ".join(each for each in told[:2] if not each.startswith("0 "))


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
