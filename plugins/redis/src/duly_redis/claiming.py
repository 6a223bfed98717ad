"""What schedulers do: claim, renew and settle, on all shards in turn."""

import contextlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from duly import StoreUnavailable
from duly.moment import from_microseconds
from duly.store import Answered, Batch, Key, Settle, Token
from duly_redis.asking import Asking
from duly_redis.calls import Calls, script
from duly_redis.keys import Shard
from duly_redis.lines import Turn, told
from duly_redis.listing import Listing
from duly_redis.lost import Lost
from duly_redis.records import show
from duly_redis.settling import SETTLE, Settling, words
from duly_redis.taken import Taken, glance, taken

__all__ = ["CLAIM", "LARGEST_BATCH", "Claiming"]

LARGEST_BATCH: Final = 1000  # messages; a script of that size holds a server for some 5 ms
CLAIM: Final = script(
    "burying", "moving", "following", "leases", "outcomes", "order", "rooms", "lines", "claim"
)
_RENEW: Final = script("leases", "renew")
_MICROSECOND: Final = timedelta(microseconds=1)


class Claiming:
    """Claims from one shard at a time; ``name`` tells our own wake-ups from those of others."""

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
        self.moves = False
        """Whether messages may be moved aside."""
        self._turn = 0
        self._turns = [Turn() for _ in shards]
        self._busy: Collection[int] = ()  # shards that had more when last asked
        self._lost = [Lost() for _ in shards]
        self._asking = Asking(calls, shards)
        self._settling = Settling(calls, shards, listing, clock)

    async def claim(
        self,
        *,
        limit: int,
        lease: timedelta,
        owner: str,
        suspects: bool,
        settle: Sequence[Settle],
        answered: Answered | None,
        most: Mapping[str, int],
    ) -> Batch:
        """Settle on every shard concerned, claim from one, and look at the others.

        A shard that does not answer is left out; what is settled there has no outcome then.
        """
        settles, places = self._settling.spread(settle)
        present = self._asking.present()
        limit, rooms = min(limit, LARGEST_BATCH), told(most)
        tell = None
        if answered is not None and settles.keys() <= {*present}:
            tell = _when_all(len(present), answered)

        async def take(
            number: int, limit: int, settles: Sequence[Settle] = (), tell: Answered | None = None
        ) -> Taken:
            return await self._take(
                number, limit, lease, owner, settles, suspects=suspects, rooms=rooms, tell=tell
            )

        chosen = self._next(present)
        answers = dict(
            await self._asking.all(
                {
                    number: take(
                        number, limit if number == chosen else 0, settles.get(number, ()), tell
                    )
                    for number in present
                },
                self._lose,
            )
        )
        outcomes = [
            answers[number].outcomes[at] if number in answers else None for number, at in places
        ]
        mine = answers.get(chosen)
        moved = mine.moved if mine is not None else 0
        self._busy = {number for number, each in answers.items() if each.more}
        if self._busy and (mine is None or (mine.is_empty and not mine.more)):
            chosen = min(self._busy, key=lambda number: answers[number].next_due or 0)
            with contextlib.suppress(StoreUnavailable):  # or the settle outcomes would be lost
                answers |= await self._asking.all({chosen: take(chosen, limit)}, self._lose)
                mine = answers[chosen]
                moved += mine.moved
                self._busy = {number for number, each in answers.items() if each.more}
        if mine is None:
            mine = next(iter(answers.values()))
        moments = [each.next_due for each in answers.values() if each.next_due is not None]
        return Batch(
            token=mine.token if mine.claims else None,
            claims=mine.claims,
            now=from_microseconds(mine.now),
            next_due=from_microseconds(min(moments)) if moments else None,
            more=bool(self._busy),
            settled=outcomes,
            unreadable=mine.shown,
            newer=len(mine.newer),
            moved=moved,
            aside=any(each.kept_back for each in answers.values()),
        )

    async def renew(
        self, tokens: Sequence[Token], lease: timedelta
    ) -> Sequence[Collection[Key] | None]:
        """Let leases last from now; the keys that are gone from each, None for a lost one.

        It is None for a shard that does not answer, too: nobody knows.
        """
        places: dict[int, list[int]] = {}
        for at, token in enumerate(tokens):
            places.setdefault(self._settling.shard_of(token), []).append(at)
        # Side by side, so that no lease lapses because the shard of another does not answer.
        found = await self._asking.all(
            {
                number: self._calls.run(
                    _RENEW, self._shards[number], self._clock(), lease // _MICROSECOND,
                    [tokens[at] for at in places[number]],
                )
                for number in self._asking.present()
                if number in places
            }
        )  # fmt: skip
        answers: list[Collection[Key] | None] = [None] * len(tokens)
        for number, answer in found.items():
            for at, gone in zip(places[number], answer, strict=True):
                answers[at] = None if gone == 0 else gone
        return answers

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool | None]:
        """Settle without a claim; one outcome each."""
        return await self._settling.settle(settles)

    async def give_back(self) -> None:
        """Put back what unheard claims took, as far as it is known by now."""
        await self._asking.all(
            {
                number: self._take(number, 0, timedelta(0), "", (), suspects=True)
                for number in self._asking.present()
                if self._lost[number].tokens()
            }
        )

    async def _take(
        self,
        number: int,
        limit: int,
        lease: timedelta,
        owner: str,
        settles: Sequence[Settle],
        *,
        suspects: bool,
        rooms: Any = False,
        tell: Answered | None = None,
    ) -> Taken:
        """Claim from one shard; with ``limit`` 0 only settle and look."""
        shard = self._shards[number]
        token, lost = f"{number}-{os.urandom(16).hex()}", self._lost[number]
        turn = self._turns[number]
        asked, words = lost.tokens(), await self._settling.words(settles)
        try:
            answer = await self._calls.run(
                CLAIM, shard, self._clock(), words, asked, limit,
                lease // _MICROSECOND, owner, suspects, token, self._name,
                rooms, self.moves, *turn.told(limit),
            )  # fmt: skip
            if tell is not None:
                await tell(*glance(answer, suspects=suspects))
            mine = taken(token, answer, suspects=suspects)
            lost.heard(asked, mine.found, lease)
            if limit:
                turn.heard(mine)
            if mine.odd:
                await self._set_aside(shard, mine)
        except BaseException:
            # It may be carried out, now or when the server goes on: then nobody has its messages.
            if limit:
                lost.add(token)
            raise
        return mine

    async def _set_aside(self, shard: Shard, mine: Taken) -> None:
        settle = words(mine.aside(), {}, mine.missing)
        await self._calls.run(SETTLE, shard, self._clock(), [settle])
        ids = [key.partition(b"\n")[2].decode(errors="replace") for key in mine.unreadable]
        mine.shown = [show(kept) for kept in await self._listing.read(ids) if kept is not None]

    def _lose(self, number: int, mine: Taken) -> None:
        """Give back what was claimed, because nobody gets the answer."""
        if mine.claims:
            self._lost[number].add(mine.token)

    def _next(self, present: Collection[int]) -> int:
        """The shard to claim from: the next that last had more to give, or else simply the next."""
        number = len(self._shards)
        turns = ((self._turn + step) % number for step in range(number))
        order = [each for each in turns if each in present]
        chosen = next((each for each in order if each in self._busy), order[0])
        self._turn = chosen + 1
        return chosen


def _when_all(number: int, answered: Answered) -> Answered:
    """Makes one answer of those of all shards."""
    given: list[tuple[int, int, bool]] = []

    async def told(count: int, size: int, more: bool) -> None:
        given.append((count, size, more))
        if len(given) == number:
            counts, sizes, mores = zip(*given, strict=True)
            await answered(sum(counts), sum(sizes), any(mores))

    return told
