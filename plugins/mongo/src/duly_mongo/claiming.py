"""Claiming: look at what is due, write a lease, mark the messages with its token.

Messages that somebody else marked or moved meanwhile are left to them. Only then does it take more
than these three round trips: to read back which ones were left for us, and to look for others. It
also does where event names are limited, or some stand aside: see :mod:`duly_mongo.lines`.
"""

import asyncio
import contextlib
import random
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from bson.int64 import Int64

from duly import Message, StoreError
from duly.store import Batch, Settle, Token
from duly_mongo.answering import Settler
from duly_mongo.aside import set_aside
from duly_mongo.batches import Asked, Left, batch_of
from duly_mongo.leases import MICROSECOND, orphans, put_back
from duly_mongo.lines import Plan
from duly_mongo.looking import View, look
from duly_mongo.namespace import Namespace
from duly_mongo.places import moment_of, new_keys
from duly_mongo.schema import check_usable
from duly_mongo.sidings import Turn
from duly_mongo.sorting import Found, sort_out
from duly_mongo.statuses import SUSPECT
from duly_mongo.taking import Waiting, keep, keys_of, move_aside, take, whole

__all__ = ["Claimer"]

_SWEEP: Final = 60 * 10**6  # microseconds between looks for what is in hand without a lease
_FURTHEST: Final = 8  # batches that a claim skips at most if many others claim
_TRIES: Final = 10  # to fill a batch from which others took messages first


class Claimer:
    """Claims, and remembers how many others claim and which of its own claims failed."""

    def __init__(self, space: Namespace) -> None:
        self._space = space
        self._skips = 0  # of so many batches at most, because others were quicker
        self._failed: set[Token] = set()  # claims that broke off: they may have taken something
        self._settler = Settler(space)
        self._swept: int | None = None
        self._turn = Turn()
        self._any_aside = False  # at the last look

    async def claim(self, asked: Asked, settles: Sequence[Settle]) -> Batch:
        """First the settles, then what is asked for."""
        await self.give_back_failed()
        async with self._settler.settling(settles) as settled:
            return await self._claim(asked, settled)

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool]:
        """Do what settles say, in order; False, and nothing, for a token that is not valid."""
        async with self._settler.settling(settles) as settled:
            return settled

    async def _claim(self, asked: Asked, settled: Sequence[bool]) -> Batch:
        view = await self._view(asked, lean=bool(asked.most) or self._any_aside)
        try:
            check_usable(self._space, view.settings)
        except StoreError:
            if not settled:
                raise
            return batch_of(view, Left.behind(view, ()), Found(), settled)
        if view.aside and not view.lean:
            view = await self._view(asked, lean=True)
        if odd := view.odd(asked.limit):
            found = Found(unreadable=await self._set_aside(odd))
            return batch_of(view, Left.behind(view, odd), found, settled)
        if view.lean:
            return await self._claim_in_lines(view, asked, settled)
        taken = view.taken(asked.limit)
        if not taken:
            return batch_of(view, Left.behind(view, ()), Found(), settled)
        held = await self._lease(view, taken, asked)
        with self._noted_if_it_fails(held["_id"]):
            view, taken = await self._gather(view, taken, asked.limit, held)
            found = await self._hand_out(view, taken, held)
        return batch_of(view, Left.behind(view, taken), found, settled, held["_id"])

    async def _claim_in_lines(self, view: View, asked: Asked, settled: Sequence[bool]) -> Batch:
        """The same where names are looked at."""
        moved, found, token = 0, Found(), None
        for _ in range(_TRIES):
            plan = Plan(self._space, view, asked.rooms(), self._turn)
            await plan.make(asked.limit)
            wanted = await whole(self._space, plan.taken)
            gone = await move_aside(self._space, plan.moved)
            taken: Sequence[Waiting] = ()
            if wanted:
                held = await self._lease(view, wanted, asked)
                token = str(held["_id"])
                with self._noted_if_it_fails(token):
                    taken = await take(self._space, wanted, held)
                    found = await self._hand_out(view, taken, held)
            missed = len(plan.taken) + len(plan.moved) - len(taken) - gone
            moved += gone
            if taken or gone or not missed:
                break
            view = await look(self._space, asked.limit, suspects=asked.suspects, lean=True)
        self._any_aside = view.aside or bool(moved)
        left = Left(plan.coming, plan.more or bool(missed), moved, plan.kept_back)
        return batch_of(view, left, found, settled, token)

    async def _lease(self, view: View, taken: Sequence[Waiting], asked: Asked) -> Mapping[str, Any]:
        """A new lease for what is about to be taken."""
        token = new_keys(1)[0]
        held = {
            "_id": token,
            "expires_at": Int64(view.now + asked.lease // MICROSECOND),
            "owner": asked.owner,
            "keys": keys_of(taken),
        }
        with self._noted_if_it_fails(token):
            await self._space.leases.insert_one(held)
        return held

    @contextlib.contextmanager
    def _noted_if_it_fails(self, token: Token) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._failed.add(token)
            raise

    async def _hand_out(
        self, view: View, taken: Sequence[Waiting], lease: Mapping[str, Any]
    ) -> Found:
        """The messages in what was taken; the lease holds these and nothing else."""
        token = lease["_id"]
        found = await sort_out(self._space, [each["whole"] for each in taken], token, view.now)
        await keep(self._space, token, lease["keys"], [each.key for each in found.claims])
        return found

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

    async def _view(self, asked: Asked, *, lean: bool) -> View:
        """What there is to claim, when all that lapsed is back in line."""
        limit, suspects = asked.limit, asked.suspects
        skips = 0 if lean else self._skips
        skip = random.randint(0, skips) * limit  # noqa: S311  # spreads, keeps no secret
        view = await look(self._space, limit, suspects=suspects, skip=skip, lean=lean)
        lapsed = {*view.lapsed}
        if self._swept is None or not 0 <= view.now - self._swept < _SWEEP:
            lapsed.update(await orphans(self._space))
            self._swept = view.now
        if lapsed:
            await put_back(self._space, [*lapsed], lapsed=True)
        if lapsed or (skip and not view.taken(limit)):
            view = await look(self._space, limit, suspects=suspects, lean=lean)
        self._any_aside = view.aside
        return view

    async def _set_aside(self, odd: Sequence[Waiting]) -> Sequence[Message]:
        """What has the status of waiting but no place in line: it comes first, and alone."""
        ids = {"_id": {"$in": [each["_id"] for each in odd]}}
        return [await set_aside(self._space, each, None) for each in await self._space.find(ids)]

    async def _gather(
        self, view: View, wanted: Sequence[Waiting], limit: int, lease: Mapping[str, Any]
    ) -> tuple[View, Sequence[Waiting]]:
        """Take what is wanted, and other messages in place of those that somebody took first."""
        taken: list[Waiting] = []
        for _ in range(_TRIES):
            mine = await take(self._space, wanted, lease)
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
