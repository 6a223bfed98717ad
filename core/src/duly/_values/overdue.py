"""Of which names what is due waits in line, by the line; imported from :mod:`duly.store`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

import attrs

__all__ = ["Overdue", "OverdueName", "SupportsOverdue"]


@attrs.frozen(kw_only=True)
class OverdueName:
    """How much of one event name is due ``in_line``, and since when the ``oldest`` of it.

    ``aside``: some of that name stand in a siding besides.
    """

    name: str
    in_line: int
    oldest: datetime
    aside: bool = False


@attrs.frozen(kw_only=True)
class Overdue:
    """What is due in the main line, by event name, in no order.

    ``complete``: all that is due was looked at.
    """

    names: Sequence[OverdueName]
    complete: bool


@runtime_checkable
class SupportsOverdue(Protocol):
    """A store that walks along its line in order of due time, and knows the names of what waits."""

    async def overdue(self, before: datetime, *, look_at: int) -> Overdue:
        """Of which names what is due up to ``before``, inclusive, waits in the main line.

        Suspects are among it; what is claimed or stands in a siding is not. At most ``look_at``
        (1 or more) of the line are looked at, from its head (suspects, which are few, may come
        first). A record whose name cannot be read may be left out.
        """
