"""How many bytes of payload may be in hand."""

import sys
from collections.abc import Sequence
from typing import Final

from duly.store import Claim

__all__ = ["Weight"]

_LATE: Final = 1000  # the largest of the last 1000 to 2000 messages is remembered


class Weight:
    """Finds how many messages may come, so that their payloads have at most ``most`` bytes.

    The size of a message is known only when it is here. Until then it is taken to be as large as
    the largest recent one, so a batch of larger ones may exceed the bound.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._largest = 0  # bytes, among those that came since the last mark
        self._before = 0  # among those before it
        self._came = 0  # since the mark

    def room(self, in_hand: int) -> int:
        """How many may come beside so many bytes; one at least, unless there are too many."""
        left = self._most - in_hand
        if left <= 0:
            return 0
        largest = max(self._largest, self._before)
        return max(1, left // largest) if largest else sys.maxsize

    def fit(self, in_hand: int, number: int) -> int:
        """How many like the ``number`` in hand, which have so many bytes, fit into half of all."""
        return self._most * number // (2 * in_hand) if in_hand else sys.maxsize

    def weigh(self, claims: Sequence[Claim]) -> int:
        """The bytes of what has come; at least one claim."""
        if self._came >= _LATE:
            self._before, self._largest, self._came = self._largest, 0, 0
        sizes = [len(claim.message.payload) for claim in claims]
        self._largest = max(self._largest, *sizes)
        self._came += len(sizes)
        return sum(sizes)
