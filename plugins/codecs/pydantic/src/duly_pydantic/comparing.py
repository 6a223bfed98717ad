"""Whether what is read is what was written."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel

__all__ = ["difference"]

_MISSING: Final = object()


def difference(given: Any, read: Any, place: str = "it") -> str | None:
    """Where two values differ, such as ``items[...].price``; None: nowhere.

    Fields are compared one by one, as a class may compare itself in its own way or not at all.
    Private attributes and cached properties are no part of a value.
    """
    parts, others = _parts(given), _parts(read)
    if parts is None and others is None:
        return None if _equal(given, read) else place
    if type(given) is not type(read) or parts is None or others is None:
        return place
    if parts.keys() != others.keys():
        return place
    for name, value in parts.items():
        # The key of a dictionary is somebody's data.
        inside = "[...]" if isinstance(given, dict | list | tuple) else f".{name}"
        found = difference(value, others[name], f"{place}{inside}".removeprefix("it."))
        if found is not None:
            return found
    return None


def _parts(value: Any) -> Mapping[Any, Any] | None:
    """What a value is made of; None: of nothing that can be looked at."""
    if isinstance(value, BaseModel):
        kept = vars(value)
        fields = {name: kept.get(name, _MISSING) for name in type(value).model_fields}
        return {**fields, **(value.model_extra or {})}
    if dataclasses.is_dataclass(value):
        return {
            each.name: getattr(value, each.name, _MISSING) for each in dataclasses.fields(value)
        }
    if isinstance(value, list | tuple):
        return dict(enumerate(value))
    return value if isinstance(value, dict) else None


def _equal(given: Any, read: Any) -> bool:
    if isinstance(given, bool) is not isinstance(read, bool):
        return False
    if isinstance(given, datetime) and isinstance(read, datetime):
        # When clocks are put back, moments with different zone objects are never equal.
        return given == read or given.isoformat() == read.isoformat()
    return bool(given == read)
