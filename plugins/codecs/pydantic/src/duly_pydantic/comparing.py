"""Whether what is read is what was written."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel

__all__ = ["difference"]

_MISSING: Final = object()
_UNNAMED: Final = (dict, list, tuple)
_SINGLE: Final = frozenset({int, str, float, bool, type(None)})  # what there is most of


def difference(given: Any, read: Any) -> str | None:
    """Where two values differ, such as ``items[...].price``; None: nowhere.

    Fields are compared one by one, as a class may compare itself in its own way or not at all.
    Private attributes and cached properties are no part of a value.
    """
    path = _path(given, read)
    return path if path is None else path.removeprefix(".") or "it"


def _path(given: Any, read: Any) -> str | None:
    kind = type(given)
    if kind in _SINGLE and kind is type(read):
        return None if given == read else ""
    parts, others = _parts(given), _parts(read)
    if parts is None and others is None:
        return None if _equal(given, read) else ""
    if kind is not type(read) or parts is None or others is None or parts.keys() != others.keys():
        return ""
    for name, value in parts.items():
        path = _path(value, others[name])
        if path is not None:
            # A place in a list, or the key of a dictionary, which is somebody's data.
            return f"[...]{path}" if isinstance(given, _UNNAMED) else f".{name}{path}"
    return None


def _parts(value: Any) -> Mapping[Any, Any] | None:
    """What a value is made of; None: of nothing that can be looked at."""
    if isinstance(value, BaseModel):
        kept = vars(value)
        fields = {name: kept.get(name, _MISSING) for name in type(value).model_fields}
        return {**fields, **(value.model_extra or {})}
    if isinstance(value, dict):
        return value
    if isinstance(value, list | tuple):
        return dict(enumerate(value))
    if dataclasses.is_dataclass(value):
        names = [each.name for each in dataclasses.fields(value)]
        return {name: getattr(value, name, _MISSING) for name in names}
    return None


def _equal(given: Any, read: Any) -> bool:
    if isinstance(given, bool) is not isinstance(read, bool):
        return False
    if isinstance(given, datetime) and isinstance(read, datetime):
        # When clocks are put back, moments with different zone objects are never equal.
        return given == read or given.isoformat() == read.isoformat()
    return bool(given == read)
