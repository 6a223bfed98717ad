"""Messages for every verb to act on, and what each has done when it is done."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import attrs

from duly.message import Filter, Message, State
from duly.store import Batch, Group, Settle, Store
from duly.testing.stores.bench import LEASE, Bench
from duly.testing.stores.situations import HOUR

Seen = Mapping[str, tuple[State, bytes, timedelta]]
"""By id: the state, the payload and how long after the start it is scheduled."""


@attrs.frozen
class Stage:
    """One message that is held, one that is due and one that is due later."""

    desk: Bench
    store: Store
    batch: Batch
    number: int
    """Of the stage. Calls of an earlier stage may still be carried out during this one."""
    new: Mapping[str, Message]
    """The messages to put; repeats put the same ones."""

    @classmethod
    async def set(cls, desk: Bench, store: Store, number: int) -> "Stage":
        """A stage on a store where nothing is due."""
        await desk.put(f"{number} held")
        while not (batch := await desk.claim(by=store)).claims:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)  # a claim of an earlier stage has it, and gives it back
        await desk.put(f"{number} due")
        await desk.put(f"{number} later", after=HOUR)
        new = {
            id: desk.message(f"{number} {id}", HOUR, payload=b"new") for id in ("a", "b", "later")
        }
        return cls(desk, store, batch, number, new)

    def named(self, name: str) -> str:
        """The id of a message on this stage."""
        return f"{self.number} {name}"

    async def seen(self) -> Seen:
        """What is stored now."""
        return {
            found.id.removeprefix(self.named("")): (
                found.state,
                found.payload,
                found.scheduled_at - self.desk.start,
            )
            for found in await self.store.list(Filter())
            if found.id.startswith(self.named(""))
        }

    async def clear(self) -> None:
        """Remove all of it."""
        await self.store.cancel([found.id for found in await self.store.list(Filter())])

    # --- the verbs

    async def put(self) -> None:
        await self._put("a", "b", replace=False)

    async def replace(self) -> None:
        await self._put("later", "b", replace=True)

    async def cancel(self) -> None:
        await self.store.cancel([self.named("later")])

    async def reschedule(self) -> None:
        at = self.desk.start + 2 * HOUR
        await self.store.reschedule(self.named("later"), at, of_state=State.SCHEDULED)

    async def claim(self) -> None:
        await self.store.claim(limit=10, lease=LEASE, owner="host:1:case")

    async def renew(self) -> None:
        assert self.batch.token is not None
        await self.store.renew([self.batch.token], LEASE)

    async def settle(self) -> None:
        assert self.batch.token is not None
        await self.store.settle([Settle(self.batch.token, {})])

    async def get(self) -> None:
        assert await self.store.get(self.named("due")) is not None

    async def list(self) -> None:
        assert {*BEFORE} <= {*await self.seen()}

    async def stats(self) -> None:
        assert (await self.store.stats()).scheduled >= 2

    async def _put(self, *ids: str, replace: bool) -> None:
        messages = [self.new[id] for id in ids]
        assert list(await self.store.put([Group(messages, replace)])) == [None]


BEFORE: Final[Seen] = {
    "held": (State.CLAIMED, b"", timedelta(0)),
    "due": (State.SCHEDULED, b"", timedelta(0)),
    "later": (State.SCHEDULED, b"", HOUR),
}

_NEW: Final = (State.SCHEDULED, b"new", HOUR)

WRITING: Final[Mapping[str, tuple[Callable[[Stage], Awaitable[None]], Seen]]] = {
    "put": (Stage.put, {**BEFORE, "a": _NEW, "b": _NEW}),
    "replace": (Stage.replace, {**BEFORE, "later": _NEW, "b": _NEW}),
    "cancel": (Stage.cancel, {id: BEFORE[id] for id in ("held", "due")}),
    "reschedule": (Stage.reschedule, {**BEFORE, "later": (State.SCHEDULED, b"", 2 * HOUR)}),
    "claim": (Stage.claim, {**BEFORE, "due": (State.CLAIMED, b"", timedelta(0))}),
    "renew": (Stage.renew, BEFORE),
    "settle": (Stage.settle, {id: BEFORE[id] for id in ("due", "later")}),
}
"""The verbs that change something, and what is stored when they have done so."""

READING: Final[Mapping[str, Callable[[Stage], Awaitable[None]]]] = {
    "get": Stage.get,
    "list": Stage.list,
    "stats": Stage.stats,
}
"""The verbs that change nothing. Each fails if its answer is wrong."""

VERBS: Final[Mapping[str, tuple[Callable[[Stage], Awaitable[Any]], Seen]]] = {
    **WRITING,
    **{name: (verb, BEFORE) for name, verb in READING.items()},
}
"""All of them."""
