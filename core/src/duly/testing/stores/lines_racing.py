"""What the races of lines share: who moves messages aside, and who drains and delivers them."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

from duly.message import Message
from duly.store import PAUSED, Settle, Store
from duly.testing.stores.bench import Bench, ids, settle_of
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.lines import NOTHING
from duly.testing.stores.situations import HOUR

NAMES: Final = ("slow", "slow.b", "fast")
MOSTS: Final[Sequence[Mapping[str, int]]] = (
    {}, {"slow": 0}, {"slow.*": 1, "slow": 2}, {"*": 3}, {"fast": PAUSED, "slow": 1}, {"*": 0},
)  # fmt: skip
"""What a claim may be asked, in turn, so that messages go to and fro."""


class LineRaces(StoreHarness):
    """Several store objects over a backlog of three names."""

    async def _stores(self, bench: Bench, number: int) -> list[Store]:
        return [bench.store, *[await bench.another() for _ in range(number - 1)]]

    async def _put(self, bench: Bench, **more: Any) -> list[Message]:
        messages = [
            bench.message(f"m{each:04}", -HOUR, event_name=NAMES[each % 3], **more)
            for each in range(self.many(120))
        ]
        await bench.put(*messages)
        return messages

    async def _move(self, bench: Bench, store: Store) -> None:
        """Move all aside, a few a claim, and hand out nothing."""
        for _ in range(self.many(30)):
            for most in ({"slow": 0, "*": 0}, NOTHING):
                batch = await bench.claim(2, by=store, most=most)
                assert ids(batch) == []
                await asyncio.sleep(0)

    async def _flow(self, bench: Bench, store: Store, seen: list[tuple[str, bytes]]) -> None:
        """Claim with one ``most`` after the other, and settle, until nothing comes."""
        settle: list[Settle] = []
        idle = 0
        for most in itertools.cycle(MOSTS):
            batch = await bench.claim(7, by=store, settle=settle, most=most)
            seen += [(claim.message.id, claim.message.payload) for claim in batch.claims]
            settle = [settle_of(batch)] if batch.claims else []
            idle = 0 if batch.claims else idle + 1
            if idle > len(MOSTS):
                return
            await asyncio.sleep(0)

    async def _with_flow(
        self, bench: Bench, beside: Callable[[Store], Coroutine[Any, Any, None]]
    ) -> Counter[tuple[str, bytes]]:
        """What is handed out by two while something is done by a third, and after that."""
        first, second, third = await self._stores(bench, 3)
        seen: list[tuple[str, bytes]] = []
        await asyncio.gather(
            self._flow(bench, first, seen), beside(third), self._flow(bench, second, seen)
        )
        await self._flow(bench, first, seen)
        assert await bench.counts() == (0, 0, 0)
        assert (await bench.store.stats()).aside == 0
        return Counter(seen)
