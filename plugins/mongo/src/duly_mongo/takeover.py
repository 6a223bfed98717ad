"""Taking over: the leases of a scheduler that is known to be dead end at once."""

import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from duly import StoreUnavailable
from duly.record import encodable
from duly.store import Key, Token
from duly_mongo.errors import translated
from duly_mongo.leases import ROUSED, still_valid
from duly_mongo.namespace import TRIES, Namespace

__all__ = ["TakesOver"]


class TakesOver:
    """The part of a store that is :class:`duly.store.SupportsTakeover`."""

    _space: Callable[[], Awaitable[Namespace]]

    async def lapse(self, owner: str) -> int:
        """End all leases of that owner now; how many messages they held."""
        if not encodable(owner):
            return 0
        with translated():
            return await _lapse(await self._space(), owner)


async def _lapse(space: Namespace, owner: str) -> int:
    cursor = space.leases.find({"owner": owner}, ["_id"])
    tokens: Sequence[Token] = [each["_id"] for each in await cursor.to_list(None)]
    held, left = 0, tokens
    for _ in range(TRIES):
        if not left:
            break
        some, left = await _end(space, left)
        held += some
    else:
        raise StoreUnavailable("MongoDB: its leases are settled all the time: it may work again")
    if tokens and space.transactional:
        # Who sleeps until they would have lapsed has to be woken, and hears of messages alone.
        ours = {"token": {"$in": [*tokens]}}
        await space.messages.update_one(ours, {"$set": {ROUSED: uuid.uuid4().hex}})
    return held


async def _end(space: Namespace, tokens: Sequence[Token]) -> tuple[int, Sequence[Token]]:
    """End leases; how many messages they held, and those that were settled in part meanwhile.

    What a settle has begun with has left the keys by then. It goes on to its end.
    """
    cursor = space.leases.find(still_valid(space, tokens), ["keys"])
    keys: Mapping[Token, Collection[Key]] = {
        each["_id"]: each.get("keys", ()) for each in await cursor.to_list(None)
    }
    there = defaultdict[Token, set[Key]](set)
    for message in await space.find({"token": {"$in": [*keys]}}, ["token", "key"]):
        there[message["token"]].add(f"{message['key']}{message['_id']}")
    end = [{"$set": {"expires_at": space.now(), "ended": True}}]
    held, left = 0, list[Token]()
    for token, noted in keys.items():
        as_read: dict[str, Any] = {**still_valid(space, [token]), "keys": {"$size": len(noted)}}
        ended = await space.leases.update_one(as_read, end)
        if ended.matched_count:
            held += len(there[token].intersection(noted))
        else:
            left.append(token)
    return held, left
