"""What schedulers do with leases: claim, give back and renew."""

import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import attrs

from duly import Message, State
from duly.moment import FIRST, from_microseconds
from duly.record import NewerRecord, UnreadableRecord, from_record
from duly.store import NEWER_PAUSE, Answered, Batch, Claim, Key, Token
from duly_postgres.connection import Executor, Row
from duly_postgres.names import Names
from duly_postgres.reading import show
from duly_postgres.sql_claiming import (
    GIVE_BACK,
    PUT_ASIDE,
    RECOVER,
    RENEW,
    TAKE,
    TAKE_SUSPECT,
)

__all__ = ["Mark", "claim", "give_back", "renew", "with_settled"]

_LAST: Final = 253_402_300_800_000_000  # the year 10000
_LOOK_AGAIN: Final = timedelta(milliseconds=100)
_FULL: Final = 50  # messages of a batch from which on a mark is worth it
_GOOD_FOR: Final = 1.0  # seconds


class Mark:
    """Up to where the line was emptied by a full batch, so that the next claim starts there.

    An old snapshot that somebody holds open keeps what was taken in the index; a claim from the
    start would look at all of it each time. A second after the last look from the start, and after
    each batch that is not full, the next one is from the start: what committed late, or came in
    with a due time of long ago, is found then.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due_at = self._lease_end = FIRST
        self._until = 0.0
        self._forgotten = 0  # times

    def start(self) -> tuple[int, int, int]:
        """From which due time and which end of leases on a claim is to look.

        The third is for :meth:`reached`, to know the claim by.
        """
        if self._clock() >= self._until:
            self.forget()
        return self._due_at, self._lease_end, self._forgotten

    def reached(self, now: int, last: int | None, started: int, *, full: bool) -> None:
        """Note what a claim has come to, unless the line has changed since it ``started``."""
        if started != self._forgotten:
            return
        if not full or last is None:
            self.forget()
        else:
            if self._due_at == FIRST:
                self._until = self._clock() + _GOOD_FOR
                self._lease_end = now
            self._due_at = last

    def came_in(self, messages: Iterable[Message]) -> None:
        """Look from the start if one of these, just stored, has an earlier place."""
        if self._due_at != FIRST:
            reached = from_microseconds(self._due_at)
            if any(message.next_attempt_at < reached for message in messages):
                self.forget()

    def forget(self) -> None:
        """Look from the start: something was put in an earlier place."""
        self._forgotten += 1
        self._due_at = self._lease_end = FIRST


async def claim(
    db: Executor,
    names: Names,
    now: datetime | None,
    mark: Mark,
    *,
    limit: int,
    lease: timedelta,
    owner: str,
    suspects: bool,
    delivered: Sequence[Token],
    alone: bool,
    answered: Answered | None,
) -> tuple[Batch, bool]:
    """Settle what was delivered, bring back what lapsed, take what is due.

    ``alone`` tells that nothing else is done in the transaction. Beside the batch: whether
    something was brought back that others should know of.
    """
    token = os.urandom(16).hex()
    # A claim that a crash of the server undoes is as if the claimant had died: what it published
    # and could not settle is published again. So it need not be on the disk before it is used.
    hasty = alone and not delivered

    async def take(statement: str, tokens: Sequence[Token], due: int, end: int) -> Sequence[Row]:
        return await db.fetch(
            names(statement), now, tokens, limit, due, end, token, lease, owner, suspects, hasty
        )

    due, end, started = mark.start()
    rows = await take(TAKE, delivered, due, end)
    settled = rows[-1]["about"][3]
    recovered: Sequence[Row] = ()
    if rows[-1]["about"][1]:
        recovered = await db.fetch(names(RECOVER), now)
        mark.forget()
        rows = await take(TAKE, (), FIRST, _LAST)
    if rows[-1]["about"][2]:
        limit = 1
        rows = await take(TAKE_SUSPECT, (), FIRST, _LAST)
    moment, _, _, _, last, *ahead, held, _ = rows[-1]["about"]
    mark.reached(moment, last, started, full=_FULL <= limit == len(rows) - 1)
    if answered is not None:
        await answered(len(rows) - 1, _any_by(moment, *ahead[:2]))
    claims, unreadable, newer = _sorted(rows[:-1])
    if unreadable or newer:
        await db.fetch(
            names(PUT_ASIDE), now, token, list(unreadable), newer, not claims, NEWER_PAUSE
        )
    batch = _batch(
        moment,
        *ahead,
        held=held,
        token=token if claims else None,
        claims=claims,
        settled=[each in settled for each in delivered],
        unreadable=list(unreadable.values()),
        newer=len(newer),
    )
    return batch, len(recovered) > len(claims)


def _batch(
    now: int, own: int | None, other: int | None, end: int | None, *, held: bool, **found: Any
) -> Batch:
    moments = [moment for moment in (own, other, end) if moment is not None]
    more = _any_by(now, own, other)
    next_due = from_microseconds(min(moments)) if moments else None
    moment = from_microseconds(now)
    if held and not more:
        # Most likely another scheduler is just taking it; but it may not go through with it.
        soon = moment + _LOOK_AGAIN
        next_due = soon if next_due is None else min(next_due, soon)
    return Batch(now=moment, next_due=next_due, more=more, **found)


def _any_by(now: int, *moments: int | None) -> bool:
    return any(moment is not None and moment <= now for moment in moments)


def with_settled(batch: Batch, settled: Sequence[bool]) -> Batch:
    """The batch with what became of settles that were done before it was claimed."""
    return attrs.evolve(batch, settled=settled)


async def give_back(db: Executor, names: Names, batch: Batch) -> None:
    """Put a whole batch back at its place, nothing counted, and end its lease."""
    if batch.token is not None:
        await db.fetch(names(GIVE_BACK), batch.token)


async def renew(
    db: Executor, names: Names, now: datetime | None, tokens: Sequence[Token], lease: timedelta
) -> Sequence[Collection[Key] | None]:
    """Let leases last from now; the keys that are gone from each, None for a lost one."""
    rows = await db.fetch(names(RENEW), now, lease, list(tokens))
    gone = {row["token"]: row["gone"] for row in rows}
    return [gone.get(token) for token in tokens]


def _sorted(
    rows: Sequence[Row],
) -> tuple[Sequence[Claim], dict[int, Message], Sequence[int]]:
    """The claims, what cannot be read, by key, and the keys of what a newer duly can read."""
    claims, unreadable, newer = [], {}, []
    for row in rows:
        key, record = row[0], row[2:-1]
        try:
            claims.append(Claim(key, from_record(record, State.CLAIMED), row[1]))
        except NewerRecord:
            newer.append(key)
        except UnreadableRecord:
            unreadable[key] = show(record, State.DEAD)
    return claims, unreadable, newer
