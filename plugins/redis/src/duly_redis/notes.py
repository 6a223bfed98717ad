"""Notes: small documents beside the messages, all of them in the slot of the first shard."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from duly import InvalidArgument
from duly.moment import from_microseconds
from duly.record import encodable
from duly.store import Note
from duly_redis.calls import Calls, script
from duly_redis.keys import Shard
from duly_redis.packing import raw

__all__ = ["KeepsNotes"]

_READ: Final = script("noting", "read_note")
_WRITE: Final = script("noting", "write_note")
_LIST: Final = script("noting", "list_notes")
_REVISION: Final = 32  # digits in front of the value of a note


class KeepsNotes:
    """The part of a store that is :class:`duly.store.SupportsNotes`."""

    _calls: Calls
    _shards: Sequence[Shard]
    _now: Callable[[], int]

    async def read_note(self, name: str) -> Note | None:
        """The note of that name; None when there is none."""
        if not encodable(name):
            return None
        now, kept = await self._calls.run(_READ, self._shards[0], self._now(), name)
        return None if kept is None else _note(kept, now)

    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        """Write or delete a note if it is still as it was read; its revision, None if it is not.

        Raises:
            InvalidArgument: a name that cannot be written as UTF-8.
        """
        if not encodable(name):
            raise InvalidArgument(f"a note cannot have the name {name!r:.300}")
        new = os.urandom(_REVISION // 2).hex()
        before = False if revision is None else revision
        kept = False if value is None else raw(new.encode() + value)
        is_done = await self._calls.run(_WRITE, self._shards[0], self._now(), name, before, kept)
        return new if is_done else None

    async def notes(self, prefix: str) -> Mapping[str, Note]:
        """All notes whose names begin with that, by their names in order."""
        found: dict[str, Note] = {}
        if not encodable(prefix):
            return found
        beginning = prefix.encode()
        # No byte of a name is as high as the one behind it.
        first, end = b"[" + beginning, b"(" + beginning + b"\xff"
        while True:
            now, last, some = await self._calls.run(
                _LIST, self._shards[0], self._now(), raw(first), raw(end)
            )
            for name, kept in zip(some[::2], some[1::2], strict=True):
                found[name.decode()] = _note(kept, now)
            if last is None:
                return found
            first = b"(" + last


def _note(kept: bytes, now: int) -> Note:
    return Note(kept[_REVISION:], kept[:_REVISION].decode(), from_microseconds(now))
