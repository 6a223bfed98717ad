"""What a claim brings of one shard, from the answer of ``lua/claim.lua``."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import attrs

from duly import Message, State
from duly.moment import from_microseconds
from duly.record import NewerRecord, UnreadableRecord
from duly.store import NEWER_PAUSE, Bury, Claim, End, Release, Settle, Token
from duly_redis.following import Follows, follows_of
from duly_redis.packing import moment
from duly_redis.records import load

__all__ = ["Taken", "glance", "taken"]

_MICROSECOND: Final = timedelta(microseconds=1)
_NUMBER: Final = 12  # digits that no two schedulings share
_LINE: Final = re.compile(rb"[0-9a-f]{12}[-*][^\n]*\n")


@attrs.define(kw_only=True)
class Taken:
    """What one shard gave: claims, what could not be read by its key, and what is ahead.

    Moments are microseconds: ``due`` is the first due time of what waits, ``first_end`` the first
    end of a lease of others. ``missing`` are keys whose record is not there, or is that of another
    scheduling: somebody deleted it, or a step failed halfway. ``over`` are series that an older
    version has taken beyond the cut of what follows them, with the count of their fires, and
    ``coming`` the moments at which that is due. ``moved`` were moved aside; a siding ``gives`` more
    now, or something in one is ``kept_back``; ``visited`` is the name whose siding was visited
    last, None when lines were not looked at; the next claim looks at suspects from the place
    ``suspects_from`` on, from 0. ``shown`` is how the unreadable ones are listed.
    """

    token: Token
    now: int
    outcomes: Sequence[bool]
    found: Sequence[Token]
    claims: list[Claim]
    unreadable: dict[bytes, str]
    newer: list[bytes]
    missing: list[bytes]
    over: dict[bytes, int]
    coming: list[int]
    due: int | None
    first_end: int | None
    moved: int = 0
    gives: bool = False
    kept_back: bool = False
    visited: str | None = None
    suspects_from: int = 0
    shown: Sequence[Message] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it held nothing at all."""
        return not (self.claims or self.odd)

    @property
    def odd(self) -> bool:
        """Whether there is something to set aside."""
        return bool(self.unreadable or self.newer or self.missing or self.over)

    @property
    def more(self) -> bool:
        """Whether something is due already; if very many leases lapsed, some may not be back."""
        return self.gives or _any_by(self.now, self.due, self.first_end, *self.coming)

    @property
    def next_due(self) -> int | None:
        """When to look again."""
        moments = [each for each in (self.due, self.first_end, *self.coming) if each is not None]
        if self.newer:
            moments.append(self.now + NEWER_PAUSE // _MICROSECOND)
        return min(moments, default=None)

    def aside(self) -> Settle:
        """What becomes of what could not be read: dead letters, or back in line for a while.

        What is missing is cleared away, and what is over gives way to what follows. When nothing
        was claimed besides, the lease ends with it.
        """
        later = from_microseconds(self.now) + NEWER_PAUSE
        exceptions: dict[Any, Any] = {key: Bury(why) for key, why in self.unreadable.items()}
        exceptions |= dict.fromkeys(self.newer, Release(later))
        exceptions |= {key: End(count) for key, count in self.over.items()}
        only = [*exceptions, *self.missing] if self.claims else None
        return Settle(self.token, exceptions, only)


def glance(answer: Sequence[Any], *, suspects: bool) -> tuple[int, int, bool]:
    """How many messages an answer brings, their bytes, and if more are due, before it is parsed."""
    size = sum(len(value) for value in answer[4] if value is not None)
    gives = bool(answer[11] and answer[11][1])
    return len(answer[3]), size, gives or _any_by(answer[0], *_ahead(answer, suspects=suspects))


def taken(token: Token, answer: Sequence[Any], *, suspects: bool) -> Taken:
    """Parse an answer."""
    now, outcomes, found, members, values, lapses, changes, *_, following, lines = answer
    moved, gives, kept_back, visited, suspects_from = lines or (0, 0, 0, None, 0)
    due, first_end = _ahead(answer, suspects=suspects)
    claims: list[Claim] = []
    unreadable: dict[bytes, str] = {}
    newer: list[bytes] = []
    missing: list[bytes] = []
    over: dict[bytes, int] = {}
    coming: list[int] = []
    for number, (member, value) in enumerate(zip(members, values, strict=True)):
        if value is None or (value[:_NUMBER] != member[:_NUMBER] and _LINE.match(value)):
            missing.append(member)
            continue
        try:
            message = load(
                member.partition(b"\n")[2].decode(),
                value,
                changes[number] if changes else None,
                State.CLAIMED,
            )
        except NewerRecord:
            newer.append(member)
        except (UnreadableRecord, UnicodeDecodeError) as error:
            unreadable[member] = str(error)
        else:
            if following and (follows := _over(message, following[number])) is not None:
                over[member] = message.occurrence_count
                coming += [] if follows.due is None else [follows.due]
                continue
            claims.append(Claim(member, message, int(lapses[number] or 0) if lapses else 0))
    return Taken(
        token=token,
        now=now,
        outcomes=[bool(each) for each in outcomes],
        found=[token.decode() for token in found],
        claims=claims,
        unreadable=unreadable,
        newer=newer,
        missing=missing,
        over=over,
        coming=coming,
        due=due,
        first_end=first_end,
        moved=moved,
        gives=bool(gives),
        kept_back=bool(kept_back),
        visited=None if visited is None else visited.decode(),
        suspects_from=suspects_from,
    )


def _over(message: Message, text: bytes | None) -> Follows | None:
    """What follows a series that is beyond the cut of that already, as far as it can be read."""
    if text is None:
        return None
    try:
        follows = follows_of(text)
    except UnreadableRecord:
        return None
    return follows if message.scheduled_at > follows.successor.cut else None


def _ahead(answer: Sequence[Any], *, suspects: bool) -> tuple[int | None, int | None]:
    """When what waits is due first, and when a lease of others ends."""
    due, suspect, first_end = answer[7:10]
    waiting = [moment(each) for each in (due, suspect if suspects else b"") if each]
    return min(waiting, default=None), moment(first_end) if first_end else None


def _any_by(now: int, *moments: int | None) -> bool:
    return any(each is not None and each <= now for each in moments)
