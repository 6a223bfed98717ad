"""What a claim takes of the lines when names are limited, or some stand aside.

It is planned from what is seen without holding anything, and then done by one statement, which does
without what others have taken or hold by then.
"""

from bisect import insort
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final

import attrs

from duly.moment import FIRST
from duly.store import LOOKED_AT, SIDINGS, Rooms
from duly_postgres.connection import Connection
from duly_postgres.names import Names
from duly_postgres.sql_lines import FIRST_ASIDE, HAVE_SIDINGS, LOOK, WALK
from duly_postgres.turns import Turns, as_columns

__all__ = ["LAST", "Met", "Plan", "first_suspects"]

LAST: Final = 253_402_300_800_000_000  # the year 10000
_PAGE: Final = 100  # places read at once, at least
_PLACE: Final = attrgetter("due_at", "key")


@attrs.define
class Met:
    """A message met in the main line, or one of a siding, which is ``aside``."""

    due_at: int
    key: int
    name: str
    recurs: bool = False
    moves: bool = False
    aside: bool = False


@attrs.define
class _Siding:
    name: str
    ahead: list[Met] = attrs.field(factory=list)
    """What is known of it and not to be taken yet, also what is to be moved there."""
    last: tuple[int, int] = (FIRST, 0)
    """The place up to which it is known."""
    whole: bool = False
    """Whether all that is due in it is known."""
    later: bool = False
    """Whether it has what is not due, as when a clock was put back."""

    @property
    def holds(self) -> bool:
        return bool(self.ahead) or not self.whole or self.later


class Plan:
    """What one claim is to take and to move."""

    def __init__(
        self,
        db: Connection,
        names: Names,
        rooms: Rooms,
        turns: Turns,
        *,
        now: int,
        since: int,
        look_at: int = LOOKED_AT,
    ) -> None:
        self._db, self._names = db, names
        self._now, self._since = now, since
        self._look_at = look_at  # messages of the main line
        self._rooms, self._turns = rooms, turns
        self._sidings: dict[str, _Siding] = {}
        self._all_known = True  # every siding that may give some
        self.met: list[Met] = []
        """Of the main line: all that was looked at, in order."""
        self.given: list[Met] = []
        self.more = False
        """Whether something that is due in the main line was not looked at."""

    async def make(self, limit: int, *, any_aside: bool) -> None:
        """Plan a claim of so many."""
        if any_aside:
            await self._find_sidings(limit)
        if self._sidings:
            await self._take(self._turns.half(limit))
        await self._look_past(limit)
        await self._take(limit - self._number)

    @property
    def _number(self) -> int:
        return len(self.given) + sum(not each.moves for each in self.met)

    async def _find_sidings(self, limit: int) -> None:
        columns = as_columns(self._turns.spans(self._rooms))
        rows = await self._db.fetch(self._names(WALK), *columns, SIDINGS)
        self._all_known = len(rows) < SIDINGS
        for _, name, due_at, since in rows:
            later = due_at > self._now  # as when a clock was put back
            self._sidings[name] = _Siding(name, last=(since, 0), whole=later, later=later)
        await self._read(self._sidings.values(), limit // max(1, len(rows)) + 1)

    async def _read(self, sidings: Iterable[_Siding], number: int) -> None:
        """Read on in some sidings."""
        wanted = {each.name: each for each in sidings if not each.whole}
        if not wanted:
            return
        places = [each.last for each in wanted.values()]
        columns = [*wanted], [due_at for due_at, _ in places], [key for _, key in places]
        rows = await self._db.fetch(self._names(FIRST_ASIDE), self._now, *columns, number)
        found: dict[str, list[Met]] = {name: [] for name in wanted}
        for name, due_at, key in rows:
            found[name].append(Met(due_at, key, name, aside=True))
        for name, some in found.items():
            siding = wanted[name]
            siding.ahead = sorted([*siding.ahead, *some], key=_PLACE)
            siding.whole = len(some) < number
            if some:
                siding.last = some[-1].due_at, some[-1].key

    async def _take(self, limit: int) -> None:
        """Take so many from sidings, in turn."""
        left = limit
        giving = [each for each in self._sidings.values() if self._gives(each)]
        while giving and left > 0:
            each = max(1, left // len(giving))
            short = [one for one in giving if not one.whole and self._known(one) < each]
            await self._read(short, left + 1)
            for one in giving:
                if not left:
                    break
                for _ in range(min(each, left)):
                    if not self._gives(one) or not one.ahead:
                        break
                    self._hand_out(one)
                    left -= 1
                    self._turns.visited = one.name
                self._sidings[one.name] = self._sidings.pop(one.name)  # the others go first
            giving = [one for one in giving if self._gives(one)]

    def _known(self, siding: _Siding) -> int:
        return sum(each.aside for each in siding.ahead)

    def _gives(self, siding: _Siding) -> bool:
        more = bool(siding.ahead) or not siding.whole
        return more and self._rooms.left(siding.name) != 0

    def _hand_out(self, siding: _Siding) -> None:
        first = siding.ahead.pop(0)
        self._rooms.hand_out(siding.name)
        if first.aside:
            self.given.append(first)
        else:
            first.moves = False

    async def _look_past(self, limit: int) -> None:
        """Take of the main line what may be handed out, and move aside what must wait."""
        due_at, key, number = self._since, 0, self._number
        read = _PAGE
        while self._look_at:
            page = min(max(limit - number, read), self._look_at - len(self.met)) + 1
            rows = await self._db.fetch(self._names(LOOK), False, self._now, due_at, key, page)
            if not self._all_known:
                await self._ask_for([row[2] for row in rows])
            for due_at, key, name, recurs, moves in rows:
                if number >= limit or len(self.met) == self._look_at:
                    self.more = True
                    return
                met = Met(due_at, key, name, recurs)
                self.met.append(met)
                siding = self._sidings.get(name)
                full = self._rooms.left(name) == 0 or (siding is not None and siding.holds)
                if moves and full and self._rooms.may_wait(name, recurs=recurs):
                    if siding is None:
                        siding = self._sidings[name] = _Siding(name, whole=True)
                    met.moves = True
                    insort(siding.ahead, met, key=_PLACE)
                else:
                    number += 1
                    self._rooms.hand_out(name)
            if len(rows) < page:
                return
            read *= 2  # what must wait is met in long rows

    async def _ask_for(self, names: Sequence[str]) -> None:
        """See whether these have sidings of which nothing is known yet."""
        unknown = {each for each in names if each not in self._sidings}
        if unknown := {each for each in unknown if self._rooms.left(each) != 0}:
            for (name,) in await self._db.fetch(self._names(HAVE_SIDINGS), [*unknown]):
                self._sidings[name] = _Siding(name, last=(FIRST, 0))


async def first_suspects(db: Connection, names: Names, rooms: Rooms, until: int) -> Sequence[Met]:
    """The first of those due by then that are not passed over; none if there are none."""
    behind = FIRST, 0
    while True:
        rows = await db.fetch(names(LOOK), True, until, *behind, _PAGE)
        found = [
            Met(due_at, key, name, recurs)
            for due_at, key, name, recurs, moves in rows
            if not (moves and rooms.passes_over(name))
        ]
        if found or len(rows) < _PAGE:
            return found
        behind = rows[-1][0], rows[-1][1]
