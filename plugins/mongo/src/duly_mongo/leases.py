"""Leases: a document for each batch in hand. Ending those that lapsed, renewing the others.

A message in hand has the lease's token. Each change of one has that token as a condition, so that
messages put back, cancelled or replaced meanwhile are not touched.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final

from bson.int64 import Int64

from duly.store import Key, Token
from duly_mongo.namespace import Namespace
from duly_mongo.statuses import PUT_BACK

__all__ = ["MICROSECOND", "ROUSED", "orphans", "put_back", "renew", "still_valid"]

MICROSECOND: Final = timedelta(microseconds=1)

ROUSED: Final = "roused"
"""The field of a message in hand that is written so that those who wait for changes look again."""

_COUNT_LAPSE: Final = (
    {"$set": {"lapses": {"$cond": [{"$isNumber": "$lapses"}, {"$add": ["$lapses", 1]}, 1]}}},
    {"$unset": ROUSED},
)


def still_valid(space: Namespace, tokens: Sequence[Token]) -> dict[str, Any]:
    """The condition under which a lease is valid, at the moment when the server checks it.

    A statement goes by the moment at which it began, and may come after what ended a lease since.
    """
    unended = {"$gt": ["$expires_at", space.now()]}
    return {"_id": {"$in": [*tokens]}, "$expr": unended, "ended": None}


async def put_back(space: Namespace, tokens: Sequence[Token], *, lapsed: bool) -> None:
    """Let all that is left in leases wait again at its old place; then forget the leases.

    A lapse is counted for leases that are over, and none for tokens without a lease.
    """
    stages = [*_COUNT_LAPSE, *PUT_BACK] if lapsed else [*PUT_BACK]
    await space.messages.update_many({"token": {"$in": [*tokens]}}, stages)
    await space.leases.delete_many({"_id": {"$in": [*tokens]}})


async def orphans(space: Namespace) -> Sequence[Token]:
    """The tokens of messages in hand that have no lease, which no lapse would bring back.

    A statement that was under way when its lease lapsed may leave some, and so may somebody who
    removes leases. Tokens are read first: no message gets a token before its lease is there.
    """
    tokens = await space.messages.distinct("token", {"token": {"$gt": ""}})
    leases = await space.leases.distinct("_id", {"_id": {"$in": tokens}}) if tokens else []
    return [*{*tokens} - {*leases}]


async def renew(
    space: Namespace, tokens: Sequence[Token], lease: timedelta
) -> Sequence[Collection[Key] | None]:
    """Let leases end so long from now; the keys taken out of each, None for one that is lost."""
    # In this order: a message that leaves a lease leaves its keys first, and so never looks lost.
    held = defaultdict[str, set[str]](set)
    for message in await space.find({"token": {"$in": [*tokens]}}, ["token", "key"]):
        held[message["token"]].add(f"{message['key']}{message['_id']}")
    end = {"$add": [space.now(), Int64(lease // MICROSECOND)]}
    valid = still_valid(space, tokens)
    await space.leases.update_many(valid, [{"$set": {"expires_at": end}}])
    cursor = space.leases.find(still_valid(space, tokens), ["keys"])
    keys = {each["_id"]: each.get("keys", ()) for each in await cursor.to_list(None)}
    return [frozenset(keys[token]) - held[token] if token in keys else None for token in tokens]
