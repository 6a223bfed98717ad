"""What is due between two moments, by an index; imported from :mod:`duly.store`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

import attrs

from duly.message import Message

__all__ = ["Due", "SupportsDueBetween"]


@attrs.frozen(kw_only=True)
class Due:
    """A message that waits in line, its payload aside, and when it is due there."""

    message: Message
    due_at: datetime


@runtime_checkable
class SupportsDueBetween(Protocol):
    """A store that finds by an index what is due between two moments."""

    async def due_between(self, since: datetime, until: datetime, *, limit: int) -> Sequence[Due]:
        """What waits in the main line and is due from ``since`` up to ``until``, both inclusive.

        In order of due time, equal ones in any; no more than ``limit``, which may be up to 10,000,
        and fewer only if there are no more. Suspects and series are among them; what is claimed
        or stands aside is not. A payload may be empty: nobody asks for it. A record that cannot be
        read comes as :meth:`~duly.store.Store.list` shows it. What changes meanwhile may be left
        out, or come twice.
        """
