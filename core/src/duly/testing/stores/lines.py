"""What the cases of lines share: messages of several names, and how some of them stand aside."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from duly.message import Message
from duly.recurrence import Every
from duly.store import PAUSED, Batch
from duly.testing.stores.bench import Bench, ids
from duly.testing.stores.situations import SECOND

__all__ = ["NOTHING", "apart", "drained", "pull", "put_of", "series", "stand_aside"]

NOTHING = {"*": PAUSED}
"""The ``most`` of a claim to which nothing is handed out."""


async def put_of(
    desk: Bench, name: str, *ids: str, after: timedelta = timedelta(0), **more: Any
) -> Sequence[Message]:
    """Store messages of an event name, a second apart, the first due so long after the start."""
    return await desk.put(
        *(
            desk.message(id, after + number * SECOND, event_name=name, **more)
            for number, id in enumerate(ids)
        )
    )


def series(desk: Bench, name: str, id: str, after: timedelta = timedelta(0)) -> Message:
    """A series of every minute."""
    return desk.message(id, after, event_name=name, recurrence=Every(60 * SECOND))


async def stand_aside(desk: Bench) -> None:
    """Move all aside that is due."""
    while True:
        batch = await desk.claim(most=NOTHING)
        assert ids(batch) == []
        if not batch.more:
            return


async def apart(desk: Bench) -> Sequence[str]:
    """The ids of all that stands aside, by due time."""
    return [id for id in await desk.listed() if await desk.aside(id)]


async def pull(
    desk: Bench, number: int, limit: int, most: Mapping[str, int] | None = None
) -> list[Batch]:
    """So many claims."""
    return [await desk.claim(limit, most=most or {}) for _ in range(number)]


async def drained(desk: Bench, limit: int = 100) -> Sequence[str]:
    """The ids of all that comes, in the order in which it does."""
    return [claim.message.id for claim in await desk.claim_all(limit)]
