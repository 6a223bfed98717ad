"""The mark without which nothing is moved aside: schedulers of older versions would not find it.

A new namespace has it from the beginning, an older one once somebody calls ``migrate()``.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from duly_mongo.namespace import Namespace

__all__ = ["MARK", "is_marked", "is_new", "mark_lines", "mark_statement"]

MARK: Final[Mapping[str, Any]] = {"lines": True}
"""The field of the settings."""


def is_marked(settings: Mapping[str, Any]) -> bool:
    """Whether messages may be moved aside in a namespace with these settings."""
    return settings.get("lines") is True


async def is_new(space: Namespace) -> bool:
    """Whether a namespace without settings is a new one, in which no older version has worked."""
    return await space.messages.find_one({}, ["_id"]) is None


async def mark_lines(space: Namespace, id: str, fresh: Mapping[str, Any]) -> None:
    """Mark a namespace; ``fresh`` are its settings if it has none."""
    await space.leases.update_one({"_id": id}, _update(fresh), upsert=True)


def mark_statement(space: Namespace, id: str, fresh: Mapping[str, Any]) -> str:
    """What marks it, as the shell takes it."""
    collection = json.dumps(space.leases.name)
    words = ", ".join(map(json.dumps, ({"_id": id}, _update(fresh), {"upsert": True})))
    return f"db.getCollection({collection}).updateOne({words})"


def _update(fresh: Mapping[str, Any]) -> dict[str, Any]:
    return {"$set": {**MARK}, "$setOnInsert": {**fresh}}
