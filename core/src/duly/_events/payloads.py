"""What can be said of payloads and their types without a codec."""

import inspect
from collections.abc import Mapping
from typing import Any, Final

from duly._values.plain import shown
from duly.errors import InvalidMessage

__all__ = ["kind_named", "may_have", "value_in"]

_WITHOUT_FIELDS: Final = (bytes, str, int, float, bool, list, tuple, type(None))


def kind_named(kind: Any) -> str:
    """What to call a type in an error."""
    return kind.__qualname__ if isinstance(kind, type) else shown(kind)


def may_have(kind: Any, field: str) -> bool:
    """Whether payloads of a type can have such a field, as far as the type itself tells."""
    origin = getattr(kind, "__origin__", kind)
    if not isinstance(origin, type) or issubclass(origin, Mapping):
        known = getattr(kind, "__annotations__", None) if _is_typed_dict(kind) else None
        return known is None or field in known
    if origin in _WITHOUT_FIELDS:
        return False
    if origin is object:
        return True
    annotated = any(field in inspect.get_annotations(each) for each in origin.__mro__)
    return annotated or hasattr(origin, field)


def value_in(payload: object, field: str) -> object:
    """The value of a field: a mapping's key, or else an attribute.

    Raises:
        InvalidMessage: there is none.
    """
    try:
        return payload[field] if isinstance(payload, Mapping) else getattr(payload, field)
    except (LookupError, AttributeError):
        raise InvalidMessage(f"the payload has no {field!r}, which its id needs") from None


def _is_typed_dict(kind: object) -> bool:
    return hasattr(kind, "__total__") and hasattr(kind, "__required_keys__")
