"""What a claim is asked for, what it has left behind, and the batch that tells of it."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import attrs

from duly.moment import from_microseconds
from duly.store import NEWER_PAUSE, Batch, Rooms, Token
from duly_mongo.leases import MICROSECOND
from duly_mongo.looking import View
from duly_mongo.places import moment_of
from duly_mongo.sorting import Found

__all__ = ["Asked", "Left", "batch_of"]


@attrs.frozen
class Asked:
    """What a claim is asked for, as :meth:`duly.store.SupportsLines.claim` has it."""

    limit: int
    lease: timedelta
    owner: str
    suspects: bool
    most: Mapping[str, int]

    def rooms(self) -> Rooms:
        """What may be handed out of each name.

        Raises:
            InvalidArgument: ``most`` asks for too much.
        """
        return Rooms(self.most)


@attrs.frozen
class Left:
    """What stays in the lines.

    ``coming`` is when that of the main line is due, ``more`` whether something of it is, or whether
    a siding could give something; ``aside`` whether one holds what was kept back.
    """

    coming: Sequence[int | None]
    more: bool
    moved: int = 0
    aside: bool = False

    @classmethod
    def behind(cls, view: View, taken: Sequence[Mapping[str, Any]]) -> "Left":
        """What there is behind what is taken, where no names are looked at."""
        heads = view.left(taken)
        return cls([moment_of(each.get("due")) for each in heads], any(map(view.due, heads)))


def batch_of(
    view: View, left: Left, found: Found, settled: Sequence[bool], token: Token | None = None
) -> Batch:
    """What a claim brought, and when to look again."""
    coming = [*left.coming, view.first_lapse(but=token), *found.coming]
    if found.newer:
        coming.append(view.now + NEWER_PAUSE // MICROSECOND)
    moments = [moment for moment in coming if moment is not None]
    return Batch(
        token=token if found.claims else None,
        claims=found.claims,
        now=from_microseconds(view.now),
        next_due=from_microseconds(min(moments)) if moments else None,
        more=view.more or left.more or any(moment <= view.now for moment in found.coming),
        settled=settled,
        unreadable=found.unreadable,
        newer=found.newer,
        moved=left.moved,
        aside=left.aside,
    )
