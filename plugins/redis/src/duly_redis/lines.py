"""What a claim tells a script of lines: see ``lua/lines.lua`` and ``lua/rooms.lua``."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from duly.record import encodable
from duly.store import LOOKED_AT, SIDINGS
from duly_redis.taken import Taken

__all__ = ["Turn", "told"]

_ANY: Final = 10**9  # as good as any larger number, and exact in a script


def told(most: Mapping[str, int]) -> Any:
    """What may be handed out: the numbers, and names and beginnings of names in order.

    False for as many as fit.
    """
    if not most:
        return False
    numbers = {key: min(number, _ANY) for key, number in most.items() if encodable(key)}
    return numbers, sorted(key[:-1] if _is_prefix(key) else key for key in numbers)


class Turn:
    """Whose turn it is at the next claim from one shard."""

    def __init__(self) -> None:
        self._visited = ""
        self._larger = False  # whether sidings had the larger half of an odd limit
        self._suspects = 0  # the place from which on they are looked at

    def told(self, limit: int) -> Sequence[Any]:
        """What a claim is told of it."""
        half = (limit + (not self._larger)) // 2
        return self._visited, half, SIDINGS, LOOKED_AT, self._suspects

    def heard(self, mine: Taken) -> None:
        """A claim has visited sidings."""
        if mine.visited is not None:
            self._visited, self._larger = mine.visited, not self._larger
            self._suspects = mine.suspects_from


def _is_prefix(key: str) -> bool:
    return key == "*" or key.endswith(".*")
