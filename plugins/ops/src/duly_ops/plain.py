"""What JSON can say of what duly answers."""

import enum
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import attrs

__all__ = ["plain"]


def plain(value: object) -> Any:
    """Moments in UTC with six digits; durations as numbers, whose names end in ``_seconds``."""
    if isinstance(value, enum.Enum):
        value = value.value
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        moment = value.astimezone(UTC).replace(tzinfo=None)
        return f"{moment.isoformat(timespec='microseconds')}Z"
    if attrs.has(type(value)):
        value = attrs.asdict(cast(Any, value), recurse=False)
    if isinstance(value, Mapping):
        return {_named(f"{name}", each): plain(each) for name, each in value.items()}
    several = isinstance(value, Iterable) and not isinstance(value, str | bytes)
    return [plain(each) for each in cast(Iterable[object], value)] if several else f"{value}"


def _named(name: str, value: object) -> str:
    return f"{name}_seconds" if isinstance(value, timedelta) else name
