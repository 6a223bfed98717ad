"""Claiming: look at what is due, write a lease, mark the messages with its token.

Messages that somebody else marked or moved meanwhile are left to them. Only then does it take more
than these three round trips: to read back which ones were left for us, and to look for others.
"""

import asyncio
import contextlib
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from operator import itemgetter
from typing import Any, Final

from bson.int64 import Int64

from duly import Message, StoreError
from duly.moment import from_microseconds
from duly.store import NEWER_PAUSE, Batch, Key, Settle, Token
from duly_mongo.answering import Settler
from duly_mongo.aside import set_aside
from duly_mongo.leases import MICROSECOND, orphans, put_back
from duly_mongo.looking import View, look
from duly_mongo.namespace import Namespace
from duly_mongo.places import KEY_LENGTH, moment_of, new_keys
from duly_mongo.schema import check_usable
from duly_mongo.sorting import Found, sort_out
from duly_mongo.statuses import CLAIMED, SUSPECT

__all__ = ["Claimer"]

_SWEEP: Final = 60 * 10**6  # microseconds between looks for what is in hand without a lease
_FURTHEST: Final = 8  # batches that a claim skips at most if many others claim
_TRIES: Final = 10  # to fill a batch from which others took messages first

Waiting = Mapping[str, Any]
"""What is known of a message before it is claimed: its id and its place in line."""


