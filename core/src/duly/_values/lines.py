"""No event name holds up another: what a claim may hand out of each; from :mod:`duly.store`."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Final, Protocol, runtime_checkable

from duly._values.patterns import best_key, is_prefix
from duly._values.store import PAUSED, Batch, Settle
from duly.errors import InvalidArgument

__all__ = ["NO_LIMITS", "Rooms", "SupportsLines"]

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
        self._stems: Sequence[str] | None = None  # in order: names, and what prefixes begin with

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

    def first_open(self, name: str) -> str | None:
        """Where names may begin, from this one on, of which some may be handed out; None: nowhere.

        With it a store walks along the names that have sidings and passes all those that may give
        nothing, as many as there are, in a step for each key.
        """
        return self._first(name, is_open=True)

    def first_closed(self, name: str) -> str | None:
        """The same for names of which nothing may be handed out."""
        return self._first(name, is_open=False)

    def _first(self, name: str, *, is_open: bool) -> str | None:
        if self._stems is None:
            self._stems = sorted(key[:-1] if is_prefix(key) else key for key in self._most)
        while (self.left(name) != 0) is not is_open:
            key = self._key(name)
            if key == name:  # it stands for itself alone
                name += "\0"
                continue
            stem = "" if key is None else key[:-1]
            after = bisect_right(self._stems, name)
            if after < len(self._stems) and self._stems[after].startswith(stem):
                name = self._stems[after]
            elif stem:
                name = f"{stem[:-1]}{chr(ord(stem[-1]) + 1)}"  # behind all that begin with it
            else:
                return None
        return name

    def _key(self, name: str) -> str | None:
        if self._patterned:
            return best_key(self._most, name)
        return name if name in self._most else None


@runtime_checkable
class SupportsLines(Protocol):
    """A store in which no event name holds up another, whatever its backlog.

    Beside the *main line*, in which all wait that is scheduled, an event name may have a *siding*.
    What stands there is due and SCHEDULED for every verb, and keeps its due time and its order. It
    comes there by a claim alone, and leaves it by a claim, a cancel, a put with ``replace``, a
    reschedule, an undeclare or an ensure that moves it or gives it another event name. Whatever is
    put back, or lapses, is in the main line; no suspect stands aside.

    **The mark.** A namespace is marked when it is made; an older one by a ``migrate()`` that
    somebody calls, not by opening. Before that nothing is moved aside, as schedulers of a version
    without lines would not find it, and what stands in the main line is handed out whatever
    ``most`` says; what stands aside is found and handed out all the same, as ``most`` says. A store
    that is open when somebody migrates need not notice before it is opened again.
    """

    lines: bool
    """True, set on the class: a wrapper around such a store may not know ``most``."""

    async def claim(
        self,
        *,
        limit: int,
        lease: timedelta,
        owner: str,
        suspects: bool = True,
        settle: Sequence[Settle] = (),
        most: Mapping[str, int] = NO_LIMITS,
    ) -> Batch:
        """As :meth:`Store.claim`, but of a name in ``most`` at most so many are handed out.

        0: none, but what recurs; :data:`~duly.store.PAUSED`: none at all. What recurs counts, as
        does a suspect. Of other names as many as fit. A key that ends in ``.*``, or is ``*``, is
        one number for all names that begin with what is before the ``*`` and have no key of their
        own, nor a longer prefix: together. At most 1,000 keys, 50 of them prefixes.

        After the settles and what has lapsed:

        1. Sidings of names that may give some are visited, some :data:`~duly.store.SIDINGS`, in
           turn: the next claim goes on behind the one visited last, so that none is passed by for
           ever, also of a name that nobody else has heard of. Of each the first by due time, then
           by the order in which they were stored. Together they give half of ``limit``, and what
           the main line leaves. Of an odd limit now one, now the other has the larger half.
        2. The main line is looked at from its head, at most :data:`~duly.store.LOOKED_AT` messages
           that are due. One whose name may give no more, or has a siding that is not empty, is
           moved into that siding; unless it recurs and the name is not paused, as a fire that was
           in time would become a missed one by waiting: that is handed out in any case. All others
           are handed out, as many as ``limit`` leaves, at least half of it if there are as many.

        So of a name that has a siding, a message that is stored with an earlier due time than what
        stands there may come after that: as soon as a claim has looked at it in the main line.

        All of it is one batch under one token and one lease, in order of due time. A suspect is
        claimed alone if it comes first in the main line. Suspects of a name whose number is 0 or
        less are passed over, of ``more`` and ``next_due`` too.

        ``more`` of the answer: another claim, with what this one has left of ``most``, could bring
        or move something now. ``aside``: a siding holds something, and nothing of ``most`` is left
        for its name. ``next_due`` says nothing of what stands aside.

        Raises:
            InvalidArgument: as :class:`Rooms`; nothing is settled then, and nothing moved.
        """
