"""How a recurrence is kept: as a JSON object, the same text for equal ones."""

import functools
import json
from datetime import timedelta
from typing import Any, Final

from duly._values.cron_text import cron_text
from duly.moment import from_microseconds, to_microseconds
from duly.recurrence import Cron, Every, Recurrence

__all__ = ["recurrence_of", "recurrence_text"]

_MICROSECOND: Final = timedelta(microseconds=1)
_SHARED: Final = {"max_occurrences", "until", "missed", "grace"}
_SELDOM: Final = {"jitter"}
_KINDS: Final = ({"every"}, {"every", "anchor"}, {"cron", "timezone"})


@functools.lru_cache(maxsize=1024)
def recurrence_text(recurrence: Recurrence) -> str:
    """The text of a recurrence; what few have is left out of all others."""
    fields: dict[str, Any] = {
        "max_occurrences": recurrence.max_occurrences,
        "until": None if recurrence.until is None else to_microseconds(recurrence.until),
        "missed": recurrence.missed,
        "grace": recurrence.grace // _MICROSECOND,
    }
    if recurrence.jitter:
        fields["jitter"] = recurrence.jitter // _MICROSECOND
    match recurrence:
        case Every(interval=interval, anchor=anchor):
            fields["every"] = interval // _MICROSECOND
            if anchor is not None:
                fields["anchor"] = to_microseconds(anchor)
        case Cron(expression=expression, timezone=timezone):
            fields["cron"] = expression
            fields["timezone"] = timezone
    return json.dumps(fields, separators=(",", ":"))


@functools.lru_cache(maxsize=1024)
def recurrence_of(text: str) -> Recurrence:
    """The recurrence of a text.

    Raises:
        ValueError, TypeError, KeyError, OverflowError: it is none, or has a part that is not known.
    """
    fields = json.loads(text)
    if not isinstance(fields, dict):
        raise TypeError("recurrence is not an object")
    kind = set(fields) - _SHARED - _SELDOM
    if kind not in _KINDS:  # to leave out what is not understood would be another rule
        raise ValueError(f"recurrence has {', '.join(sorted(kind)) or 'no rule'}")
    until = fields["until"]
    shared: dict[str, Any] = {
        "max_occurrences": fields["max_occurrences"],
        "until": None if until is None else from_microseconds(until),
        "missed": fields["missed"],
        "grace": timedelta(microseconds=fields["grace"]),
        "jitter": timedelta(microseconds=fields.get("jitter", 0)),
    }
    if "every" in fields:
        anchor = fields.get("anchor")
        shared["anchor"] = None if anchor is None else from_microseconds(anchor)
        return Every(timedelta(microseconds=fields["every"]), **shared)
    expression = cron_text(fields["cron"], kept=True)
    return Cron(expression, timezone=fields["timezone"], **shared)
