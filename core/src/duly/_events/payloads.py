"""What can be said of payloads and their types without a codec."""

import inspect
from collections.abc import Mapping
from typing import Any, Final

from duly._values.plain import shown
from duly._values.wording import worded
from duly.codec import Codec
from duly.errors import InvalidArgument, InvalidMessage

__all__ = ["as_codec", "kind_named", "may_have", "misfit_told", "value_in"]

_DECLARING: Final = (
    "__dataclass_fields__", "__attrs_attrs__", "__struct_fields__", "__pydantic_fields__",
)  # fmt: skip
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
    if origin in (Any, object):
        return True
    annotated = any(field in inspect.get_annotations(each) for each in origin.__mro__)
    return annotated or hasattr(origin, field) or _takes_others(origin)


def misfit_told(kind: Any, payload: object) -> str:
    """What to add to the name of a type that a payload does not fit: nothing if it is of it."""
    try:
        if not isinstance(kind, type) or isinstance(payload, kind):
            return ""
    except Exception:  # noqa: BLE001  # a TypedDict, or a class that answers in its own way
        return ""
    return f", as it is a {type(payload).__qualname__}"


def value_in(payload: object, field: str) -> object:
    """The value of a field: a mapping's key, or else an attribute.

    Raises:
        InvalidMessage: there is none, or a property of the payload fails.
    """
    try:
        return payload[field] if isinstance(payload, Mapping) else getattr(payload, field)
    except (LookupError, AttributeError):
        raise InvalidMessage(f"the payload has no {field!r}, which its id needs") from None
    except Exception as error:
        raise InvalidMessage(f"{field!r}, which the id needs, fails: {worded(error)}") from error


def as_codec(value: Any, where: str) -> Codec[Any]:
    """The same codec, checked as far as that goes without calling it.

    Raises:
        InvalidArgument: it has not all that a codec has.
    """
    try:
        fits = isinstance(value.content_type, str) and not isinstance(value, type)
        if fits and callable(value.encode) and callable(value.decode):
            return value  # type: ignore[no-any-return]  # seen just now
    except Exception as error:  # noqa: BLE001  # it lacks one of these, or is hostile
        lacking = worded(error)
    else:
        lacking = shown(value)
    raise InvalidArgument(
        f"{where}, not {type(value).__name__} ({lacking}): an object with content_type, encode and "
        "decode"
    )


def _takes_others(kind: type) -> bool:
    """Whether objects of a class may have more than the class tells: what its init or users add."""
    if not any(hasattr(kind, each) for each in _DECLARING):
        return inspect.isfunction(inspect.getattr_static(kind, "__init__"))
    config = getattr(kind, "model_config", None)  # of pydantic
    return isinstance(config, Mapping) and config.get("extra") == "allow"


def _is_typed_dict(kind: object) -> bool:
    return hasattr(kind, "__total__") and hasattr(kind, "__required_keys__")
