"""The indexes, and the document that says for which duly a namespace was made."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pymongo.errors import DuplicateKeyError, NetworkTimeout

from duly import StoreError
from duly.store import unhurried
from duly_mongo.marking import MARK, is_marked, is_new, mark_lines, mark_statement
from duly_mongo.namespace import Namespace

__all__ = [
    "INDEXES",
    "SETTINGS_ID",
    "VERSION",
    "check_collections",
    "check_usable",
    "lacks_mark",
    "mark",
    "migrate",
    "missing",
]

VERSION: Final = 1
"""The version of the layout that this code makes. One usable only by later code is refused."""

SETTINGS_ID: Final = "duly"
"""The document among the leases that is no lease: it has the version, and is always there."""

_FRESH: Final[Mapping[str, Any]] = {"version": VERSION, "usable_from": VERSION}

# No index has a second key after one that is searched by range, and none is partial: with such
# indexes some servers give wrong answers, and going without them costs nothing. Sidings are looked
# for by an event name, or all of them.
INDEXES: Final[Mapping[str, Mapping[str, Any]]] = {
    "duly_due": {"key": {"status": 1, "due": 1}},
    "duly_by_name": {"key": {"event_name": 1, "place": 1}},
    "duly_by_time": {"key": {"place": 1}},
    "duly_dead": {"key": {"dead": 1}, "sparse": True},
    "duly_token": {"key": {"token": 1}, "sparse": True},
    "duly_declared": {"key": {"declared_by": 1}, "sparse": True},
    "duly_aside": {"key": {"aside.name": 1, "aside.due": 1}, "sparse": True},
    "duly_series": {"key": {"recurrence": 1}, "sparse": True},
}
"""By name: what to claim, what to list by name and without one, dead letters, what is in hand,
series that are declared, sidings, and all series."""


async def missing(space: Namespace) -> dict[str, Mapping[str, Any]]:
    """The indexes that the collection still needs.

    Raises:
        StoreError: an index of that name has other keys or options.
    """
    found = await space.messages.index_information()
    needed = {}
    for name, index in INDEXES.items():
        there = found.get(name)
        if there is None:
            needed[name] = index
            continue
        same = [*map(tuple, there["key"])] == [*index["key"].items()]
        odd = {"unique", "partialFilterExpression", "expireAfterSeconds", "collation"} & {*there}
        if not same or bool(there.get("sparse")) is not bool(index.get("sparse")) or odd:
            raise StoreError(
                f"MongoDB: {space.messages.name} has an index {name} with other keys or options "
                f"({there['key']}): drop it and open the store again, or choose another collection"
            )
    return needed


def _statement(space: Namespace, name: str) -> str:
    """What makes an index, as the shell takes it."""
    index = INDEXES[name]
    options = json.dumps({"name": name, **{k: v for k, v in index.items() if k != "key"}})
    collection, keys = json.dumps(space.messages.name), json.dumps(index["key"])
    return f"db.getCollection({collection}).createIndex({keys}, {options})"


async def migrate(space: Namespace, *, dry_run: bool, marks: bool) -> Sequence[str]:
    """Make the indexes that are missing, and ``marks`` a namespace if need be; the statements."""
    needed = await missing(space)
    unmarked = marks and await lacks_mark(space)
    if needed and not dry_run:
        with unhurried():
            await _make(space, [{"name": name, **index} for name, index in needed.items()])
    if unmarked and not dry_run:
        await mark_lines(space, SETTINGS_ID, _FRESH)
    statements = [_statement(space, name) for name in needed]
    return [*statements, mark_statement(space, SETTINGS_ID, _FRESH)] if unmarked else statements


async def lacks_mark(space: Namespace) -> bool:
    """Whether nothing may be moved aside: an older version made the namespace."""
    settings = await space.leases.find_one({"_id": SETTINGS_ID})
    return not (await is_new(space) if settings is None else is_marked(settings))


async def _make(space: Namespace, indexes: Sequence[Mapping[str, Any]]) -> None:
    """Make indexes, however long that takes.

    When the driver stops waiting, the server goes on: asking again waits for the same work. A
    server that is away does not even take the request.
    """
    while True:
        with contextlib.suppress(NetworkTimeout):
            await space.database.command("createIndexes", space.messages.name, indexes=indexes)
            return


async def mark(space: Namespace) -> None:
    """Mark a new namespace as one of this version.

    Raises:
        StoreError: it is one of a later version.
    """
    settings = await space.leases.find_one({"_id": SETTINGS_ID})
    if settings is None:
        settings = {"_id": SETTINGS_ID, **_FRESH, **(MARK if await is_new(space) else {})}
        with contextlib.suppress(DuplicateKeyError):  # somebody else was quicker
            await space.leases.insert_one(settings)
    else:
        check_usable(space, settings)


def check_usable(space: Namespace, settings: Mapping[str, Any]) -> None:
    """Check that a namespace with these settings is one for this version.

    Raises:
        StoreError: it is one for a later version.
    """
    usable_from = settings.get("usable_from")
    if isinstance(usable_from, int) and usable_from > VERSION:
        raise StoreError(
            f"MongoDB: {space.messages.name} is usable from version {usable_from} of its layout "
            f"on, this duly-mongo has version {VERSION}: upgrade it"
        )


async def check_collections(space: Namespace) -> None:
    """Check that what exists under these names can be used.

    Raises:
        StoreError: it is not a plain collection.
    """
    for collection in (space.messages, space.leases, space.floors, space.notes):
        answer = await space.database.command("listCollections", filter={"name": collection.name})
        for found in answer["cursor"]["firstBatch"]:
            options = found.get("options", {})
            odd = [each for each in ("capped", "collation", "timeseries") if options.get(each)]
            if found.get("type", "collection") != "collection":
                odd.append(found["type"])
            if odd:
                raise StoreError(
                    f"MongoDB: {collection.name} is not a plain collection ({', '.join(odd)}): "
                    "choose another name"
                )
