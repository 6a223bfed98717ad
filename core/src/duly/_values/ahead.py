"""What is to come and of which names, by counts and indexes; imported from :mod:`duly.store`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

import attrs

from duly.message import Message

__all__ = ["DueCounts", "NameStats", "Recurring", "SupportsForecast", "SupportsNames"]


@attrs.frozen(kw_only=True)
class NameStats:
    """How much there is of one event name.

    Of those ``scheduled``, ``due`` are due, and of these ``aside`` stand in a siding. ``claimed``
    ones are in somebody's hands, in leases that have lapsed as well. A record that cannot be read
    is dead under the name that the store knows it by. ``oldest`` is the due time of the one that
    waits longest although it is due, aside or not; None when none does. ``at_least``: not all were
    looked at, and there may be more of each.
    """

    name: str
    scheduled: int = 0
    due: int = 0
    aside: int = 0
    claimed: int = 0
    dead: int = 0
    oldest: datetime | None = None
    at_least: bool = False


@runtime_checkable
class SupportsNames(Protocol):
    """A store that finds its event names by an index, and how much there is of each."""

    async def names(self, *, after: str | None, limit: int, most: int) -> Sequence[NameStats]:
        """The names that there is a message of, by code point, from the first behind ``after`` on.

        At most ``limit``. It may be fewer where so much is there of them that counting takes long;
        none only if there are no more. ``after`` is any text that encodes to UTF-8. Where there are
        more than ``most`` of a name it need not look at all of them, and says so; it may do so too
        where more than that are due in all.
        """


@attrs.frozen(kw_only=True)
class Recurring:
    """A series, its payload aside: where it waits, None in somebody's hands, and what follows it.

    ``follows`` is the message that takes its place, as :class:`~duly.store.Whereabouts` has it.
    """

    message: Message
    due_at: datetime | None
    aside: bool = False
    follows: Message | None = None


@attrs.frozen(kw_only=True)
class DueCounts:
    """What waits, by the spans in which it is due.

    ``in_line`` counts all of the main line: suspects, and series once. What was claimed is in
    neither count. ``retries`` are those of them that were tried before and do not recur, among the
    first ``looked_at`` of the line. ``aside`` stand in sidings. ``series`` are all that recur.
    ``complete``: the series are all that there are, and no retry that waits was left out.
    """

    in_line: Sequence[int]
    retries: Sequence[int]
    aside: int
    series: Sequence[Recurring]
    looked_at: int
    complete: bool


@runtime_checkable
class SupportsForecast(Protocol):
    """A store that counts by an index what is due when, and finds its series by another."""

    async def due_counts(self, bounds: Sequence[datetime], *, most: int, look_at: int) -> DueCounts:
        """How much is due up to each of ``bounds``, behind the one before it.

        ``bounds`` are in order, and inclusive; the first span is all up to the first of them. A
        count may stop once it is beyond ``most``. At most ``look_at`` of the line are looked at,
        from its head (suspects, which are few, may come first), and at most as many series. What
        changes meanwhile may be in one count and not in another.
        """
