"""What stands aside, by event name: whose turn it is, and what it gives."""

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

import attrs

from duly.record import encodable
from duly.store import SIDINGS, Rooms
from duly_mongo.looking import LEAN
from duly_mongo.meeting import Met
from duly_mongo.namespace import Namespace
from duly_mongo.places import after
from duly_mongo.statuses import ASIDE

__all__ = ["Sidings", "Turn"]

_PLACE: Final = attrgetter("place")


class Turn:
    """Whose turn it is at the next claim of a store."""

    def __init__(self) -> None:
        self.visited = ""
        """The name whose siding was visited last."""
        self._larger = False

    def half(self, limit: int) -> int:
        """Half of a limit; of an odd one now less, now more."""
        self._larger = not self._larger
        return (limit + self._larger) // 2

    def of(self, names: Sequence[str]) -> Sequence[str]:
        """Names in their order, from behind the one visited last and round to it."""
        start = bisect_right(names, self.visited)
        return [*names[start:], *names[:start]]


@attrs.define(eq=False)
class _Siding:
    name: str
    ahead: list[Met] = attrs.field(factory=list)
    """What is known of it and not to be taken yet, also what is to be moved there."""
    last: str = ""
    """The place up to which it is known."""
    whole: bool = False
    """Whether all that is due in it is known."""
    later: bool = False
    """Whether it has what is not due, as when a clock was put back."""

    @property
    def gives(self) -> bool:
        return bool(self.ahead) or not self.whole

    @property
    def holds(self) -> bool:
        return self.gives or self.later


class Sidings:
    """The sidings as one claim finds them, and is to leave them."""

    def __init__(self, space: Namespace, now: int, rooms: Rooms, turn: Turn) -> None:
        self._space, self._bound = space, after(now)
        self._rooms, self._turn = rooms, turn
        self._by_name: dict[str, _Siding] = {}
        self._visited: list[_Siding] = []  # that may give some, those first whose turn it is
        self.given: list[Met] = []
        """What is to be taken out of them."""

    def __bool__(self) -> bool:
        return bool(self._by_name)

    async def find(self) -> None:
        """See which there are."""
        found = await _first_places(self._space)
        for name, place in found.items():
            later = place >= self._bound
            self._by_name[name] = _Siding(name, whole=later, later=later)
        for name in self._turn.of([*found]):
            siding = self._by_name[name]
            if siding.gives and self._rooms.left(name) != 0:
                self._visited.append(siding)
                if len(self._visited) == SIDINGS:
                    break

    def holds(self, name: str) -> bool:
        """Whether a name has a siding."""
        return name in self._by_name and self._by_name[name].holds

    def add(self, met: Met, name: str) -> None:
        """Let one be moved into the siding of its name, which may be a new one."""
        siding = self._by_name.get(name)
        if siding is None:
            siding = self._by_name[name] = _Siding(name, whole=True)
            self._visited.append(siding)
        met.moves = True
        insort(siding.ahead, met, key=_PLACE)

    async def take(self, limit: int) -> None:
        """Take so many out of those that may give some, in turn."""
        left = limit
        while left > 0 and (giving := [each for each in self._visited if self._may_give(each)]):
            each = max(1, left // len(giving))
            giving = giving[:left]
            await self._read({one: each for one in giving if not one.whole})
            for one in giving:
                for _ in range(min(each, left)):
                    if not self._may_give(one) or not one.ahead:
                        break
                    self._hand_out(one)
                    left -= 1
                self._visited.remove(one)
                self._visited.append(one)  # the others go first

    def give(self) -> bool:
        """Whether any may give more."""
        return any(map(self._may_give, self._by_name.values()))

    def kept_back(self) -> bool:
        """Whether any holds something and may give nothing."""
        return any(
            each.holds and self._rooms.left(each.name) == 0 for each in self._by_name.values()
        )

    def _may_give(self, siding: _Siding) -> bool:
        return siding.gives and self._rooms.left(siding.name) != 0

    def _hand_out(self, siding: _Siding) -> None:
        first = siding.ahead.pop(0)
        self._rooms.hand_out(siding.name)
        self._turn.visited = siding.name
        if first.aside:
            self.given.append(first)
        else:
            first.moves = False  # after all

    async def _read(self, wanted: Mapping[_Siding, int]) -> None:
        """Know so many of each, and whether there are more."""
        numbers: dict[_Siding, int] = {}
        for siding, number in wanted.items():
            left = self._rooms.left(siding.name)
            short = 1 + (number if left is None else min(number, left))
            short -= sum(met.aside for met in siding.ahead)
            if short > 0:
                numbers[siding] = short
        if not numbers:
            return
        first, *others = [self._head(siding, number) for siding, number in numbers.items()]
        unions: list[dict[str, Any]] = [
            {"$unionWith": {"coll": self._space.messages.name, "pipeline": each}} for each in others
        ]
        found: dict[str, list[Met]] = {siding.name: [] for siding in numbers}
        for document in await self._space.aggregate(self._space.messages, [*first, *unions]):
            found[document["of"]].append(Met.of(document, aside=True))
        for siding, number in numbers.items():
            some = found[siding.name]
            siding.whole = len(some) < number
            siding.ahead = sorted([*siding.ahead, *some], key=_PLACE)
            if some:
                siding.last = some[-1].place

    def _head(self, siding: _Siding, number: int) -> list[dict[str, Any]]:
        # A version that knows no sidings may have put one in the main line, and left the mark of
        # its siding: where it stands its status says.
        place = {"$gt": siding.last, "$lt": self._bound}
        return [
            {"$match": {"aside.name": siding.name, "aside.due": place, "status": ASIDE}},
            {"$sort": {"aside.due": 1}},
            {"$limit": number},
            {"$project": {**LEAN, "of": "$aside.name"}},
        ]


async def _first_places(space: Namespace) -> dict[str, str]:
    """The event names that have a siding, in order, and the first place of each.

    The server goes from name to name in the index, whatever stands in each.
    """
    stages: list[dict[str, Any]] = [
        {"$match": {"aside.name": {"$gt": ""}}},
        {"$sort": {"aside.name": 1, "aside.due": 1}},
        {"$group": {"_id": "$aside.name", "place": {"$first": "$aside.due"}}},
    ]
    found = await space.aggregate(space.messages, stages)
    places = {each["_id"]: str(each["place"]) for each in found if encodable(each["_id"])}
    return dict(sorted(places.items()))
