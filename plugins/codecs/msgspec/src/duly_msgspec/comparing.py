"""Whether what is read is what was written."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

__all__ = ["difference"]

_MISSING: Final = object()


def difference(given: Any, read: Any, place: str = "it") -> str | None:
    """Where two values differ, such as ``items[...].price``; None: nowhere.

    Fields are compared one by one, as a class may compare itself in its own way or not at all.
    """
    names, parts = _parts(given)
    _, others = _parts(read)
    if parts is None and others is None:
        return None if _equal(given, read) else place
    if type(given) is not type(read) or parts is None or others is None:
        return place
    if parts.keys() != others.keys():
        return place
    for name, value in parts.items():
        # The key of a dictionary is somebody's data.
        inside = f".{name}" if names else "[...]"
        found = difference(value, others[name], f"{place}{inside}".removeprefix("it."))
        if found is not None:
            return found
    return None


def _parts(value: Any) -> tuple[bool, Mapping[Any, Any] | None]:
    """What a value is made of, and whether that has names; None: of nothing to look at."""
    if isinstance(value, msgspec.Struct):
        names = value.__struct_fields__
    elif hasattr(type(value), "__attrs_attrs__"):
        names = tuple(each.name for each in type(value).__attrs_attrs__)
    elif dataclasses.is_dataclass(value):
        names = tuple(each.name for each in dataclasses.fields(value))
    elif isinstance(value, list | tuple):
        return False, dict(enumerate(value))
    else:
        return False, value if isinstance(value, dict) else None
    return True, {name: getattr(value, name, _MISSING) for name in names}


def _equal(given: Any, read: Any) -> bool:
    if isinstance(given, bool) is not isinstance(read, bool):
        return False
    if isinstance(given, datetime) and isinstance(read, datetime):
        # When clocks are put back, moments with different zone objects are never equal.
        return given == read or given.isoformat() == read.isoformat()
    return bool(given == read)
