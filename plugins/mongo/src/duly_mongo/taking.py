"""Marking messages with the token of a lease, and moving others aside: those that are as seen."""

from collections.abc import Mapping, Sequence
from typing import Any

from duly.store import Key, Token
from duly_mongo.namespace import Namespace
from duly_mongo.places import KEY_LENGTH
from duly_mongo.statuses import ASIDE, CLAIMED, SCHEDULED

__all__ = ["Waiting", "keep", "keys_of", "move_aside", "put_strays_back", "take", "whole"]

Waiting = Mapping[str, Any]
"""What is known of a message before it is claimed: its id and its place in line."""


async def take(
    space: Namespace, wanted: Sequence[Waiting], lease: Mapping[str, Any]
) -> Sequence[Waiting]:
    """Mark what is still there with the token of a lease; those that were."""
    token = lease["_id"]
    marked = await space.messages.update_many(
        {
            **_as_seen(wanted, [(each["whole"] or {}).get("revision") for each in wanted]),
            "$expr": {"$lt": [space.now(), lease["expires_at"]]},  # should we have slept since
        },
        {"$set": {"status": CLAIMED, "token": token}, "$unset": {"aside": ""}},
    )
    if marked.matched_count == len(wanted):
        return wanted
    ours = {each["_id"] for each in await space.find({"token": token}, ["_id"])}
    # A caller that cancelled one of ours since was told CLAIMED, so it must count as claimed.
    told = await space.leases.find_one({"_id": token}, ["withdrawn"]) or {}
    withdrawn = {*told.get("withdrawn", ())}
    return [
        each
        for each, key in zip(wanted, keys_of(wanted), strict=True)
        if each["_id"] in ours or key in withdrawn
    ]


async def move_aside(space: Namespace, wanted: Sequence[Waiting]) -> int:
    """Let those wait in the sidings of their event names that still wait in line; how many."""
    if not wanted:
        return 0
    aside = {"status": ASIDE, "aside": {"name": "$event_name", "due": "$due"}}
    moved = await space.messages.update_many(
        _as_seen(wanted, [each.get("revision") for each in wanted]), [{"$set": aside}]
    )
    return int(moved.matched_count)


async def put_strays_back(space: Namespace) -> None:
    """Let those wait in line that somebody has changed so that they are in no siding."""
    lost = {"status": ASIDE, "aside.name": {"$not": {"$gt": ""}}}
    back = {"$set": {"status": SCHEDULED}, "$unset": {"aside": ""}}
    await space.messages.update_many(lost, back)


async def whole(space: Namespace, wanted: Sequence[Waiting]) -> Sequence[Waiting]:
    """The same with the whole documents, but for those that are not as they were seen."""
    query = {"_id": {"$in": [each["_id"] for each in wanted]}}
    found = {each["_id"]: each for each in await space.find(query)} if wanted else {}
    seen = ("due", "status", "revision")
    return [
        {**each, "whole": document}
        for each in wanted
        if (document := found.get(each["_id"])) is not None
        and all(document.get(name) == each.get(name) for name in seen)
    ]


async def keep(space: Namespace, token: Token, noted: Sequence[str], keys: Sequence[Key]) -> None:
    """Make a lease hold what was really claimed."""
    if not keys:
        await space.leases.delete_one({"_id": token})
    elif keys != noted:
        await space.leases.update_one({"_id": token}, {"$set": {"keys": [*keys]}})


def keys_of(waiting: Sequence[Waiting]) -> list[str]:
    """Their keys, as claims name them."""
    return [f"{each['due'][-KEY_LENGTH:]}{each['_id']}" for each in waiting]


def _as_seen(wanted: Sequence[Waiting], revisions: Sequence[object]) -> dict[str, Any]:
    return {
        "_id": {"$in": [each["_id"] for each in wanted]},
        "status": {"$in": sorted({each["status"] for each in wanted})},
        "due": {"$in": [each["due"] for each in wanted]},
        # What a series is may have been changed in its place since it was looked at.
        "revision": {"$in": [None, *(each for each in revisions if isinstance(each, str))]},
    }
