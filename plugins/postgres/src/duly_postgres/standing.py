"""What is stored under the id of a series that is ensured."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from duly import Message, State
from duly.record import Record, UnreadableRecord
from duly.store import Declared, Ensured, ensured
from duly_postgres.connection import Executor, Row
from duly_postgres.following import followed
from duly_postgres.names import Names
from duly_postgres.sql_series import STANDING

__all__ = ["Standing", "already_there"]

_ID: Final = Record._fields.index("id")


class Standing(NamedTuple):
    """It, as the statements STANDING and HOLD_SERIES bring it."""

    key: int
    version: str
    dead: int
    declared: Declared | None
    successor: str | None
    record: Sequence[Any]

    @classmethod
    def of(cls, row: Row) -> "Standing":
        """From a row."""
        key, version, dead, by, generation, successor, *record = row
        declared = None if by is None or generation is None else Declared(by, generation)
        return cls(key, version, dead, declared, successor, record)

    @property
    def id(self) -> str:
        """Under which it is stored."""
        return str(self.record[_ID])

    def is_same(self, wanted: Message) -> bool:
        """Whether it is as it is wanted, whenever that is asked."""
        if self.dead:
            return False
        try:
            message, follows = followed(self.record, self.successor, State.CLAIMED)
        except UnreadableRecord:
            return False
        if follows is not None and message.scheduled_at > follows.cut:
            return False  # it may be over
        return ensured(message, follows, wanted, message.scheduled_at).outcome is Ensured.SAME


async def already_there(
    db: Executor, names: Names, wanted: Sequence[Message]
) -> Sequence[Standing]:
    """Those that are there as they are wanted, found without holding anything."""
    by_id = {message.id: message for message in wanted}
    found = map(Standing.of, await db.fetch(names(STANDING), [*by_id]))
    return [each for each in found if each.is_same(by_id[each.id])]
