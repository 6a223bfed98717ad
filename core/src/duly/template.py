"""Event names as a broker's words: ``?stream=events.{event_name}``, once for all plugins."""

import re
from collections.abc import Callable, Collection
from string import Formatter
from typing import Final

from duly._values.plain import text_of
from duly.errors import InvalidArgument
from duly.url import mask

__all__ = ["Template"]

_FIELD: Final = "event_name"


class Template:
    """A broker's word, such as a stream or a topic, with ``{event_name}`` where it varies.

    Without the field all messages go to one place. ``fields`` are those that may stand in it, where
    there are more, which :meth:`fill` then has to be given. ``encode`` makes an event name fit for
    the broker where not every text does; the rest of the template is taken as it stands. Two braces
    stand for one.
    """

    def __init__(
        self,
        text: str,
        *,
        option: str,
        encode: Callable[[str], str] | None = None,
        fields: Collection[str] = (_FIELD,),
    ) -> None:
        """Check the text.

        Raises:
            InvalidArgument: an unknown field, braces that do not pair, or an empty text; it names
                the ``option`` of the URL.
        """
        plain = text_of(text)
        if plain is None:
            raise InvalidArgument(f"{option}: it must be text, not {type(text).__name__}")
        self._text = text = plain
        self._encode = encode
        if not text:
            raise InvalidArgument(f"{option}: it is empty: write for example {{{_FIELD}}}")
        try:
            parts = list(Formatter().parse(text))
        except ValueError:
            raise InvalidArgument(
                f"{option}: {mask(text)!r} has a brace without its partner: "
                "write {{ for one of them"
            ) from None
        for _, field, format_spec, conversion in parts:
            if field is not None and (field not in fields or format_spec or conversion):
                known = ", ".join(f"{{{each}}}" for each in fields)
                known = f"the only one is {known}" if len(fields) == 1 else f"known: {known}"
                raise InvalidArgument(f"{option}: {mask(text)!r} has an unknown field; {known}")
        self.varies = any(field is not None for _, field, _, _ in parts)
        """Whether the event name is part of it."""

    def fill(self, event_name: str, **more: str) -> str:
        """The broker's word for messages of that name, and of what ``more`` its fields are."""
        if self._encode is not None:
            event_name = self._encode(event_name)
        return self._text.format(event_name=event_name, **more)

    def taken_from(self, text: str) -> str | None:
        """The event name, as it was encoded, in a word that was filled by this template.

        None where the word does not fit, or the event name is no part of it.
        """
        parts: list[str] = []
        for literal, field, _, _ in Formatter().parse(self._text):
            parts.append(re.escape(literal))
            if field is not None:
                parts.append("(?P=name)" if "(?P<name>.+)" in parts else "(?P<name>.+)")
        found = re.fullmatch("".join(parts), text, re.DOTALL)
        return found["name"] if found is not None and self.varies else None

    def __repr__(self) -> str:
        return f"Template({mask(self._text)!r})"
