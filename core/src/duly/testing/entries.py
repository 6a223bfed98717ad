"""What can be noted of one store and one transport: the vocabulary of a journal."""

from collections.abc import Mapping
from datetime import datetime

import attrs

from duly.message import Message
from duly.moment import to_microseconds
from duly.testing.course import Place

__all__ = ["Entry", "Look", "name_of"]


def name_of(message: Message) -> str:
    """The name of a scheduling: ``<id>:<created_at in microseconds>``, as in its delivery ids."""
    return f"{message.id}:{to_microseconds(message.created_at)}"


@attrs.frozen(kw_only=True)
class Look:
    """What a claim of a store with lines was asked for, and what it said of the rest."""

    limit: int
    most: Mapping[str, int]
    suspects: bool
    brought: int
    moved: int
    more: bool


@attrs.frozen(kw_only=True)
class Entry:
    """Something that happened at a moment by the store's clock, by or to a process.

    ``scheduling`` is the name of what it is about, ``occurrence`` (from 0) and ``moment`` are the
    occurrence and its fire, or the moment it was moved to; ``renamed`` is its name since then.
    ``now`` is the store's time, ``until`` the end of a lease, or when it is due next.
    """

    at: datetime
    what: str
    process: str
    scheduling: str = ""
    id: str = ""
    occurrence: int = 0
    moment: datetime | None = None
    message: Message | None = attrs.field(default=None, repr=False)
    token: str = ""
    now: datetime | None = None
    until: datetime | None = None
    lapses: int = 0
    detail: str = ""
    renamed: str = ""
    look: Look | None = attrs.field(default=None, repr=False)

    @property
    def place(self) -> Place:
        """The occurrence and its fire; None: there is none."""
        return None if self.moment is None else (self.occurrence, self.moment)

    def is_about(self, id: str) -> bool:
        """Whether it concerns an id, or the buried occurrences of a series of that id."""
        own = self.id or self.scheduling.rpartition(":")[0]
        return own == id or own.startswith(f"{id}:")

    def __str__(self) -> str:
        about = self.id or (self.scheduling and f"{self.scheduling}:{self.occurrence}")
        moment = "" if self.moment is None else f" for {self.moment:%H:%M:%S.%f}"
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.at:%H:%M:%S.%f} {self.process}: {self.what} {about}{moment}{detail}"
