"""What ends claims: which shard is told what, in the words of ``lua/leases.lua``."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec

from duly import Message, State
from duly.moment import to_microseconds
from duly.record import NewerRecord, UnreadableRecord, occurrence
from duly.store import (
    NEWER_PAUSE,
    Bury,
    End,
    Key,
    Release,
    Reschedule,
    Settle,
    Settlement,
    Token,
)
from duly_redis.asking import Asking
from duly_redis.calls import Calls, script
from duly_redis.keys import Shard
from duly_redis.listing import Listing
from duly_redis.packing import raw, score
from duly_redis.records import changes_of, fields, load

__all__ = ["SETTLE", "Settling", "words"]

SETTLE: Final = script("burying", "moving", "following", "leases", "outcomes", "settle")

_MICROSECOND: Final = timedelta(microseconds=1)
_RECURS: Final = b"*"
_KIND: Final = slice(12, 13)


class Settling:
    """Settles on all shards that are concerned."""

    def __init__(
        self, calls: Calls, shards: Sequence[Shard], listing: Listing, clock: Callable[[], int]
    ) -> None:
        self._calls = calls
        self._shards = shards
        self._listing = listing
        self._clock = clock
        self._asking = Asking(calls, shards)

    def spread(
        self, settles: Sequence[Settle]
    ) -> tuple[Mapping[int, Sequence[Settle]], Sequence[tuple[int, int]]]:
        """What each shard is told, and where the outcome of each settle will stand."""
        spread: dict[int, list[Settle]] = {}
        places: list[tuple[int, int]] = []
        for settle in settles:
            number = self.shard_of(settle.token)
            mine = spread.setdefault(number, [])
            places.append((number, len(mine)))
            mine.append(settle)
        return spread, places

    def shard_of(self, token: Token) -> int:
        """The shard of a token; one that belongs to no shard is unknown to all."""
        number, dash, _ = token.partition("-")
        known = dash and number.isascii() and number.isdigit() and int(number) < len(self._shards)
        return int(number) if known else 0

    async def words(self, settles: Sequence[Settle]) -> Sequence[Any]:
        """What the script of one shard is told of them."""
        series: dict[str, Message | None] = {}  # those that can be read, by this version or a newer
        ids = _buried_series(settles)
        for kept in await self._listing.read(ids) if ids else ():
            if kept is not None:
                try:
                    series[kept.id] = load(kept.id, kept.value, kept.changes, State.CLAIMED)
                except NewerRecord:
                    series[kept.id] = None
                except UnreadableRecord:
                    continue
        return [words(settle, series) for settle in settles]

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool | None]:
        """One outcome each; None where the shard does not answer."""
        spread, places = self.spread(settles)
        asked = {
            number: self._settle(number, spread[number])
            for number in self._asking.present()
            if number in spread
        }
        answers = await self._asking.all(asked)
        return [bool(answers[number][at]) if number in answers else None for number, at in places]

    async def _settle(self, number: int, settles: Sequence[Settle]) -> Sequence[int]:
        told = await self.words(settles)
        answer: Sequence[int] = await self._calls.run(
            SETTLE, self._shards[number], self._clock(), told
        )
        return answer


def _buried_series(settles: Sequence[Settle]) -> Sequence[str]:
    """The ids of series of which an occurrence is buried: their messages are needed for it."""
    return [
        _id_of(key)
        for settle in settles
        for key, settlement in settle.exceptions.items()
        if isinstance(settlement, Bury) and _recurs(key)
    ]


def words(
    settle: Settle, series: Mapping[str, Message | None], missing: Sequence[Key] = ()
) -> Sequence[Any]:
    """What a script is told of one settle; ``series`` has the messages that were needed.

    An occurrence of a series that is gone or unreadable is not buried alone; one that only a newer
    version can read, None, is left to that. What is ``missing`` is
    cleared away; if another message has its id by now, that one stays.
    """
    exceptions: list[Any] = []
    for key in missing:
        exceptions += [_packed(key), ["drop"]]
    for key, settlement in settle.exceptions.items():
        exceptions += [_packed(key), _word(key, settlement, series)]
    only = False if settle.only is None else [_packed(key) for key in settle.only]
    return [settle.token, only, exceptions]


def _word(key: Key, settlement: Settlement, series: Mapping[str, Message | None]) -> Sequence[Any]:
    match settlement:
        case End(occurrence_count):
            return ["end", occurrence_count]
        case Release(at):
            return ["release", score(to_microseconds(at))]
        case Reschedule():
            return ["put back", *changes_of(settlement)]
        case Bury(reason, further, error_class):
            id = _id_of(key)
            if not _recurs(key) or id not in series:
                return ["bury", reason, error_class]
            message = series[id]
            if message is None:
                return ["pause", NEWER_PAUSE // _MICROSECOND]
            id, _, _, listed, creation, record = fields(occurrence(message, reason))
            go_on = changes_of(further) if isinstance(further, Reschedule) else False
            count = further.occurrence_count if isinstance(further, End) else False
            return [
                "bury occurrence", id, listed, creation, record, reason, go_on, error_class, count
            ]  # fmt: skip


def _packed(key: Key) -> msgspec.Raw:
    assert isinstance(key, bytes), "keys are members"  # noqa: S101  # for the type checker
    return raw(key)


def _recurs(key: Key) -> bool:
    return isinstance(key, bytes) and key[_KIND] == _RECURS


def _id_of(key: Key) -> str:
    assert isinstance(key, bytes), "keys are members"  # noqa: S101  # for the type checker
    return key.partition(b"\n")[2].decode()
