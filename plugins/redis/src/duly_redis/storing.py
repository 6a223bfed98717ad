"""What callers do to messages: put, cancel, reschedule, each in the shard of its id."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from duly import State, StoreError, Unsupported
from duly.moment import to_microseconds
from duly.record import moved
from duly.store import Group, as_stored, duplicate
from duly_redis.asking import Asking
from duly_redis.calls import Calls, script
from duly_redis.keys import Shard, home
from duly_redis.listing import Listing
from duly_redis.packing import raw, score
from duly_redis.records import STATES, Kept, death_of, fields, rescheduled
from duly_redis.series import in_its_place, standing

__all__ = ["Storing"]

_PUT: Final = script("put")
_CANCEL: Final = script("cancel")
_RESCHEDULE: Final = script("moving", "reschedule")
_AS_IS: Final = "as is"
_CANCELS_AT_ONCE: Final = 500  # ids for one script, which holds up the server

Answer = Sequence[bytes]
"""For each group empty if it is stored, else the id that is taken."""


class Order:
    """What one shard is to store: replace and size of each group, fields of all messages.

    ``letters`` has the reason and the death of dead letters, by their places among the messages,
    counted from 1. ``places`` tells the positions of the groups among all groups.
    """

    def __init__(self) -> None:
        self.shapes: list[Any] = []
        self.given: list[Any] = []
        self.letters: dict[int, Any] = {}
        self.places: list[int] = []

    def add(self, place: int, group: Group) -> None:
        """One more group."""
        self.places.append(place)
        if group.as_is:
            self._add_as_is(group)
            return
        self.shapes += [group.replace, len(group.messages)]
        for message in group.messages:
            self.given += fields(as_stored(message))

    def _add_as_is(self, group: Group) -> None:
        self.shapes += [_AS_IS if group.replace else False, len(group.messages)]
        for message in group.messages:
            told = fields(message)
            self.given += told
            if message.state is State.DEAD:
                reason = message.last_error
                self.letters[len(self.given) // len(told)] = [
                    False if reason is None else reason,
                    death_of(message),
                ]


class Storing:
    """Writes into all shards."""

    def __init__(
        self, calls: Calls, shards: Sequence[Shard], listing: Listing, clock: Callable[[], int]
    ) -> None:
        self._calls = calls
        self._shards = shards
        self._listing = listing
        self._clock = clock
        self._asking = Asking(calls, shards)

    async def put(self, groups: Sequence[Group]) -> Sequence[Exception | None]:
        """Store groups; with several shards only those of a single message."""
        outcomes: list[Exception | None] = [None] * len(groups)
        orders: dict[int, Order] = {}
        for place, group in enumerate(groups):
            if len(self._shards) > 1 and len(group.messages) > 1:
                outcomes[place] = Unsupported(
                    "Redis with shards stores no messages together: give atomic=False"
                )
            elif group.messages:
                number = home(group.messages[0].id, len(self._shards))
                orders.setdefault(number, Order()).add(place, group)
        for order, answer in zip(orders.values(), await self._sent(orders), strict=True):
            for place, said in zip(order.places, _each(answer, len(order.places)), strict=True):
                outcomes[place] = said
        return outcomes

    async def cancel(self, ids: Sequence[str], of_state: State | None) -> Sequence[State | None]:
        """Remove messages; the state each was found in."""
        found: dict[str, State] = {}
        wanted = -1 if of_state is None else STATES.index(of_state)
        for shard, group in self._listing.by_shard(ids):
            for start in range(0, len(group), _CANCELS_AT_ONCE):
                page = group[start : start + _CANCELS_AT_ONCE]
                states = await self._calls.run(_CANCEL, shard, self._clock(), wanted, page)
                found |= {
                    id: STATES[state] for id, state in zip(page, states, strict=True) if state >= 0
                }
        return [found.get(id) for id in ids]

    async def reschedule(self, id: str, at: datetime | None, of_state: State) -> State | None:
        """Move a message found in ``of_state``; the state it was found in."""
        shard = self._shards[home(id, len(self._shards))]
        while True:
            (kept,) = await self._listing.read([id])
            if kept is None or STATES[kept.state] is not of_state:
                return None if kept is None else STATES[kept.state]
            told = await self._told(shard, kept, at)
            before = raw(kept.line), kept.state
            if await self._calls.run(_RESCHEDULE, shard, self._clock(), id, *before, *told):
                return of_state
            # It changed since it was read: look again.

    async def _told(self, shard: Shard, kept: Kept, at: datetime | None) -> Sequence[Any]:
        """What the script is told of a move; what follows a series takes its place before that."""
        mark: str | bool = False
        if kept.recurs:
            _, (found,) = await standing(self._calls, shard, self._clock(), [kept.id])
            if found is not None and found.follows is not None:
                mark = found.mark.decode()
                if (follows := in_its_place(kept.id, found)) is not None:
                    message = moved(follows, follows.scheduled_at if at is None else at)
                    _, line, due_at, listed, creation, record = fields(message)
                    return due_at, listed, "", creation, mark, line, record
        moment = None if at is None else to_microseconds(at)
        due_at, changes, creation = rescheduled(kept, moment)
        place = score(due_at)
        return place, place, changes, creation, mark, False, False

    async def _sent(self, orders: dict[int, Order]) -> Sequence[Answer | StoreError]:
        """The answers of the shards; if there are several, each fails on its own."""
        sending = {
            number: self._calls.run(
                _PUT, self._shards[number], self._clock(), order.shapes, order.given, order.letters
            )
            for number, order in orders.items()
        }
        if len(self._shards) == 1:
            return [await each for each in sending.values()]
        return list((await self._asking.each(sending)).values())


def _each(answer: Answer | StoreError, count: int) -> Sequence[Exception | None]:
    """What became of the groups of a shard."""
    if isinstance(answer, StoreError):
        return [answer] * count
    return [duplicate(id.decode()) if id else None for id in answer]
