"""The texts of a message: what a name and metadata may hold."""

import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from duly._values.plain import shown, text_of
from duly.errors import InvalidMessage

__all__ = ["METADATA_LIMIT", "as_metadata", "as_name"]

METADATA_LIMIT: Final = 64 * 1024
"""The most that all metadata keys and values of a message may take, in bytes of UTF-8."""


def as_name(value: object, field: str) -> str:
    """The same name, for checking an id or event name called ``field``.

    Raises:
        InvalidMessage: it is not a text of 1 to 255 printable characters.
    """
    text = text_of(value)
    if text is None:
        raise InvalidMessage(f"{field} must be text, not {type(value).__name__}")
    if not 1 <= len(text) <= 255:
        raise InvalidMessage(f"{field} must have 1 to 255 characters, not {len(text)}")
    _printable(text, field)
    return text


def _printable(value: str, field: str) -> None:
    _encoded(value, field)
    if not value.isprintable() and any(unicodedata.category(each) == "Cc" for each in value):
        raise InvalidMessage(f"{field} holds a control character: {shown(value)}")


def _encoded(value: str, field: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise InvalidMessage(f"{field} cannot be encoded as UTF-8: {error}") from None


def as_metadata(value: Mapping[str, str]) -> Mapping[str, str]:
    """A copy of the metadata that nobody can change.

    Raises:
        InvalidMessage: it does not map text to text, is too large, or has forbidden characters.
    """
    if not isinstance(value, Mapping):
        raise InvalidMessage(f"metadata must map text to text, not {type(value).__name__}")
    try:
        given = dict(value)
    except Exception as error:  # of a class of the caller's
        raise InvalidMessage(f"metadata cannot be read: {shown(error)}") from error
    size = 0
    kept: dict[str, str] = {}
    for each, content in given.items():
        key, text = text_of(each), text_of(content)
        if key is None or text is None:
            raise InvalidMessage(
                f"metadata must map text to text: {shown(each)}: {type(content).__name__}"
            )
        _printable(key, "a metadata key")
        if "\0" in text:
            raise InvalidMessage(f"metadata value of {shown(key)} holds a NUL character")
        size += len(key.encode()) + len(_encoded(text, f"metadata value of {shown(key)}"))
        kept[key] = text
    if size > METADATA_LIMIT:
        raise InvalidMessage(f"metadata takes {size} bytes, at most {METADATA_LIMIT} are allowed")
    return MappingProxyType(kept)
