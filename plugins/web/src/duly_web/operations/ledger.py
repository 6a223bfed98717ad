"""Where operations are written down: a note of the store each."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import attrs
import msgspec

from duly import Client, MessageNotFound, StoreUnavailable, WrongState
from duly.moment import to_microseconds
from duly.notebook import Notebook
from duly_web.operations.record import NOT_YET, Record

__all__ = ["Entry", "Ledger"]

_KEPT: Final = 7 * 86_400_000_000  # microseconds that an ended one is kept
_MOST: Final = 200  # that have ended
_TRIES: Final = 20
_WRITING: Final = 600_000_000  # microseconds that it may take to write one down


@attrs.frozen
class Entry:
    """A record as it was read, in which writing of its note, at which moment of the store's."""

    record: Record
    revision: str
    now: datetime


class Ledger:
    """The operations of one store, for all workers that share it."""

    def __init__(self, client: Client) -> None:
        self._book = Notebook(client, "web")

    async def all(self) -> Sequence[Entry]:
        """All that can be read, the latest first; those that ended long ago are removed."""
        found = [each for each in map(_entry, (await self._book.all()).values()) if each]
        found.sort(key=lambda each: (each.record.starts_at, each.record.id), reverse=True)
        ended = [each for each in found if each.record.ended]
        old = [
            each
            for number, each in enumerate(ended)
            if number >= _MOST or to_microseconds(each.now) - (each.record.ended_at or 0) > _KEPT
        ]
        old += [each for each in found if _is_left(each)]
        for each in old:
            await self._book.write(each.record.id, None, each.revision)
        return [each for each in found if each not in old]

    async def read(self, id: str) -> Entry:
        """One of them.

        Raises:
            MessageNotFound: there is none of that id.
        """
        note = await self._book.read(id)
        entry = None if note is None else _entry(note)
        if entry is None:
            raise MessageNotFound(f"no operation {id!r}: it never was, or ended over a week ago")
        return entry

    async def add(self, record: Record) -> Entry:
        """Write a new one down."""
        await self._book.write(record.id, msgspec.json.encode(record), None)
        return await self.read(record.id)

    async def forget(self, entry: Entry) -> None:
        """Remove one that was never begun."""
        await self._book.write(entry.record.id, None, entry.revision)

    async def write(self, entry: Entry, record: Record) -> Entry | None:
        """Write it if it is as it was read; None if it is another by now."""
        revision = await self._book.write(record.id, msgspec.json.encode(record), entry.revision)
        return None if revision is None else Entry(record, revision, entry.now)

    async def change(self, id: str, change: Callable[[Entry], Record]) -> Entry:
        """Change one, whatever it is by now.

        Raises:
            MessageNotFound: there is none of that id.
            StoreUnavailable: too many change it at once.
        """
        for _ in range(_TRIES):
            entry = await self.read(id)
            written = await self.write(entry, change(entry))
            if written is not None:
                return written
        raise StoreUnavailable("too many change this operation at once: call again")

    async def stop(self, id: str) -> Entry:
        """Have it stop: at once where it has not begun.

        Raises:
            WrongState: it has ended.
        """

        def stopped(entry: Entry) -> Record:
            record = entry.record
            if record.ended:
                left = (
                    "; to hold what it has spread, pause its events"
                    if record.rate_per_second
                    else ""
                )
                raise WrongState(f"the operation {id!r} has ended: it is {record.state}{left}")
            now = to_microseconds(entry.now)
            if record.state == "pending" or record.held_until <= now:
                return msgspec.structs.replace(record, state="stopped", ended_at=now)
            return msgspec.structs.replace(record, state="stopping")

        return await self.change(id, stopped)


def _is_left(entry: Entry) -> bool:
    """Whether whoever was writing it down has died meanwhile."""
    record = entry.record
    since = to_microseconds(entry.now) - record.created_at
    return record.starts_at == NOT_YET and since > _WRITING


def _entry(note: object) -> Entry | None:
    value, revision, now = (getattr(note, name) for name in ("value", "revision", "now"))
    try:
        return Entry(msgspec.json.decode(value, type=Record), revision, now)
    except ValueError:  # of a newer version
        return None
