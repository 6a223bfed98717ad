"""Two callers change the same message at once: whoever comes first, both hear the truth."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from duly.message import State
from duly.store import Group, Store
from duly.testing.stores.bench import Bench
from duly.testing.stores.plain import PlainStore
from duly.testing.stores.repeating import stored
from duly.testing.stores.situations import HOUR

VERBS: Final = ("put", "replace", "move", "cancel")
"""What a caller may ask for."""

CHANGED: Final = ("replace", "move")
"""The verbs after which the message is there as it was before."""


@attrs.frozen
class Told:
    """What two callers heard and what is stored behind them: a payload and its moment."""

    first: object
    second: object
    stored: tuple[bytes, datetime] | None


class Pair:
    """Two verbs for the message ``a``, each with a payload or a moment of its own."""

    def __init__(self, desk: Bench, first: str, second: str) -> None:
        self._verbs = (first, second)
        self.before = [] if first == "put" else [desk.message("a", HOUR, payload=b"before")]
        self._new = [desk.message("a", HOUR, payload=verb) for verb in (b"first", b"second")]
        self._at = [desk.start + 2 * HOUR, desk.start + 3 * HOUR]
        self._start = desk.start

    async def ask(self, number: int, store: Store, within: Any = None) -> object:
        """What the first (0) or the second (1) hears."""
        verb = self._verbs[number]
        if verb == "cancel":
            return (await store.cancel(["a"], within=within))[0]
        if verb == "move":
            at = self._at[number]
            return await store.reschedule("a", at, of_state=State.SCHEDULED, within=within)
        (error,) = await stored(store, [Group([self._new[number]], verb == "replace")], within)
        return error if error is None else type(error)

    async def told(self, store: Store, first: object, second: object) -> Told:
        """What both heard, and what is stored now."""
        message = await store.get("a")
        stored = None if message is None else (message.payload, message.scheduled_at)
        return Told(first, second, stored)

    async def truths(self, *, both: bool = True) -> Sequence[Told]:
        """The outcomes allowed: both in either order; not ``both``: those of the second alone."""
        return [await self._in(order) for order in ([(0, 1), (1, 0)] if both else [(1,)])]

    async def _in(self, order: Sequence[int]) -> Told:
        store = PlainStore(clock=lambda: self._start)
        await store.put([Group(self.before)])
        heard = {number: await self.ask(number, store) for number in order}
        return await self.told(store, heard.get(0), heard[1])
