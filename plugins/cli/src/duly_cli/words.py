"""Recurrences in words, as a person says them, and for programs."""

from collections.abc import Mapping
from typing import Any

from duly import Cron, Every
from duly.recurrence import Recurrence
from duly.words import duration, in_words

__all__ = ["rule_facts", "rule_text"]


def rule_text(recurrence: Recurrence) -> str:
    """The same with its expression, zone and bounds: "every day at 02:30 (30 2 * * *), UTC"."""
    said = [in_words(recurrence)]
    if isinstance(recurrence, Cron):
        known = recurrence.expression in said[0]
        said[0] += "" if known else f" ({recurrence.expression})"
        said.append(recurrence.timezone)
    if recurrence.jitter:
        said.append(f"up to {duration(recurrence.jitter)} later")
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
