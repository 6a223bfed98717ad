"""Recurrences and lengths of time in words, as a person says them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from duly import Cron, Every
from duly.recurrence import Recurrence
from duly.words import in_words

__all__ = ["in_words", "length", "rule_facts", "rule_text"]

_UNITS: Final = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


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
