"""Series that are ensured and declared: looked at, decided about, and changed."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from duly import DuplicateMessage, Message, State, StoreError, StoreUnavailable
from duly.message import with_changes
from duly.moment import from_microseconds
from duly.record import NewerRecord, UnreadableRecord
from duly.store import Declared, Ensured, EnsurePlan, Successor, ensured, to_be_moved
from duly_redis.asking import Asking
from duly_redis.calls import Calls, script
from duly_redis.following import follows_of, follows_text
from duly_redis.keys import Shard, home
from duly_redis.packing import raw
from duly_redis.records import STATES, fields, load

__all__ = ["Series", "Standing", "in_its_place", "standing"]

_STANDING: Final = script("moving", "standing")
_FLOOR: Final = script("generations", "floor")
_ENSURE: Final = script("moving", "generations", "ensure")
_UNDECLARE: Final = script("generations", "undeclare")
_FIELDS: Final = 6  # that a script reads of each
_AT_ONCE: Final = 100  # series that a script looks at; it holds up the server
_TRIES: Final = 20
_DONE: Final = 1
_OLDER: Final = 2

Outcome = Ensured | Exception
Order = Sequence[Any]
"""What a script is to do: see ``lua/ensure.lua``."""


class Standing(NamedTuple):
    """What a script read of a series: ``mark`` tells it from any other state of it."""

    value: bytes
    state: int
    changes: bytes | None
    follows: bytes | None
    declared: bytes | None
    mark: bytes


async def standing(
    calls: Calls, shard: Shard, clock: int, ids: Sequence[str]
) -> tuple[int, Sequence[Standing | None]]:
    """The time, and what is kept under each id, None for an unknown one."""
    now, *found = await calls.run(_STANDING, shard, clock, ids)
    rows = [found[at : at + _FIELDS] for at in range(0, len(found), _FIELDS)]
    return now, [None if row[0] is None else Standing(*row) for row in rows]


def in_its_place(id: str, found: Standing) -> Message | None:
    """What is moved when a series is moved that something follows, as far as it can be read."""
    if STATES[found.state] is not State.SCHEDULED or found.follows is None:
        return None
    try:
        message = load(id, found.value, found.changes)
        return to_be_moved(message, follows_of(found.follows).successor)
    except UnreadableRecord:
        return None


class Series:
    """Ensures and declares, each series in the shard of its id."""

    def __init__(self, calls: Calls, shards: Sequence[Shard], clock: Callable[[], int]) -> None:
        self._calls = calls
        self._shards = shards
        self._clock = clock
        self._asking = Asking(calls, shards)

    async def ensure(
        self, wanted: Sequence[Message], declared: Declared | None
    ) -> Sequence[Outcome]:
        """See to it that these are there; one outcome for each."""
        of = None if declared is None else _owner(declared.by, declared.generation)
        if of is not None and not await self._raise_floors(of):
            return [Ensured.OLDER] * len(wanted)
        places: dict[int, list[int]] = {}
        for place, message in enumerate(wanted):
            places.setdefault(home(message.id, len(self._shards)), []).append(place)
        asked = {
            number: self._ensure(self._shards[number], [wanted[place] for place in mine], of)
            for number, mine in places.items()
        }
        answers: Mapping[int, Sequence[Outcome] | StoreError]
        if len(self._shards) == 1:
            answers = {number: await each for number, each in asked.items()}
        else:
            answers = await self._asking.each(asked)
        outcomes: dict[int, Outcome] = {}
        for number, mine in places.items():
            answer = answers[number]
            each = [answer] * len(mine) if isinstance(answer, StoreError) else answer
            outcomes |= zip(mine, each, strict=True)
        return [outcomes[place] for place in range(len(wanted))]

    async def undeclare(self, by: str, generation: int) -> Sequence[tuple[str, State]]:
        """Remove what was declared with a lower generation."""
        of, gone = raw(_owner(by, generation)), list[tuple[str, State]]()
        for shard in self._shards:
            cursor = "0"
            while True:
                next_cursor, found = await self._calls.run(
                    _UNDECLARE, shard, self._clock(), of, cursor, _AT_ONCE
                )
                gone += [
                    (id.decode(), STATES[state])
                    for id, state in zip(found[::2], found[1::2], strict=True)
                ]
                cursor = next_cursor.decode()
                if cursor == "0":
                    break
        return gone

    async def _raise_floors(self, of: bytes) -> bool:
        """Whether no newer generation is declared. On all shards first: then nothing is older."""
        asked = {
            number: self._calls.run(_FLOOR, shard, 0, raw(of))
            for number, shard in enumerate(self._shards)
        }
        answers = await self._asking.each(asked)
        for answer in answers.values():
            if isinstance(answer, StoreError):
                raise answer
        return all(answers.values())

    async def _ensure(
        self, shard: Shard, wanted: Sequence[Message], of: bytes | None
    ) -> Sequence[Outcome]:
        outcomes: list[Outcome] = []
        for start in range(0, len(wanted), _AT_ONCE):
            outcomes += await self._ensure_some(shard, wanted[start : start + _AT_ONCE], of)
        return outcomes

    async def _ensure_some(
        self, shard: Shard, wanted: Sequence[Message], of: bytes | None
    ) -> Sequence[Outcome]:
        busy = StoreUnavailable("others change the same series again and again: call once more")
        outcomes: dict[int, Outcome] = dict.fromkeys(range(len(wanted)), busy)
        left: Sequence[int] = range(len(wanted))
        for _ in range(_TRIES):
            now, found = await standing(
                self._calls, shard, self._clock(), [wanted[place].id for place in left]
            )
            moment = from_microseconds(now)
            orders: dict[int, Order] = {}
            for place, kept in zip(left, found, strict=True):
                outcomes[place], order = _decided(wanted[place], kept, moment, of)
                if order is not None:
                    orders[place] = order
            if not orders:
                break
            told = False if of is None else raw(of)
            answers = await self._calls.run(
                _ENSURE, shard, self._clock(), told, list(orders.values())
            )
            left = []
            for place, answer in zip(orders, answers, strict=True):
                if answer == _OLDER:
                    outcomes[place] = Ensured.OLDER
                elif answer != _DONE:  # it changed since it was looked at
                    left.append(place)
                    outcomes[place] = busy
            if not left:
                break
        return [outcomes[place] for place in range(len(wanted))]


def _owner(by: str, generation: int) -> bytes:
    """Who declares, as scripts are told."""
    return f"{generation:019} {by}".encode()


def _decided(
    wanted: Message, kept: Standing | None, now: datetime, of: bytes | None
) -> tuple[Outcome, Order | None]:
    """What becomes of a series, and what a script is to do for that; None for nothing."""
    if kept is None:
        plan = ensured(None, None, wanted, now)
        if plan.stored is None:
            return plan.outcome, None
        return plan.outcome, ["store", wanted.id, "", *fields(plan.stored)[1:]]
    declare = None if of is None or of == kept.declared else ["declare", *_head(wanted, kept)]
    try:
        stored = load(wanted.id, kept.value, kept.changes, STATES[kept.state])
        successor = None if kept.follows is None else follows_of(kept.follows).successor
    except UnreadableRecord as error:
        outcome: Outcome = Ensured.NEWER
        if not isinstance(error, NewerRecord):
            why = f"the record under the id {wanted.id!r} cannot be read"
            outcome = DuplicateMessage(why)
        # It belongs to who declares it again, or it would be removed although it is declared.
        return outcome, None if kept.declared is None else declare
    if stored.state is State.DEAD and stored.recurrence is not None:
        # A version that could not read it had it in hand, and buried it as a whole.
        stored = with_changes(stored, state=State.SCHEDULED)
    plan = ensured(stored, successor, wanted, now)
    order = _order(wanted, kept, stored, successor, plan)
    if order is None and isinstance(plan.outcome, Ensured):
        order = declare
    return plan.outcome, order


def _order(
    wanted: Message,
    kept: Standing,
    stored: Message,
    successor: Successor | None,
    plan: EnsurePlan,
) -> Order | None:
    """What a script is to do with a series that is there; None for nothing."""
    head = _head(wanted, kept)
    if plan.removes:
        return ["remove", *head]
    is_revived = stored.state is not STATES[kept.state]
    if plan.stored is None and not is_revived:
        return None
    becomes = plan.stored or stored
    follows = plan.successor if plan.writes else successor
    least = 1 if follows is None else 2  # what follows needs a reader that knows of it
    _, line, due, listed, creation, record = fields(becomes, least)
    text = False if follows is None else raw(follows_text(becomes, follows))
    if plan.moves or is_revived:
        return ["move", *head, line, due, listed, creation, record, text]
    if becomes.event_name != stored.event_name:
        return ["move", *head, line, False, listed, creation, record, text]
    return ["rewrite", *head, creation, record, text]


def _head(wanted: Message, kept: Standing) -> Sequence[str]:
    return wanted.id, kept.mark.decode()
