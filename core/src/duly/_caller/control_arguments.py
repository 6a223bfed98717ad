"""Checks of what people say of event names."""

import math
from typing import Final

from duly._values.patterns import is_prefix
from duly._values.plain import shown, text_of
from duly._values.texts import as_name
from duly.errors import InvalidArgument, InvalidMessage

__all__ = ["as_pattern", "as_rate", "as_text"]

_FASTEST: Final = 1_000_000  # a second


def as_pattern(value: object) -> str:
    """An event name, a prefix that ends in ``.*``, or ``*``.

    Raises:
        InvalidArgument: it is none of them.
    """
    try:
        name = as_name(value, "name")
    except InvalidMessage as error:  # it is no part of a message
        raise InvalidArgument(str(error)) from None
    if "*" in (name[:-1] if is_prefix(name) else name):
        raise InvalidArgument(
            f"{shown(name)} is neither an event name nor a prefix: a prefix ends in .*, as "
            "orders.*, and * stands for all"
        )
    return name


def as_text(value: object, field: str) -> str:
    """A reason, or who gives it: up to 255 characters, or none at all."""
    text = text_of(value)
    if text == "":
        return ""
    try:
        return as_name(value, field)
    except InvalidMessage as error:
        raise InvalidArgument(str(error)) from None


def as_rate(value: object) -> float:
    """Messages a second."""
    rate = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not 0 < rate <= _FASTEST:  # nor is NaN
        raise InvalidArgument(
            f"rate must be above 0 and at most {_FASTEST:,} messages a second, not {shown(value)}: "
            "a pause is for none at all"
        )
    return float(rate)
