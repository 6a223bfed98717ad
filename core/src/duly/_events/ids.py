"""Ids made of payloads: ``order-{order_id}``."""

import re
import string
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final
from uuid import UUID

from duly._values.plain import encodable, shown, text_of, whole
from duly.errors import InvalidArgument, InvalidMessage

__all__ = ["IdTemplate"]

_NAME: Final = re.compile(r"[^\W\d]\w*")
_SEPARATING: Final = re.compile(r"[^\w%]")
_NOT_PLAIN: Final = "takes names of fields alone, as in 'order-{order_id}'"


class IdTemplate:
    """A template of ids, such as ``{tenant}/order-{order_id}``: each field once, by its name.

    Two payloads that differ in a field never have one id: between two fields stands a separator,
    and where a value holds one, or a percent sign, that is written as in URLs (``%2F``).

    Raises:
        InvalidArgument: it is no such template.
    """

    def __init__(self, template: str) -> None:
        text = text_of(template)
        if text is None:
            raise InvalidArgument(f"the id of an event is a template, not {shown(template)}")
        self.text = text
        parts = _parsed(text)
        self.fields: Sequence[str] = [name for _, name in parts if name is not None]
        self._parts = parts
        if len(set(self.fields)) < len(self.fields):
            raise InvalidArgument(f"the id template {text!r} names a field twice")
        between = [literal for literal, _ in parts[1 : len(self.fields)]]
        for literal in between:
            if not _SEPARATING.search(literal):
                raise InvalidArgument(
                    f"the id template {text!r} has two fields with no separator between them: put "
                    "one there that is no letter, digit or underscore, as '-' or '/'"
                )
        separators = "".join(sorted({*"".join(between)} - {"%"}))
        separators = "".join(each for each in separators if _SEPARATING.match(each))
        self._escaped = re.compile(f"[%{re.escape(separators)}]") if separators else None

    def id(self, event_name: str, value_of: Callable[[str], object]) -> str:
        """The id that the values of the fields give; whether it is too long is seen by others.

        Raises:
            InvalidMessage: a value is no int, str, UUID or an Enum's value of these.
        """
        text = ""
        for literal, name in self._parts:
            text += literal
            if name is not None:
                text += self._written(f"{event_name}: {name}, which its id needs,", value_of(name))
        return text

    def _written(self, what: str, value: object) -> str:
        if isinstance(value, Enum):
            value = value.value
        number = whole(value)
        plain = isinstance(value, UUID) or number is not None
        try:
            text = str(value if number is None else number) if plain else text_of(value)
        except ValueError as error:  # Python refuses to write numbers of thousands of digits
            raise InvalidMessage(f"{what} is too large for an id: {error}") from None
        if text is None or not encodable(text):
            raise InvalidMessage(
                f"{what} must be an int, a str, a UUID or an Enum's value of these, not "
                f"{type(value).__name__}"
            )
        return text if self._escaped is None else self._escaped.sub(_as_in_urls, text)


def _parsed(template: str) -> Sequence[tuple[str, str | None]]:
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise InvalidArgument(f"the id template {template!r} cannot be read: {error}") from None
    for _, name, format_spec, conversion in parsed:
        if name is not None and (format_spec or conversion or not _NAME.fullmatch(name)):
            raise InvalidArgument(f"the id template {template!r} {_NOT_PLAIN}, not {{{name}}}")
    parts: list[tuple[str, str | None]] = []
    literal = ""
    for text, name, _, _ in parsed:
        literal += text  # which ends behind each brace that is written twice
        if name is not None:
            parts.append((literal, name))
            literal = ""
    return [*parts, (literal, None)]


def _as_in_urls(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())
