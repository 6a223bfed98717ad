"""A series in Redis of which a fire is in hand, and what follows it."""

from datetime import timedelta
from typing import Any

from tests.stores.redis_before import NEWER, StoreBefore, read_before
from tests.stores.redis_scene import Scene

from duly import Ensured, Every, Message, State
from duly.store import Batch, Counters, Reschedule, Settle, Settlement

HOUR = timedelta(hours=1)
BASE = "scheduler:{scheduler:}"


class Desk(Scene):
    """A scene with a series of which a fire is in hand, and a new rule that follows it."""

    async def __aenter__(self) -> "Desk":
        await super().__aenter__()
        self.start = self.clock()
        self.before = StoreBefore(self.client, self.clock)
        await self.before.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.before.close()
        await super().__aexit__()

    def series(self, payload: bytes = b"one", *, every: float = 1, name: str = "tick") -> Message:
        rule = Every(every * HOUR, anchor=self.start)
        return Message(name, payload, id="s", recurrence=rule)

    async def ensure(self, message: Message, **more: Any) -> Ensured | Exception:
        (outcome,) = await self.store.ensure([message], **more)
        return outcome

    async def follow(self, name: str = "tick") -> Batch:
        # The version before reads nothing with an anchor.
        plain = self.message("s", "tick", b"one", recurrence=Every(HOUR), scheduled_at=self.start)
        await self.put(plain)
        batch = await self.claim()
        assert await read_before(self.client, "s") != NEWER
        assert await self.ensure(self.series(b"two", every=1.5, name=name)) is Ensured.FOLLOWS
        return batch

    async def tell(self, batch: Batch, settlement: Settlement | None, store: Any = None) -> bool:
        (claim,) = batch.claims
        exceptions = {} if settlement is None else {claim.key: settlement}
        asked = store or self.store
        (done,) = await asked.settle([Settle(batch.token or "", exceptions)])
        return bool(done)

    def next(self, batch: Batch, after: timedelta = HOUR) -> Reschedule:
        fire = batch.claims[0].message.scheduled_at + after
        return Reschedule(fire, Counters(fire, occurrence_count=1))

    async def found(self) -> tuple[bytes, timedelta, State, int]:
        found = await self.store.get("s")
        assert found is not None
        after = found.scheduled_at - self.start
        return found.payload, after, found.state, found.occurrence_count

    async def hlen(self, name: str) -> int:
        found: int = await self.client.execute_command("HLEN", f"{BASE}{name}")
        return found
