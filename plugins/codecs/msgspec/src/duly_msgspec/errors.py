"""What may be said of bytes that do not fit: nothing of what was in them."""

import re
from typing import Final

import msgspec

__all__ = ["told"]

# Where msgspec found it: names of fields, places in arrays, and dots for keys of dictionaries.
_PLACE: Final = r"(?P<place> - at (?:`key` in )?`\$[^`]*`)?"
_HARMLESS: Final = re.compile(
    r"(?:Expected [^\n]+?|Object missing required field `[^`]+`|Number out of range"
    r"|Integer value out of range|Invalid (?:RFC3339 encoded (?:datetime|date|time)"
    r"|ISO8601 duration|UUID|decimal string|base64 encoded string))" + _PLACE
)


def told(error: Exception) -> str:
    """What msgspec says, if that is known to quote no input; else the like of it.

    It quotes unknown fields and values that are none of an enum's; what a class raises itself may
    quote anything.
    """
    if not isinstance(error, msgspec.ValidationError):
        return "it is not JSON"
    if error.__cause__ is not None:
        return f"a check of its class failed: {type(error.__cause__).__name__}"
    text = str(error)
    if _HARMLESS.fullmatch(text):
        return text
    for start, instead in _QUOTING.items():
        if text.startswith(start):
            return instead
    return "it does not fit"


_QUOTING: Final = {
    "Object contains unknown field": "an object has a field that is unknown",
    "Invalid enum value": "a value is none of those allowed",
    "Invalid value": "a tag is none of those allowed",
}
