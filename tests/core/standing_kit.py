"""A memory store whose time is set by hand, for what is said of it in words."""

from datetime import datetime, timedelta
from typing import Any, Final

import attrs
from tests.core.presence_kit import PROCESS, info

from duly import Client, Message
from duly._values.presence import PREFIX, announced
from duly.memory import MemoryStore
from duly.store import Bury, Reschedule, Settle
from duly.store import Counters as Counts
from duly.testing.clock import START

LEASE: Final = timedelta(minutes=5)


class Shop(MemoryStore):
    """``seconds`` have passed since the start."""

    def __init__(self) -> None:
        super().__init__(clock=lambda: self.now)
        self.seconds = 0.0

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def move_on(self, until: datetime) -> bool:
        return False

    def at(self, seconds: float) -> datetime:
        return START + timedelta(seconds=seconds)

    async def scheduled(self, name: str, due: float = 0.0, **more: Any) -> Message:
        """A message that is due so many seconds after the start."""
        message = Message(name, scheduled_at=self.at(due), created_at=START, **more)
        async with Client(self, load_plugins=False) as client:
            await client.schedule(message)
        return message

    async def claimed(self, *, owner: str = "host:1:a", **more: Any) -> Any:
        """A batch of what is due."""
        return await self.claim(
            limit=1000, lease=LEASE, owner=owner, suspects=True, settle=(), **more
        )

    async def buried(self, name: str, error: str, kind: str = "ValueError", **more: Any) -> None:
        """A dead letter that died now."""
        await self.scheduled(name, self.seconds, **more)
        batch = await self.claimed()
        await self.settle(
            [
                Settle(
                    batch.token, {each.key: Bury(error, error_class=kind) for each in batch.claims}
                )
            ]
        )

    async def retried(self, name: str, error: str, after: float, **more: Any) -> None:
        """A message that failed now and is tried again so many seconds later."""
        await self.scheduled(name, self.seconds, **more)
        batch = await self.claimed()
        at = self.at(self.seconds + after)
        said = {
            each.key: Reschedule(
                at, Counts(each.message.scheduled_at, retry_count=1, last_error=error)
            )
            for each in batch.claims
        }
        await self.settle([Settle(batch.token, said)])

    async def announce(self, owner: str = "h:1:a", **more: Any) -> None:
        """A scheduler that says it is there."""
        facts = info(owner, **{"since": self.at(0), "seen": self.now, **more})
        note = await self.read_note(PREFIX + owner)
        value = announced(attrs.evolve(facts), PROCESS)
        assert await self.write_note(PREFIX + owner, value, None if note is None else note.revision)
