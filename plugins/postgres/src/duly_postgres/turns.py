"""Whose turn it is among the sidings, and where each is looked into, from claim to claim."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, NamedTuple

from duly.moment import FIRST
from duly.store import Rooms

__all__ = ["Span", "Turns", "as_columns", "closed"]

_NEXT: Final = "\0"  # behind a name this makes the next text that there could be
_BEHIND_ALL: Final = "\U0010ffff" * 256  # no event name is as long
_WORTH_IT: Final = 50  # messages taken of a siding from which on a mark is worth it
_GOOD_FOR: Final = 1.0  # seconds


class Span(NamedTuple):
    """Event names from one on, before another; None: to the end."""

    first: str
    past: str | None
    since: int = FIRST
    """The due time from which on the first one's siding is looked into."""


class Turns:
    """Kept by a store for the next claim.

    What was taken of a siding stays in the index while somebody holds an old snapshot open. So for
    a second a siding of which much was taken is looked into from where that ended.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.visited = ""
        """The name whose siding was visited last."""
        self.held: Collection[int] = ()
        """What others held in the main line at the last claim, and the next one passes."""
        self.flooding: Collection[str] = ()
        """Of which names the last look has met so much that it ended at its bound."""
        self._larger = False
        self._clock = clock
        self._marks: dict[str, tuple[int, float]] = {}

    def half(self, limit: int) -> int:
        """Half of a limit; of an odd one now less, now more."""
        self._larger = not self._larger
        return (limit + self._larger) // 2

    @property
    def marked(self) -> bool:
        """Whether a look from the very start might be at much that is gone."""
        if self._marks:
            now = self._clock()
            self._marks = {name: mark for name, mark in self._marks.items() if mark[1] > now}
        return bool(self._marks)

    def taken(self, name: str, last: int, number: int) -> None:
        """So many were taken of a siding, the last one due then."""
        if name in self._marks or number >= _WORTH_IT:
            _, until = self._marks.get(name, (0, self._clock() + _GOOD_FOR))
            self._marks[name] = last, until

    def came(self, name: str, due_at: int) -> None:
        """One was moved into a siding."""
        if name in self._marks and due_at < self._marks[name][0]:
            del self._marks[name]

    def spans(self, rooms: Rooms) -> Sequence[Span]:
        """The names that may give some, from behind the one visited last and round to it."""
        turn, before, after = self.visited + _NEXT, list[Span](), list[Span]()
        for span in _open(rooms):
            if span.past is not None and span.past <= turn:
                before.append(span)
            elif span.first >= turn:
                after.append(span)
            else:
                before.append(Span(span.first, turn))
                after.append(Span(turn, span.past))
        return [part for span in (*after, *before) for part in self._divided(span)]

    def still_open(self, rooms: Rooms) -> Sequence[Span]:
        """The names that may give some, in order."""
        return [part for span in _open(rooms) for part in self._divided(span)]

    def _divided(self, span: Span) -> Iterator[Span]:
        """A span, with each siding that has a mark apart."""
        first, past = span.first, span.past
        for name in sorted(self._marks) if self.marked else ():
            if first <= name and (past is None or name < past):
                yield Span(first, name)
                yield Span(name, name + _NEXT, self._marks[name][0])
                first = name + _NEXT
        yield Span(first, past)


def _open(rooms: Rooms) -> Iterator[Span]:
    return _between(rooms.first_open, rooms.first_closed)


def closed(rooms: Rooms) -> Sequence[Span]:
    """The names of which nothing may be handed out."""
    return list(_between(rooms.first_closed, rooms.first_open))


def _between(
    begin: Callable[[str], str | None], end: Callable[[str], str | None]
) -> Iterator[Span]:
    first = begin("")
    while first is not None:
        past = end(first)
        yield Span(first, past)
        first = None if past is None else begin(past)


def as_columns(spans: Sequence[Span]) -> tuple[list[str], list[int], list[str]]:
    """The spans as arrays: where they begin, from which due time on, and where they end."""
    return (
        [_storable(span.first) for span in spans],
        [span.since for span in spans],
        [_BEHIND_ALL if span.past is None else _storable(span.past) for span in spans],
    )


def _storable(name: str) -> str:
    """The name, or the first that PostgreSQL could hold behind it."""
    for place, character in enumerate(name):
        if character == "\0":
            return f"{name[:place]}\1"
        if "\ud800" <= character <= "\udfff":
            return f"{name[:place]}\ue000"
    return name
