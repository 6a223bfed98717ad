"""Failures that are alike."""

import fnmatch
from collections.abc import Sequence
from typing import Final

from duly import common_text
from duly_history.values import Cause, Entry, What

__all__ = ["causes_of", "fits"]

_NAMES: Final = 20  # event names that a cause tells


def fits(error: str | None, pattern: str) -> bool:
    """Whether an error is of a pattern, in small or large letters."""
    return error is not None and fnmatch.fnmatchcase(error.lower(), pattern.lower())


def causes_of(found: Sequence[Entry]) -> Sequence[Cause]:
    """The causes of failures, the latest first given; the most frequent comes first."""
    alike: dict[tuple[str | None, str], list[Entry]] = {}
    for each in found:
        key = each.error_class, common_text(each.error or "")
        alike.setdefault(key, []).append(each)
    causes = [
        Cause(
            error_class=kind,
            text=text,
            number=len(those),
            buried=sum(each.what is What.BURIED for each in those),
            event_names=sorted({each.event_name or "" for each in those})[:_NAMES],
            example=those[0].message_id,
            first=those[-1].at,
            last=those[0].at,
        )
        for (kind, text), those in alike.items()
    ]
    return sorted(causes, key=lambda each: (-each.number, each.error_class or "", each.text))
