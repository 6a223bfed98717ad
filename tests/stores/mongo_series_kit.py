"""What the tests of series on MongoDB share: one of which a fire is in hand, and what follows it."""

from datetime import timedelta

from tests.stores.mongo_kit import Shop

from duly import Ensured, Every, Message
from duly.store import Batch, Counters, Declared, Reschedule, Settle, Settlement

HOUR = timedelta(hours=1)


class SeriesDesk:
    """A shop with a series ``s`` of every hour; each rule has the same anchor."""

    def __init__(self, shop: Shop) -> None:
        assert shop.clock is not None
        self.shop, self.store, self.clock = shop, shop.store, shop.clock
        self.start = self.clock()

    def series(
        self, payload: bytes = b"one", *, every: float = 1, id: str = "s", name: str = "tick"
    ) -> Message:
        rule = Every(every * HOUR, anchor=self.start)
        return Message(name, payload, id=id, recurrence=rule)

    async def ensure(self, message: Message, declared: Declared | None = None) -> object:
        (outcome,) = await self.store.ensure([message], declared=declared)
        return outcome

    async def claim(self) -> Batch:
        return await self.store.claim(limit=9, lease=HOUR, owner="host:1:a")

    async def in_hand(self) -> Batch:
        assert await self.ensure(self.series()) is Ensured.STORED
        self.clock.advance(hours=1)
        return await self.claim()

    async def followed(self) -> Batch:
        """In hand, while what is due after an hour and a half follows."""
        batch = await self.in_hand()
        assert await self.ensure(self.series(b"two", every=1.5)) is Ensured.FOLLOWS
        return batch

    async def tell(self, batch: Batch, settlement: Settlement) -> bool:
        (claim,) = batch.claims
        (done,) = await self.store.settle([Settle(batch.token or "", {claim.key: settlement})])
        return done

    def next(self, batch: Batch) -> Reschedule:
        fire = batch.claims[0].message.scheduled_at + HOUR
        return Reschedule(fire, Counters(fire, occurrence_count=1))

    async def standing(self) -> tuple[bytes, float] | None:
        """The payload, and its next fire in hours since the start; None when there is none."""
        found = await self.store.get("s")
        return None if found is None else (found.payload, (found.scheduled_at - self.start) / HOUR)

    async def write(self, **fields: object) -> None:
        """Into the document, behind the back of the store."""
        changed = await self.shop.messages.update_one({"_id": "s"}, {"$set": fields})
        assert changed.matched_count
