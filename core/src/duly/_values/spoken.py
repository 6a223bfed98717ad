"""Moments and counts as a person reads them; durations are told by :mod:`duly.words`."""

from datetime import UTC, datetime

__all__ = ["counted", "exact", "moment"]


def moment(value: datetime) -> str:
    """Such as "2026-11-29 14:25:40 UTC"."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def exact(value: datetime) -> str:
    """To the microsecond, as programs write it: "2026-11-29T14:25:40.000001Z"."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def counted(number: int, one: str, many: str | None = None) -> str:
    """Such as "1 message" and "1,190 messages"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
