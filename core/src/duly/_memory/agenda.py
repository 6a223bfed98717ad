"""Things in line by whole numbers: the memory store's waiting messages and running leases."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import islice
from typing import Final, Generic, TypeVar

__all__ = ["Agenda"]

T = TypeVar("T")

_BLOCK: Final = 1000  # places; what an insertion moves stays within a processor's cache


class Agenda(Generic[T]):
    """Holds things at distinct places so that the first ones can be taken in batches.

    A list of sorted blocks: adding and removing cost a search and a short move, taking a batch
    next to nothing per thing. Unlike a heap it forgets at once what is removed, however much is
    cancelled or moved, and knows the first place from some bound on.
    """

    __slots__ = ("_blocks", "_lasts", "_things")

    def __init__(self) -> None:
        self._things: dict[int, T] = {}
        self._blocks: list[list[int]] = []  # none is empty
        self._lasts: list[int] = []  # the last place of each block

    def __len__(self) -> int:
        return len(self._things)

    def __iter__(self) -> Iterator[T]:
        for block in self._blocks:
            for place in block:
                yield self._things[place]

    def add(self, place: int, thing: T) -> None:
        """Put a thing at a place that is free."""
        self._things[place] = thing
        at = bisect_left(self._lasts, place)
        if at < len(self._lasts):
            block = self._blocks[at]
            insort(block, place)
        elif at:
            at -= 1
            block = self._blocks[at]
            block.append(place)
            self._lasts[at] = place
        else:
            self._blocks.append([place])
            self._lasts.append(place)
            return
        if len(block) > 2 * _BLOCK:
            self._blocks.insert(at + 1, block[_BLOCK:])
            self._lasts.insert(at, block[_BLOCK - 1])
            del block[_BLOCK:]

    def remove(self, place: int) -> None:
        """Take away what is at a place that is taken."""
        del self._things[place]
        at = bisect_left(self._lasts, place)
        block = self._blocks[at]
        del block[bisect_left(block, place)]
        if not block:
            del self._blocks[at], self._lasts[at]
        elif place == self._lasts[at]:
            self._lasts[at] = block[-1]

    def take(self, bound: int, limit: int | None = None) -> list[T]:
        """Take away the first things with places below ``bound``, at most ``limit``."""
        taken: list[int] = []
        while self._blocks:
            block = self._blocks[0]
            end = bisect_left(block, bound)
            if limit is not None:
                end = min(end, limit - len(taken))
            taken += block[:end]
            if end < len(block):
                del block[:end]
                break
            del self._blocks[0], self._lasts[0]
        return list(map(self._things.pop, taken))

    def below(self, bound: int) -> int:
        """How many places there are below ``bound``."""
        at = bisect_left(self._lasts, bound)
        number = sum(map(len, self._blocks[:at]))
        return number + (bisect_left(self._blocks[at], bound) if at < len(self._blocks) else 0)

    def between(self, start: int, end: int) -> Iterator[T]:
        """The things at places from ``start`` on and before ``end``, in order."""
        at = bisect_left(self._lasts, start)
        first = bisect_left(self._blocks[at], start) if at < len(self._blocks) else 0
        for block in islice(self._blocks, at, None):
            for place in islice(block, first, None):
                if place >= end:
                    return
                yield self._things[place]
            first = 0

    def first(self, bound: int | None = None) -> int | None:
        """The first place, or the first that is not below ``bound``; None without one."""
        if bound is None:
            return self._blocks[0][0] if self._blocks else None
        at = bisect_left(self._lasts, bound)
        if at == len(self._lasts):
            return None
        block = self._blocks[at]
        return block[bisect_left(block, bound)]
