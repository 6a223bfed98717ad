"""What schedulers do: claim, renew and settle, on all shards in turn."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection, Coroutine, Sequence
from datetime import timedelta
from typing import Any, Final

from duly import Message, State, StoreUnavailable
from duly.moment import from_microseconds
from duly.record import UnreadableRecord
from duly.store import Answered, Batch, Key, Settle, Token
from duly_redis.calls import Calls, script
from duly_redis.keys import Shard
from duly_redis.listing import Listing
from duly_redis.settling import buried_series, words
from duly_redis.taken import Taken, glance, taken
from duly_redis.values import load, show

__all__ = ["LARGEST_BATCH", "Claiming"]

LARGEST_BATCH: Final = 1000  # messages; a script of that size holds a server for some 5 ms
_CLAIM: Final = script("leases", "claim")
_SETTLE: Final = script("leases", "settle")
_RENEW: Final = script("leases", "renew")
_MICROSECOND: Final = timedelta(microseconds=1)


class Claiming:
    """Claims from one shard at a time; ``name`` tells wake-ups of one's own from others'."""

    def __init__(
        self,
        calls: Calls,
        shards: Sequence[Shard],
        listing: Listing,
        clock: Callable[[], int],
        name: str,
    ) -> None:
        self._calls = calls
        self._shards = shards
        self._listing = listing
        self._clock = clock
        self._name = name
        self._turn = 0
        self._busy: Collection[int] = ()  # shards that had more when last asked
        # Claims that nobody got the answer of, by shard, and until when they may turn up yet.
        self._lost: list[dict[Token, float]] = [{} for _ in shards]

    async def claim(
        self,
        *,
        limit: int,
        lease: timedelta,
        owner: str,
        suspects: bool,
        settle: Sequence[Settle],
        answered: Answered | None,
    ) -> Batch:
        """Settle on every shard concerned, claim from one, and look at the others."""
        asked, places = await self._asked(settle)
        limit = min(limit, LARGEST_BATCH)
        told = None if answered is None else _when_all(len(asked), answered)

        async def take(
            number: int, limit: int, settles: Sequence[Any] = (), told: Answered | None = None
        ) -> Taken:
            return await self._take(
                number, limit, lease, owner, settles, suspects=suspects, told=told
            )

        chosen = self._next()
        taking = [
            take(number, limit if number == chosen else 0, settles, told)
            for number, settles in enumerate(asked)
        ]
        answers = [await taking[0]] if len(taking) == 1 else await self._all_of(taking, lease)
        mine = answers[chosen]
        outcomes = [answers[number].outcomes[at] for number, at in places]
        self._busy = {number for number, each in enumerate(answers) if each.more}
        if self._busy and mine.is_empty and not mine.more:
            chosen = min(self._busy, key=lambda number: answers[number].next_due or 0)
            with contextlib.suppress(StoreUnavailable):  # else nobody is told what was settled
                mine = answers[chosen] = await take(chosen, limit)
                self._busy = {number for number, each in enumerate(answers) if each.more}
        moments = [each.next_due for each in answers if each.next_due is not None]
        return Batch(
            token=mine.token if mine.claims else None,
            claims=mine.claims,
            now=from_microseconds(mine.now),
            next_due=from_microseconds(min(moments)) if moments else None,
            more=bool(self._busy),
            settled=outcomes,
            unreadable=mine.shown,
            newer=len(mine.newer),
        )

    async def renew(
        self, tokens: Sequence[Token], lease: timedelta
    ) -> Sequence[Collection[Key] | None]:
        """Let leases last from now; the keys that are gone from each, None for a lost one."""
        answers: list[Collection[Key] | None] = [None] * len(tokens)
        for number, shard in enumerate(self._shards):
            places = [at for at, token in enumerate(tokens) if self._shard_of(token) == number]
            if places:
                found = await self._calls.run(
                    _RENEW, shard, self._clock(), lease // _MICROSECOND,
                    [tokens[at] for at in places],
                )  # fmt: skip
                for at, gone in zip(places, found, strict=True):
                    answers[at] = None if gone == 0 else gone
        return answers

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool]:
        """Settle without a claim; one outcome each."""
        asked, places = await self._asked(settles)
        answers: list[Sequence[int]] = []
        for shard, group in zip(self._shards, asked, strict=True):
            answers.append(
                await self._calls.run(_SETTLE, shard, self._clock(), group) if group else ()
            )
        return [bool(answers[number][at]) for number, at in places]

    async def give_back(self) -> None:
        """Put back what was claimed for nobody, as far as it has turned up by now."""
        for number, lost in enumerate(self._lost):
            if lost:
                await self._take(number, 0, timedelta(0), "", (), suspects=True)

    async def _take(
        self,
        number: int,
        limit: int,
        lease: timedelta,
        owner: str,
        settles: Sequence[Any],
        *,
        suspects: bool,
        told: Answered | None = None,
    ) -> Taken:
        """Claim from one shard; with ``limit`` 0 only settle and look."""
        shard, now = self._shards[number], asyncio.get_running_loop().time()
        token, late = f"{number}-{os.urandom(16).hex()}", now + lease.total_seconds()
        lost = self._lost[number]
        for each in [each for each, until in lost.items() if until < now]:
            del lost[each]
        try:
            answer = await self._calls.run(
                _CLAIM, shard, self._clock(), settles, list(lost), limit,
                lease // _MICROSECOND, owner, suspects, token, self._name,
            )  # fmt: skip
            if told is not None:
                await told(*glance(answer, suspects=suspects))
            mine = taken(token, answer, suspects=suspects)
            for each in mine.found:
                lost.pop(each, None)
            if mine.odd:
                await self._set_aside(shard, mine)
        except BaseException:
            # It may have been carried out, now or when the server thaws: nobody has its messages.
            if limit:
                lost[token] = late
            raise
        return mine

    async def _set_aside(self, shard: Shard, mine: Taken) -> None:
        settle = words(mine.aside(), {})
        await self._calls.run(_SETTLE, shard, self._clock(), [settle])
        ids = [key.partition(b"\n")[2].decode(errors="replace") for key in mine.unreadable]
        mine.shown = [show(kept) for kept in await self._listing.read(ids) if kept is not None]

    async def _all_of(
        self, taking: Sequence[Coroutine[Any, Any, Taken]], lease: timedelta
    ) -> list[Taken]:
        """The answers of all shards; what was claimed is given back when one does not answer."""
        tasks = [asyncio.ensure_future(each) for each in taking]
        try:
            await asyncio.wait(tasks)
            return [task.result() for task in tasks]
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            late = asyncio.get_running_loop().time() + lease.total_seconds()
            for task in tasks:
                if not task.cancelled() and task.exception() is None and task.result().claims:
                    token = task.result().token
                    self._lost[self._shard_of(token)][token] = late
            raise

    async def _asked(
        self, settles: Sequence[Settle]
    ) -> tuple[Sequence[Sequence[Any]], Sequence[tuple[int, int]]]:
        """What each shard is told of settles, and where the outcome of each will stand."""
        series = await self._series(settles)
        asked: list[list[Any]] = [[] for _ in self._shards]
        places: list[tuple[int, int]] = []
        for settle in settles:
            number = self._shard_of(settle.token)
            places.append((number, len(asked[number])))
            asked[number].append(words(settle, series))
        return asked, places

    async def _series(self, settles: Sequence[Settle]) -> dict[str, Message]:
        """The series of which an occurrence is to be buried, those that can be read."""
        found: dict[str, Message] = {}
        ids = buried_series(settles)
        for kept in await self._listing.read(ids) if ids else ():
            if kept is not None:
                with contextlib.suppress(UnreadableRecord):
                    found[kept.id] = load(kept.id, kept.value, kept.changes, State.CLAIMED)
        return found

    def _next(self) -> int:
        """The shard to claim from: the next that had more when last asked, or else the next."""
        number = len(self._shards)
        order = [(self._turn + step) % number for step in range(number)]
        chosen = next((each for each in order if each in self._busy), order[0])
        self._turn = chosen + 1
        return chosen

    def _shard_of(self, token: Token) -> int:
        """Where a token is from; one that is from nowhere is unknown anywhere."""
        number, dash, _ = token.partition("-")
        known = dash and number.isascii() and number.isdigit() and int(number) < len(self._shards)
        return int(number) if known else 0


def _when_all(number: int, answered: Answered) -> Answered:
    """Makes one answer of those of so many shards."""
    given: list[tuple[int, bool]] = []

    async def told(size: int, more: bool) -> None:
        given.append((size, more))
        if len(given) == number:
            await answered(sum(size for size, _ in given), any(more for _, more in given))

    return told
