"""What is checked when a store is opened: the name of the collection, and the server."""

from typing import Any, Final

from pymongo.errors import OperationFailure

from duly import InvalidArgument, StoreError
from duly.store import Clock
from duly_mongo import schema
from duly_mongo.handles import Source
from duly_mongo.namespace import Namespace

__all__ = ["checked_name", "hello", "opened", "prepared"]

_OLDEST: Final = 9  # the wire version of MongoDB 4.4, which has $unionWith
_LONGEST: Final = 180  # bytes, so that database, collection and index have 255 together


def checked_name(name: object) -> str:
    """The name of a collection.

    Raises:
        InvalidArgument: it cannot be the name of a collection.
    """
    if not isinstance(name, str):
        raise InvalidArgument(f"collection must be text, not {type(name).__name__}")
    if (
        not name.isprintable()
        or not name
        or "$" in name
        or ".." in name
        or name.startswith((".", "system."))
        or name.endswith(".")
        or len(name.encode(errors="replace")) > _LONGEST
    ):
        raise InvalidArgument(
            f"collection: {name!r:.200} cannot be its name: a name has 1 to {_LONGEST} bytes, "
            "no $, no control character and no empty part, and does not start with 'system.'"
        )
    return name


async def opened(source: Source, collection: str, clock: Clock | None) -> Namespace:
    """The namespace, if the server can be used.

    Raises:
        StoreError: it is too old, the write concern is w=0, which gives no answers, or what exists
            under these names is no plain collection.
    """
    database = await source.open()
    told = await hello(database)
    if told.get("maxWireVersion", 0) < _OLDEST:
        raise StoreError("MongoDB: this server is too old: duly needs MongoDB 4.4 or later")
    transactional = "setName" in told or told.get("msg") == "isdbgrid"
    space = Namespace(database, collection, clock, transactional=transactional)
    if not space.write_concern.acknowledged:
        raise StoreError(
            "MongoDB: the handle has the write concern w=0, with which nobody knows what is "
            "stored: leave it out, or give w=1 or more"
        )
    await schema.check_collections(space)
    return space


async def prepared(
    source: Source, collection: str, clock: Clock | None, *, migrates: bool
) -> Namespace:
    """The same, with settings and, where it ``migrates``, with all indexes.

    Raises:
        StoreError: as :func:`opened`, or it is of a later version.
    """
    space = await opened(source, collection, clock)
    if migrates:
        await schema.migrate(space, dry_run=False, marks=False)
    await schema.mark(space)
    return space


async def hello(database: Any) -> dict[str, Any]:
    """What the server says of itself; nothing where it is too old to be asked so."""
    try:
        answer: dict[str, Any] = await database.command("hello")
    except OperationFailure as error:
        if error.code == 59:  # no such command: it came with 4.4.2
            return {}
        raise
    return answer
