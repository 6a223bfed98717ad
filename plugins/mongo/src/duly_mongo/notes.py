"""Notes: small documents beside the messages, each changed in one step."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from bson.binary import Binary
from pymongo.errors import DuplicateKeyError

from duly import InvalidArgument
from duly.moment import from_microseconds
from duly.record import encodable
from duly.store import Note
from duly_mongo.errors import translated
from duly_mongo.namespace import Namespace

__all__ = ["KeepsNotes"]

_LAST: Final = "\U0010ffff"
_SURROGATES: Final = range(0xD800, 0xE000)  # which no text has that can be stored


class KeepsNotes:
    """The part of a store that is :class:`duly.store.SupportsNotes`."""

    _space: Callable[[], Awaitable[Namespace]]

    async def read_note(self, name: str) -> Note | None:
        """The note of that name; None when there is none."""
        if not encodable(name):
            return None
        with translated():
            return (await _found(await self._space(), {"_id": name})).get(name)

    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        """Write or delete a note if it is still as it was read; its revision, None if it is not.

        Raises:
            InvalidArgument: a name that cannot be written as UTF-8.
        """
        if not encodable(name):
            raise InvalidArgument(f"a note cannot have the name {name!r:.300}")
        new = uuid.uuid4().hex
        with translated():
            done = await _write((await self._space()).notes, name, value, revision, new)
        return new if done else None

    async def notes(self, prefix: str) -> Mapping[str, Note]:
        """All notes whose names begin with that, by their names in order."""
        if not encodable(prefix):
            return {}
        # Not by a pattern, of which a server may have ideas of its own. A range is one of texts.
        names = {"$gte": prefix}
        if (end := _behind(prefix)) is not None:
            names["$lt"] = end
        with translated():
            found = await _found(await self._space(), {"_id": names})
        return {name: found[name] for name in sorted(found)}


async def _write(
    notes: Any, name: str, value: bytes | None, revision: str | None, new: str
) -> bool:
    """Whether it was still of that revision, and is of the new one or gone now."""
    before = {"_id": name, "revision": revision}
    if value is None:
        if revision is None:
            return await notes.find_one({"_id": name}, ["_id"]) is None
        return bool((await notes.delete_one(before)).deleted_count)
    fields = {"value": Binary(value), "revision": new}
    if revision is not None:
        return bool((await notes.update_one(before, {"$set": fields})).matched_count)
    try:
        await notes.insert_one({"_id": name, **fields})
    except DuplicateKeyError:
        return False
    return True


async def _found(space: Namespace, query: Mapping[str, Any]) -> dict[str, Note]:
    fields = {"value": 1, "revision": 1, "now": space.now()}
    found = await space.aggregate(space.notes, [{"$match": query}, {"$project": fields}])
    return {
        each["_id"]: Note(
            bytes(each["value"]), each["revision"], from_microseconds(int(each["now"]))
        )
        for each in found
        if isinstance(each.get("value"), bytes) and isinstance(each.get("revision"), str)
    }


def _behind(prefix: str) -> str | None:
    """The first text behind all that begin with that; None when nothing is."""
    stem = prefix.rstrip(_LAST)
    if not stem:
        return None
    code = ord(stem[-1]) + 1
    return stem[:-1] + chr(_SURROGATES.stop if code in _SURROGATES else code)
