"""How many messages of each event name a claim may hand out; imported from :mod:`duly.store`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from duly._values.patterns import best_key, is_prefix
from duly._values.store import PAUSED
from duly.errors import InvalidArgument

__all__ = ["NO_LIMITS", "Rooms"]

NO_LIMITS: Final[Mapping[str, int]] = MappingProxyType({})
"""The ``most`` of a claim that takes what comes."""

_KEYS: Final = 1000
_PREFIXES: Final = 50


class Rooms:
    """The ``most`` of one claim, and what is left of it: see :class:`~duly.store.SupportsLines`.

    Raises:
        InvalidArgument: too many keys or prefixes, or a number below :data:`~duly.store.PAUSED`.
    """

    def __init__(self, most: Mapping[str, int]) -> None:
        if len(most) > _KEYS or sum(map(is_prefix, most)) > _PREFIXES:
            raise InvalidArgument(f"most may have {_KEYS} keys, {_PREFIXES} of them prefixes")
        if min(most.values(), default=0) < PAUSED:
            raise InvalidArgument("most has a number below -1, which means paused")
        self._most = most
        self._left = dict(most)
        self._patterned = any(map(is_prefix, most))

    @property
    def unlimited(self) -> bool:
        """Whether of every name as many may be handed out as fit."""
        return not self._most

    def left(self, name: str) -> int | None:
        """How many of a name may still be handed out, 0 for none; None: as many as fit."""
        key = self._key(name)
        return None if key is None else max(0, self._left[key])

    def may_wait(self, name: str, *, recurs: bool) -> bool:
        """Whether a message of a name may be moved aside: what recurs only if that is paused."""
        key = self._key(name)
        return not recurs or (key is not None and self._most[key] == PAUSED)

    def passes_over(self, name: str) -> bool:
        """Whether the suspects of a name are left where they are."""
        key = self._key(name)
        return key is not None and self._most[key] <= 0

    def hand_out(self, name: str, count: int = 1) -> None:
        """So many of a name are handed out."""
        key = self._key(name)
        if key is not None:
            self._left[key] -= count

    def _key(self, name: str) -> str | None:
        if self._patterned:
            return best_key(self._most, name)
        return name if name in self._most else None
