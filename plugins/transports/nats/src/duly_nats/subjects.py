"""Event names as subjects: ``?subject=events.{event_name}``."""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from duly.errors import InvalidArgument
from duly.template import Template

__all__ = ["Subjects"]

# Bytes of a template. A server breaks the connection over a line of more than 4096 bytes; the line
# also holds the event name (up to 3060), an inbox (up to 200) and two numbers.
_LONGEST: Final = 500
_EMPTY_PARTS: Final = re.compile(r"^\.|\.(?=\.)|\.$")
_SYSTEM: Final = re.compile(r"\$(SYS|JS)(\.|$)")


@lru_cache(maxsize=4096)
def _encoded(event_name: str) -> str:
    """The name, percent-encoded where a subject may not or should not hold its characters.

    Full stops divide a subject; if nothing is between two of them they are encoded too.
    """
    return _EMPTY_PARTS.sub("%2E", quote(event_name, safe=""))


class Subjects:
    """The subject of each event name.

    Raises:
        InvalidArgument: a template from which no subject can be made, or a subject of the server's.
    """

    def __init__(self, text: str) -> None:
        self._template = Template(text, option="subject", encode=_encoded)
        self.varies = self._template.varies
        """Whether the event name is part of it."""
        example = self._template.fill("x")
        if not example.isprintable() or " " in example:
            raise InvalidArgument(f"subject: {text!r} holds a blank or a control character")
        if "*" in example or ">" in example:
            raise InvalidArgument(f"subject: {text!r} has a wildcard; messages go to one subject")
        if "" in example.split("."):
            raise InvalidArgument(f"subject: {text!r} has nothing before, between or after a dot")
        if _SYSTEM.match(example):
            raise InvalidArgument(f"subject: {text!r} belongs to the server itself")
        if len(example.encode()) > _LONGEST:
            raise InvalidArgument(f"subject: it is longer than {_LONGEST} bytes")

    def __call__(self, event_name: str) -> str:
        """The subject of messages of that name."""
        return self._template.fill(event_name)

    def __repr__(self) -> str:
        return f"Subjects({self._template!r})"
