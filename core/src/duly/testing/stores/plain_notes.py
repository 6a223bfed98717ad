"""The notes of the plain store: a dictionary."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from uuid import uuid4

from duly.store import Note


class PlainNotes(ABC):
    """Keeps notes; :class:`duly.store.SupportsNotes` says what each verb does."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[bytes, str]] = {}
        """By name: the value and the revision."""

    @abstractmethod
    def now(self) -> datetime:
        """The store's time."""

    async def read_note(self, name: str) -> Note | None:
        kept = self.kept.get(name)
        return None if kept is None else Note(*kept, self.now())

    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        if (self.kept[name][1] if name in self.kept else None) != revision:
            return None
        new = self.revision()
        if value is None:
            self.kept.pop(name, None)
        else:
            self.kept[name] = value, new
        return new

    async def notes(self, prefix: str) -> Mapping[str, Note]:
        found = sorted(name for name in self.kept if name.startswith(prefix))
        return {name: Note(*self.kept[name], self.now()) for name in found}

    def revision(self) -> str:
        """One that was never used."""
        return uuid4().hex
