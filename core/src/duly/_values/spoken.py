"""Moments, durations and counts as a person reads them."""

from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["counted", "duration", "exact", "moment"]

_UNITS: Final = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def duration(value: timedelta) -> str:
    """Such as "6 min 43 s", "2 d 3 h", "0.2 s": the two largest units; 0 for what is negative."""
    seconds = max(0.0, value.total_seconds())
    if seconds < 10:  # a tenth matters
        return f"{seconds:.1f} s"
    left, told = int(seconds), list[str]()
    for unit, size in _UNITS:
        number, left = divmod(left, size)
        if number or told:
            told.append(f"{number} {unit}")
    return " ".join(each for each in told[:2] if not each.startswith("0 "))


def moment(value: datetime) -> str:
    """Such as "2026-11-29 14:25:40 UTC"."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def exact(value: datetime) -> str:
    """To the microsecond, as programs write it: "2026-11-29T14:25:40.000001Z"."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def counted(number: int, one: str, many: str | None = None) -> str:
    """Such as "1 message" and "1,190 messages"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
