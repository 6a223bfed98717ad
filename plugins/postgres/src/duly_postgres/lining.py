"""A claim that limits event names, or finds some aside."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import attrs

from duly.moment import FIRST
from duly.record import Record
from duly.store import LOOKED_AT, Rooms, Token
from duly_postgres.connection import Connection, Row
from duly_postgres.lines import LAST, Met, Plan, first_suspects
from duly_postgres.names import Names
from duly_postgres.sql_lines import LOOK, SIDINGS_LEFT, SWEEP, TAKE_FROM_LINES
from duly_postgres.turns import Turns, as_columns, closed

__all__ = ["Lining", "Taken"]

_NAME: Final = 3 + Record._fields.index("event_name")  # where it stands in a row
_TRIES: Final = 3  # if others have what was planned
_FULL: Final = 50  # messages taken of the main line from which on a mark is worth it


@attrs.frozen
class Taken:
    """What came of it."""

    rows: Sequence[Row]
    ahead: int | None
    """When something is due that is no suspect: in the past if another claim would bring it."""
    first_suspect: int | None
    held: bool = False
    """Whether others hold some of what is due."""
    last: int | None = None
    """The due time of the last that was looked at in the main line, if all up to it is gone."""
    moved: int = 0
    aside: bool = False


@attrs.frozen
class _Swept:
    """What was moved aside before all else: of each name the first due time, and how many in all.

    ``last`` is the last due time, ``more`` whether the main line has more that is due.
    """

    first: Mapping[str, int] = {}
    number: int = 0
    last: int = FIRST
    more: bool = False


class Lining:
    """What is asked for, and how it is done."""

    def __init__(
        self,
        db: Connection,
        names: Names,
        turns: Turns,
        most: Mapping[str, int],
        lease: tuple[datetime | None, Token, timedelta, str],
        *,
        hasty: bool,
    ) -> None:
        self._db, self._names, self._turns = db, names, turns
        self._most = most
        self._lease = lease  # the clock's time, the token, for how long, and for whom
        self._hasty = hasty
        self.asked = bool(most) or turns.marked
        """Whether to go this way, whatever there is."""

    async def take(self, about: Sequence[Any], since: int, limit: int, *, any_aside: bool) -> Taken:
        """Take so many, as the statement TAKE tells about the lines, in which it took nothing."""
        now, _, suspect_first, _, _, coming, suspect, *_ = about
        suspects = (
            []
            if suspect is None
            else await first_suspects(self._db, self._names, Rooms(self._most), LAST)
        )
        if suspects and suspect_first:
            taken = await self._take_suspect(suspects, now, coming)
            if taken is not None:
                return taken
        first = suspects[0].due_at if suspects else None
        return await self._take(now, since, coming, first, limit, any_aside=any_aside)

    async def _take_suspect(
        self, suspects: Sequence[Met], now: int, coming: int | None
    ) -> Taken | None:
        """Take the one that comes first, alone; None if an ordinary one does, or none is due."""
        rows = await self._db.fetch(self._names(LOOK), False, now, FIRST, 0, 1)
        ordinary = rows[0][:2] if rows else (now + 1, 0)
        first = [each for each in suspects if (each.due_at, each.key) < (*ordinary,)]
        if not first:
            return None
        found: Sequence[Row] = ()
        for number, each in enumerate(first[:_TRIES]):
            found, *_ = await self._carry_out([each], [], suspect=True, passed=[])
            if found:
                suspects = [*suspects[:number], *suspects[number + 1 :]]
                break
        give, keep = await self._left(now, found)
        return Taken(
            found,
            now if give else rows[0][0] if rows else coming,
            suspects[0].due_at if suspects and found else None,
            held=not found,
            aside=keep,
        )

    async def _take(
        self,
        now: int,
        since: int,
        coming: int | None,
        suspect: int | None,
        limit: int,
        *,
        any_aside: bool,
    ) -> Taken:
        turns, rows = self._turns, list[Row]()
        gone = moved = 0
        passed = turns.held
        swept = await self._sweep(now, since, limit)
        look_at = LOOKED_AT - swept.number
        any_aside = any_aside or swept.number > 0
        for _ in range(_TRIES):
            plan = Plan(
                self._db, self._names, Rooms(self._most), turns,
                now=now, since=max(since, swept.last), look_at=look_at,
            )  # fmt: skip
            await plan.make(limit, any_aside=any_aside)
            held: Collection[int] = ()
            if not plan.met and not plan.given:
                break
            rows, gone, moved, held = await self._carry_out(
                plan.met, plan.given, suspect=False, passed=passed
            )
            passed = held
            if gone or rows:
                break
        turns.held = held
        self._note(plan, swept)
        give = keep = False
        if any_aside or moved:
            give, keep = await self._left(now, rows)
        more = plan.more or give or gone + len(held) < len(plan.met) or (swept.more and not look_at)
        all_gone = swept.number + gone >= _FULL and gone == len(plan.met)
        last = plan.met[-1].due_at if plan.met else swept.last
        return Taken(
            rows,
            now if more else coming,
            suspect,
            held=bool(held),
            last=last if all_gone else None,
            moved=swept.number + moved,
            aside=keep,
        )

    async def _carry_out(
        self, met: Sequence[Met], given: Sequence[Met], *, suspect: bool, passed: Collection[int]
    ) -> tuple[list[Row], int, int, Collection[int]]:
        """What was taken, how many left the main line, how many were moved, what others hold."""
        *rows, last = await self._db.fetch(
            self._names(TAKE_FROM_LINES),
            *self._lease,
            self._hasty,
            suspect,
            [each.key for each in met],
            [each.due_at for each in met],
            [each.name for each in met],
            [each.recurs for each in met],
            [each.moves for each in met],
            [*passed],
            [each.name for each in given],
            [each.due_at for each in given],
            [each.key for each in given],
        )
        gone, moved, held, _ = last["about"]
        return rows, gone, moved, held

    async def _sweep(self, now: int, since: int, limit: int) -> "_Swept":
        """Move aside what comes first, as far as it is of names that flood the main line.

        In a single step, which is all there is to do while a large backlog is looked past.
        """
        names = self._turns.flooding
        if not names:
            return _Swept()
        rooms = Rooms(self._most)
        rows = await self._db.fetch(
            self._names(SWEEP), now, since, LOOKED_AT,
            [*names], [rooms.left(each) == 0 for each in names], limit, self._hasty,
        )  # fmt: skip
        return _Swept(
            {name: first for name, _, first, *_ in rows},
            sum(row[1] for row in rows),
            max((row[3] for row in rows), default=FIRST),
            any(row[4] for row in rows),
        )

    def _note(self, plan: Plan, swept: "_Swept") -> None:
        """Keep for the next claim how far the sidings were emptied, and what came into them."""
        moves = [each.name for each in plan.met if each.moves]
        is_full = swept.number + len(plan.met) == LOOKED_AT
        is_flood = is_full and 2 * (swept.number + len(moves)) >= LOOKED_AT
        self._turns.flooding = {*swept.first, *moves} if is_flood else ()
        for name, first in swept.first.items():
            self._turns.came(name, first)
        numbers = Counter(each.name for each in plan.given)
        for name, last in {each.name: each.due_at for each in plan.given}.items():
            self._turns.taken(name, last, numbers[name])
        for each in plan.met:
            if each.moves:
                self._turns.came(each.name, each.due_at)

    async def _left(self, now: int, rows: Sequence[Row]) -> tuple[bool, bool]:
        """Whether some siding could give more, and whether one has what may not be handed out."""
        rooms = Rooms(self._most)
        for row in rows:
            rooms.hand_out(row[_NAME])
        columns = *as_columns(self._turns.still_open(rooms)), *as_columns(closed(rooms))
        ((give, keep),) = await self._db.fetch(self._names(SIDINGS_LEFT), now, *columns)
        return give, keep
