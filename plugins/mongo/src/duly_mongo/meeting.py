"""Messages that wait, as a claim meets them when it looks at names."""

from collections.abc import Mapping
from typing import Any

import attrs

from duly.record import encodable

__all__ = ["Met"]


@attrs.define(eq=False)
class Met:
    """One of the main line, or of a siding, which is ``aside``."""

    document: Mapping[str, Any]
    """What :data:`duly_mongo.looking.LEAN` says."""
    name: str | None
    """Its event name; None for one that cannot be read."""
    recurs: bool
    aside: bool = False
    moves: bool = False
    """Whether it is to be moved aside."""

    @property
    def place(self) -> str:
        """Where it stands, as text that sorts."""
        return str(self.document["due"])

    @classmethod
    def of(cls, document: Mapping[str, Any], *, aside: bool = False) -> "Met":
        """The one of a document."""
        name, recurs = document.get("name"), document.get("recurs") not in ("missing", "null")
        readable = isinstance(name, str) and name and encodable(name)
        return cls(document, name if readable else None, recurs, aside)
