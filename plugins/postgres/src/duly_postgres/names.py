"""The names of a store's tables, checked once and quoted; statements are filled in with them."""

import hashlib
import re
from typing import Final

from duly import InvalidArgument

__all__ = ["Names"]

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_LONGEST: Final = 63  # bytes of a name in PostgreSQL
_LONGEST_SUFFIX: Final = "_event_name_idx"


class Names:
    """The names of a namespace: ``table`` and what is named after it, in ``schema``.

    ``schema`` None stands for the first of the connection's search path until it is known; see
    :meth:`within`. Names have only letters, digits and underscores, and are short enough for all
    names derived from them.

    Raises:
        InvalidArgument: a name that is empty, too long, or has other characters.
    """

    def __init__(self, table: str, schema: str | None) -> None:
        self.table = _checked("table", table, _LONGEST - len(_LONGEST_SUFFIX))
        self.schema = None if schema is None else _checked("schema", schema, _LONGEST)
        place = "" if self.schema is None else f'"{self.schema}".'
        self._words: Final = {
            "messages": f'{place}"{table}"',
            "due": f'{place}"{table}_due"',
            "leases": f'{place}"{table}_leases"',
            "floors": f'{place}"{table}_floors"',
            "aside": f'{place}"{table}_aside"',
            "notes": f'{place}"{table}_notes"',
            "version": f'{place}"{table}_version"',
            "schedule": f'{place}"{table}_schedule"',
            "moved": f'{place}"{table}_moved"',
            "table": table,
            "channel": self.channel,
        }
        self._filled: dict[str, str] = {}

    def __str__(self) -> str:
        return self.table if self.schema is None else f"{self.schema}.{self.table}"

    def within(self, schema: str) -> "Names":
        """The same names in a schema that is now known."""
        return self if self.schema is not None else Names(self.table, schema)

    def __call__(self, statement: str) -> str:
        """A statement with its ``{messages}``, ``{due}``, ``{leases}`` and so on filled in."""
        filled = self._filled.get(statement)
        if filled is None:
            filled = self._filled[statement] = statement.format_map(self._words)
        return filled

    @property
    def channel(self) -> str:
        """The channel for wake-ups; the same for all who use these tables."""
        name = f"duly:{self}"
        if len(name) < _LONGEST:
            return name
        return f"duly:{hashlib.sha256(name.encode()).hexdigest()[:40]}"

    @property
    def lock(self) -> int:
        """The number of the lock under which the tables are made."""
        digest = hashlib.sha256(f"duly:{self}".encode()).digest()
        return int.from_bytes(digest[:8], signed=True)


def _checked(what: str, name: str, longest: int) -> str:
    if not isinstance(name, str) or not _IDENTIFIER.fullmatch(name) or len(name) > longest:
        raise InvalidArgument(
            f"{what} {name!r:.100} cannot be used: a name has 1 to {longest} letters (a-z), digits "
            "and underscores, and does not begin with a digit"
        )
    return name