class Claimer:
    """Claims, and remembers how many others claim and which of its own claims failed."""

    def __init__(self, space: Namespace) -> None:
        self._space = space
        self._skips = 0  # of so many batches at most, because others were quicker
        self._failed: set[Token] = set()  # claims that broke off: they may have taken something
        self._settler = Settler(space)
        self._swept: int | None = None

    async def claim(
        self, limit: int, lease: timedelta, owner: str, settles: Sequence[Settle], *, suspects: bool
    ) -> Batch:
        """First the settles, then up to ``limit`` due messages for ``lease``."""
        await self.give_back_failed()
        async with self._settler.settling(settles) as settled:
            return await self._claim(limit, lease, owner, settled, suspects=suspects)

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool]:
        """Do what settles say, in order; False, and nothing, for a token that is not valid."""
        async with self._settler.settling(settles) as settled:
            return settled

    async def _claim(
        self,
        limit: int,
        lease: timedelta,
        owner: str,
        settled: Sequence[bool],
        *,
        suspects: bool,
    ) -> Batch:
        view = await self._view(limit, suspects=suspects)
        try:
            check_usable(self._space, view.settings)
        except StoreError:
            if not settled:
                raise
            return _batch(view, (), Found(), settled)
        taken = view.taken(limit)
        odd = [each for each in taken if moment_of(each.get("due")) is None]
        if odd or not taken:
            return _batch(view, odd, Found(unreadable=await self._set_aside(odd)), settled)
        token, end, noted = new_keys(1)[0], view.now + lease // MICROSECOND, _keys(taken)
        held = {"_id": token, "expires_at": Int64(end), "owner": owner, "keys": noted}
        try:
            await self._space.leases.insert_one(held)
            view, taken = await self._gather(view, taken, limit, held)
            found = await sort_out(self._space, [each["whole"] for each in taken], token, view.now)
            await self._keep(token, noted, [each.key for each in found.claims])
        except BaseException:
            self._failed.add(token)
            raise
        return _batch(view, taken, found, settled, token)

    async def give_back_failed(self) -> None:
        """Put back what failed claims took."""
        if self._failed:
            failed = [*self._failed]
            await put_back(self._space, failed, lapsed=False)
            self._failed.difference_update(failed)

    async def give_back_unwanted(
        self, claim: "asyncio.Task[Batch]", settles: Sequence[Settle]
    ) -> None:
        """Wait for a claim that nobody waits for any more, and put back what it brings."""
        with contextlib.suppress(Exception):  # it broke off: then the next claim puts it back
            batch = await claim
            self._settler.remember(settles, batch.settled)
            if batch.token is not None:
                self._failed.add(batch.token)
                await self.give_back_failed()

    async def _view(self, limit: int, *, suspects: bool) -> View:
        """What there is to claim, when all that lapsed is back in line."""
        skip = random.randint(0, self._skips) * limit  # noqa: S311  # spreads, keeps no secret
        view = await look(self._space, limit, suspects=suspects, skip=skip)
        lapsed = {*view.lapsed}
        if self._swept is None or not 0 <= view.now - self._swept < _SWEEP:
            lapsed.update(await orphans(self._space))
            self._swept = view.now
        if lapsed:
            await put_back(self._space, [*lapsed], lapsed=True)
        if lapsed or (skip and not view.taken(limit)):
            view = await look(self._space, limit, suspects=suspects)
        return view

    async def _set_aside(self, odd: Sequence[Waiting]) -> Sequence[Message]:
        """What has the status of waiting but no place in line: it comes first, and alone."""
        if not odd:
            return ()
        ids = {"_id": {"$in": [each["_id"] for each in odd]}}
        return [await set_aside(self._space, each, None) for each in await self._space.find(ids)]

    async def _gather(
        self, view: View, wanted: Sequence[Waiting], limit: int, lease: Mapping[str, Any]
    ) -> tuple[View, Sequence[Waiting]]:
        """Take what is wanted, and other messages in place of those that somebody took first."""
        taken: list[Waiting] = []
        for _ in range(_TRIES):
            mine = await self._take(wanted, lease)
            taken += mine
            if len(mine) == len(wanted):
                self._skips = 0
                break
            view = await look(self._space, limit - len(taken), suspects=view.with_suspects)
            crowded = 2 * len(mine) < len(wanted) and view.crowded(lease["owner"])
            self._skips = min(self._skips + 1, _FURTHEST) if crowded else 0
            wanted = view.taken(limit - len(taken))
            if (
                view.now >= lease["expires_at"]
                or not wanted
                or moment_of(wanted[0].get("due")) is None
                or (taken and wanted[0]["status"] == SUSPECT)  # that one goes alone
            ):
                break
        return view, sorted(taken, key=itemgetter("due"))

    async def _take(self, wanted: Sequence[Waiting], lease: Mapping[str, Any]) -> Sequence[Waiting]:
        """Mark what is still there with our token; those that were."""
        space, token = self._space, lease["_id"]
        marked = await space.messages.update_many(
            {
                "_id": {"$in": [each["_id"] for each in wanted]},
                "status": wanted[0]["status"],  # of all, or of a suspect alone
                "due": {"$in": [each["due"] for each in wanted]},
                # What a series is may have been changed in its place since it was looked at.
                "revision": {"$in": [None, *_revisions(wanted)]},
                "$expr": {"$lt": [space.now(), lease["expires_at"]]},  # should we have slept since
            },
            {"$set": {"status": CLAIMED, "token": token}},
        )
        if marked.matched_count == len(wanted):
            return wanted
        ours = {each["_id"] for each in await space.find({"token": token}, ["_id"])}
        # A caller that cancelled one of ours since was told CLAIMED, so it must count as claimed.
        told = await space.leases.find_one({"_id": token}, ["withdrawn"]) or {}
        withdrawn = {*told.get("withdrawn", ())}
        return [
            each
            for each, key in zip(wanted, _keys(wanted), strict=True)
            if each["_id"] in ours or key in withdrawn
        ]

    async def _keep(self, token: Token, noted: Sequence[str], keys: Sequence[Key]) -> None:
        """Make the lease hold what was really claimed."""
        if not keys:
            await self._space.leases.delete_one({"_id": token})
        elif keys != noted:
            await self._space.leases.update_one({"_id": token}, {"$set": {"keys": [*keys]}})


def _keys(waiting: Sequence[Waiting]) -> list[str]:
    return [f"{each['due'][-KEY_LENGTH:]}{each['_id']}" for each in waiting]


def _revisions(waiting: Sequence[Waiting]) -> list[str]:
    found = ((each["whole"] or {}).get("revision") for each in waiting)
    return [each for each in found if isinstance(each, str)]


def _batch(
    view: View,
    taken: Sequence[Mapping[str, Any]],
    found: Found,
    settled: Sequence[bool],
    token: Token | None = None,
) -> Batch:
    """What a claim brought, and when to look again."""
    left = view.left(taken)
    coming = [moment_of(each.get("due")) for each in left]
    coming += [view.first_lapse(but=token), *found.coming]
    if found.newer:
        coming.append(view.now + NEWER_PAUSE // MICROSECOND)
    moments = [moment for moment in coming if moment is not None]
    return Batch(
        token=token if found.claims else None,
        claims=found.claims,
        now=from_microseconds(view.now),
        next_due=from_microseconds(min(moments)) if moments else None,
        more=view.more
        or any(view.due(each) for each in left)
        or any(moment <= view.now for moment in found.coming),
        settled=settled,
        unreadable=found.unreadable,
        newer=found.newer,
    )
