"""Event names as a broker's words: ``?stream=events.{event_name}``, once for all plugins."""

from collections.abc import Callable
from string import Formatter
from typing import Final

from duly.errors import InvalidArgument
from duly.url import mask

__all__ = ["Template"]

_FIELD: Final = "event_name"


class Template:
    """A broker's word, such as a stream or a topic, with ``{event_name}`` where it varies.

    Without the field all messages go to one place. ``encode`` makes an event name fit for the
    broker where not every text does; the rest of the template is taken as it stands. Two braces
    stand for one.
    """

    def __init__(
        self, text: str, *, option: str, encode: Callable[[str], str] | None = None
    ) -> None:
        """Check the text.

        Raises:
            InvalidArgument: an unknown field, braces that do not pair, or an empty text; it names
                the ``option`` of the URL.
        """
        self._text = text
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
            if field is not None and (field != _FIELD or format_spec or conversion):
                raise InvalidArgument(
                    f"{option}: {mask(text)!r} has an unknown field; the only one is {{{_FIELD}}}"
                )
        self.varies = any(field is not None for _, field, _, _ in parts)
        """Whether the event name is part of it."""

    def fill(self, event_name: str) -> str:
        """The broker's word for messages of that name."""
        if self._encode is not None:
            event_name = self._encode(event_name)
        return self._text.format(event_name=event_name)

    def __repr__(self) -> str:
        return f"Template({mask(self._text)!r})"
