"""What schedulers claim, and where they look for it."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import attrs

from duly import Message, State
from duly.moment import FIRST, from_microseconds
from duly.record import NewerRecord, Record, UnreadableRecord, from_record
from duly.store import Answered, Batch, Claim, Settle, Token
from duly_postgres.columns import NOW
from duly_postgres.connection import Connection, Executor, Row
from duly_postgres.finishing import Finished, finish
from duly_postgres.following import take_place
from duly_postgres.leases import put_aside, recover
from duly_postgres.lining import Lining
from duly_postgres.names import Names
from duly_postgres.passing import past_settled
from duly_postgres.records import show
from duly_postgres.sql_claiming import TAKE, TAKE_SUSPECT
from duly_postgres.turns import Turns

__all__ = ["Mark", "claim", "nothing", "with_settled"]

_LAST: Final = 253_402_300_800_000_000  # the year 10000
_LOOK_AGAIN: Final = timedelta(milliseconds=100)
_LOOK_FOR_HELD: Final = timedelta(seconds=1)  # whether a transaction that holds some has ended
_PAYLOAD: Final = 3 + Record._fields.index("payload")  # where it stands in a row
_FULL: Final = 50  # messages of a batch from which on a mark is worth it
_GOOD_FOR: Final = 1.0  # seconds


class Mark:
    """The place up to which full batches have emptied the line, where the next claim starts.

    While somebody holds an old snapshot open, removed entries stay in the index; a claim from the
    start would read all of them each time. A second after the last look from the start, and after
    each batch that is not full, the next claim is from the start: it finds what committed late or
    came in with a due time of long ago.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due_at = self._lease_end = FIRST
        self._until = 0.0
        self._forgotten = 0  # times

    def start(self) -> tuple[int, int, int]:
        """The due time and the end of leases from which a claim is to look.

        The third value identifies the claim for :meth:`reached`.
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
    db: Connection,
    names: Names,
    now: datetime | None,
    mark: Mark,
    turns: Turns,
    *,
    limit: int,
    lease: timedelta,
    owner: str,
    suspects: bool,
    most: Mapping[str, int],
    delivered: Sequence[Token],
    alone: bool,
    answered: Answered | None,
) -> tuple[Batch, bool]:
    """Settle what was delivered, bring back what lapsed, take what is due.

    ``alone`` tells that nothing else is done in the transaction. Returned besides the batch:
    whether something was brought back that others should know of.
    """
    token = os.urandom(16).hex()
    # If a crash of the server undoes a claim, that is as if the claimant had died: what it
    # published and could not settle is published again. So it need not be on disk before use.
    hasty = alone and not delivered

    async def take(statement: str, tokens: Sequence[Token], due: int, end: int) -> Sequence[Row]:
        return await db.fetch(
            names(statement), now, tokens, room, due, end, token, lease, owner, suspects, hasty
        )

    async def past() -> Sequence[Row]:
        for each in delivered:
            await past_settled(db, names, now, Settle(each))
        return await take(TAKE, delivered, due, end)

    lining = Lining(db, names, turns, most, (now, token, lease, owner), hasty=hasty)
    room = 0 if lining.asked else limit
    due, end, started = mark.start()
    rows = await db.unless_locked(lambda: take(TAKE, delivered, due, end), past)
    _, lapsed, _, settled, *_, noted, _ = rows[-1]["about"]
    finished = await finish(db, names, now) if noted else Finished()
    recovered = await recover(db, names, now) if lapsed or finished.back else ()
    if lapsed or noted:
        mark.forget()
        rows = await take(TAKE, (), FIRST, _LAST)
    moved, aside = 0, False
    any_aside = rows[-1]["about"][-3]
    if lining.asked or any_aside:
        since = FIRST if lapsed or noted else due
        lines = await lining.take(rows[-1]["about"], since, limit, any_aside=any_aside)
        moment, end = rows[-1]["about"][0], rows[-1]["about"][7]
        found, held, moved, aside = lines.rows, lines.held, lines.moved, lines.aside
        ahead = [lines.ahead, lines.first_suspect, end]
        mark.reached(moment, lines.last, started, full=lines.last is not None)
    else:
        if rows[-1]["about"][2]:
            limit = room = 1
            rows = await take(TAKE_SUSPECT, (), FIRST, _LAST)
        moment, _, _, _, last, *ahead, held, _, _, _ = rows[-1]["about"]
        mark.reached(moment, last, started, full=_FULL <= limit == len(rows) - 1)
        found = rows[:-1]
    if answered is not None:
        size = sum(len(row[_PAYLOAD]) for row in found)
        await answered(len(found), size, _any_by(moment, *ahead[:2]))
    if over := [row[0] for row in found if row[2]]:
        # One that knows nothing of what follows has settled them.
        gone = await take_place(db, names, now, token, over)
        found = [row for row in found if row[0] not in gone]
        ahead[0] = _earliest(ahead[0], *gone.values())
        mark.forget()
    claims, unreadable, newer = _sorted(found)
    if unreadable or newer:
        await put_aside(
            db, names, now, token, unreadable=[*unreadable], newer=newer, ends=not claims
        )
    batch = _batch(
        moment,
        *ahead,
        held=held,
        left=finished.left,
        token=token if claims else None,
        claims=claims,
        settled=[each in settled for each in delivered],
        unreadable=list(unreadable.values()),
        newer=len(newer),
        moved=moved,
        aside=aside,
    )
    return batch, bool(over) or finished.back or len(recovered) > len(claims)


def _batch(
    now: int,
    own: int | None,
    other: int | None,
    end: int | None,
    *,
    held: bool,
    left: bool,
    **found: Any,
) -> Batch:
    more = _any_by(now, own, other)
    moment = from_microseconds(now)
    moments = [from_microseconds(each) for each in (own, other, end) if each is not None]
    if held and not more:
        # Most likely another scheduler is just taking it; but that claim may fail.
        moments.append(moment + _LOOK_AGAIN)
    if left:
        moments.append(moment + _LOOK_FOR_HELD)
    return Batch(now=moment, next_due=min(moments, default=None), more=more, **found)


def _earliest(*moments: int | None) -> int | None:
    return min((moment for moment in moments if moment is not None), default=None)


def _any_by(now: int, *moments: int | None) -> bool:
    return any(moment is not None and moment <= now for moment in moments)


def with_settled(batch: Batch, settled: Sequence[bool]) -> Batch:
    """The batch with the outcomes of the settles that were done before it was claimed."""
    return attrs.evolve(batch, settled=settled)


async def nothing(db: Executor, now: datetime | None, settled: Sequence[bool]) -> Batch:
    """The batch of a claim that may only settle."""
    ((moment,),) = await db.fetch(f"SELECT {NOW}", now)  # of a constant
    return _batch(
        moment, None, None, None, held=False, left=False, token=None, claims=(), settled=settled
    )


def _sorted(
    rows: Sequence[Row],
) -> tuple[Sequence[Claim], dict[int, Message], Sequence[int]]:
    """The claims, what cannot be read, by key, and the keys of records of a newer format."""
    claims, unreadable, newer = [], {}, []
    for row in rows:
        key, record = row[0], row[3:-1]
        try:
            claims.append(Claim(key, from_record(record, State.CLAIMED), row[1]))
        except NewerRecord:
            newer.append(key)
        except UnreadableRecord:
            unreadable[key] = show(record, State.DEAD)
    return claims, unreadable, newer
