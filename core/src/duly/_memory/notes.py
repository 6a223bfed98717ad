"""The notes of the memory store."""

from collections.abc import Mapping
from datetime import datetime
from secrets import token_urlsafe
from typing import Final

from duly.store import Note

__all__ = ["Notes"]

_BYTES: Final = 12  # of a revision, at random


class Notes:
    """Each by its name: what it holds, and which writing of it this is. The caller locks."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[bytes, str]] = {}

    def read(self, name: str, now: datetime) -> Note | None:
        """The note of that name; None when there is none."""
        kept = self._kept.get(name)
        return None if kept is None else Note(*kept, now)

    def write(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        """Write or delete it if it is still of that revision, None for not there; the new one."""
        kept = self._kept.get(name)
        if (None if kept is None else kept[1]) != revision:
            return None
        new = token_urlsafe(_BYTES)
        if value is not None:
            self._kept[name] = value, new
        elif kept is not None:
            del self._kept[name]
        return new

    def beginning_with(self, prefix: str, now: datetime) -> Mapping[str, Note]:
        """All whose names begin with that, in order."""
        found = sorted(name for name in self._kept if name.startswith(prefix))
        return {name: Note(*self._kept[name], now) for name in found}
