"""What a claim takes of the lines when names are limited, or some stand aside.

It is planned from what is seen without holding anything. What others have taken or moved when it
is carried out it does without.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from duly.store import LOOKED_AT, Rooms
from duly_mongo.looking import LEAN, SUSPECTS, View
from duly_mongo.marking import is_marked
from duly_mongo.meeting import Met
from duly_mongo.namespace import Namespace
from duly_mongo.places import moment_of
from duly_mongo.sidings import Sidings, Turn
from duly_mongo.statuses import SCHEDULED, SUSPECT
from duly_mongo.taking import put_strays_back

__all__ = ["Plan"]


class Plan:
    """What one claim is to take and to move, given a lean view."""

    def __init__(self, space: Namespace, view: View, rooms: Rooms, turn: Turn) -> None:
        self._space, self._view = space, view
        self._rooms, self._turn = rooms, turn
        self._moves = is_marked(view.settings)
        self._sidings = Sidings(space, view.now, self._rooms, turn)
        self._met: list[Met] = []  # of the main line: all that was looked at
        self._alone: Met | None = None
        self._left: list[Mapping[str, Any]] = []  # heads of the main line that stay there

    async def make(self, limit: int) -> None:
        """Plan a claim of so many."""
        if self._view.aside:
            await self._sidings.find()
            if not self._sidings:
                await put_strays_back(self._space)
        suspects = await self._first_suspects()
        if suspects and self._comes_first(suspects[0]):
            self._alone = suspects.pop(0)
            self._hand_out(self._alone)
            self._left += self._view.ordinary[:1]
        else:
            await self._take(limit)
        self._left += [each.document for each in suspects[:1]]

    @property
    def taken(self) -> Sequence[Mapping[str, Any]]:
        """What is to be taken, the earliest first."""
        if self._alone is not None:
            return [self._alone.document]
        some = [each for each in self._met if not each.moves]
        return [e.document for e in sorted([*some, *self._sidings.given], key=lambda e: e.place)]

    @property
    def moved(self) -> Sequence[Mapping[str, Any]]:
        """What is to be moved aside."""
        return [each.document for each in self._met if each.moves]

    @property
    def coming(self) -> Sequence[int | None]:
        """When something of the main line is due that stays there; in the past if it is now."""
        return [moment_of(each.get("due")) for each in self._left]

    @property
    def more(self) -> bool:
        """Whether another claim could bring or move something."""
        return any(map(self._view.due, self._left)) or self._sidings.give()

    @property
    def kept_back(self) -> bool:
        """Whether something stands aside of which nothing may be handed out."""
        return self._sidings.kept_back()

    def _comes_first(self, suspect: Met) -> bool:
        if not self._view.due(suspect.document):
            return False
        ordinary = self._view.ordinary[:1]
        return not ordinary or suspect.place < str(ordinary[0].get("due"))

    async def _take(self, limit: int) -> None:
        if self._sidings:
            await self._sidings.take(self._turn.half(limit))
        await self._look_past(limit)
        await self._sidings.take(limit - self._number)

    @property
    def _number(self) -> int:
        return len(self._sidings.given) + sum(not each.moves for each in self._met)

    async def _look_past(self, limit: int) -> None:
        """Take of the main line what may be handed out, and move aside what must wait."""
        number = self._number
        async for document in self._main_line():
            if number >= limit or len(self._met) == LOOKED_AT or not self._view.due(document):
                self._left.append(document)
                return
            met = Met.of(document)
            self._met.append(met)
            if met.name is not None and self._must_wait(met, met.name):
                self._sidings.add(met, met.name)
            else:
                number += 1
                self._hand_out(met)

    def _must_wait(self, met: Met, name: str) -> bool:
        full = self._rooms.left(name) == 0 or self._sidings.holds(name)
        return self._moves and full and self._rooms.may_wait(name, recurs=met.recurs)

    def _hand_out(self, met: Met) -> None:
        if met.name is not None:
            self._rooms.hand_out(met.name)

    async def _main_line(self) -> AsyncIterator[Mapping[str, Any]]:
        """What stands there, due or not, as far as one claim looks; and the one behind that."""
        found = self._view.ordinary
        for each in found:
            yield each
        if len(found) > self._view.page:
            for each in await self._behind(SCHEDULED, found[-1], LOOKED_AT + 2 - len(found)):
                if moment_of(each.get("due")) is not None:  # or it is noticed once it comes first
                    yield each

    async def _first_suspects(self) -> list[Met]:
        """The first two of those that are not passed over, or fewer."""
        found: list[Met] = []
        documents = self._view.suspects
        while documents:
            found += [each for each in map(Met.of, documents) if not self._passed_over(each)]
            if len(found) > 1 or len(documents) < SUSPECTS:
                break
            documents = await self._behind(SUSPECT, documents[-1], SUSPECTS)
        return found

    def _passed_over(self, suspect: Met) -> bool:
        return self._moves and suspect.name is not None and self._rooms.passes_over(suspect.name)

    async def _behind(
        self, status: str, last: Mapping[str, Any], limit: int
    ) -> Sequence[Mapping[str, Any]]:
        """What waits with that status behind one that was seen."""
        stages: list[dict[str, Any]] = [
            {"$match": {"status": status, "due": {"$gt": last.get("due")}}},
            {"$sort": {"due": 1}},
            {"$limit": limit},
            {"$project": LEAN},
        ]
        return await self._space.aggregate(self._space.messages, stages)
