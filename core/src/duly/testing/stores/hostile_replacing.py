"""An id is found all the time while its message is replaced."""

import asyncio
import itertools

import pytest

from duly.message import State
from duly.store import Batch, Bury, Group, Release, Store
from duly.testing.stores.bench import Bench, Outcomes, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.pairs import CHANGED, VERBS, Pair
from duly.testing.stores.repeating import stored
from duly.testing.stores.situations import HOUR, retry


class ReplaceRaceCases(StoreHarness):
    """Replacements at the same time as all other verbs, by several store objects."""

    async def _stores(self, bench: Bench, number: int) -> list[Store]:
        return [bench.store, *[await bench.another() for _ in range(number - 1)]]

    @pytest.mark.parametrize("second", VERBS)
    @pytest.mark.parametrize("first", CHANGED)
    async def test_two_at_once(self, desk: Bench, first: str, second: str) -> None:
        here, there = await self._stores(desk, 2)
        for turn in range(self.many(30)):
            pair = Pair(desk, first, second)
            await desk.put(*pair.before)
            calls = [pair.ask(0, here), pair.ask(1, there)]
            heard = await asyncio.gather(*(calls if turn % 2 else calls[::-1]))
            told = await pair.told(desk.store, *(heard if turn % 2 else heard[::-1]))
            assert told in await pair.truths()
            await desk.store.cancel(["a"])

    @pytest.mark.parametrize("there", [True, False], ids=["there", "not there yet"])
    async def test_replaced_by_many(self, desk: Bench, there: bool) -> None:
        stores = await self._stores(desk, 4)
        for _ in range(self.many(20)):
            await desk.store.cancel(["a"])
            if there:
                await desk.put("a")
            messages = [desk.message("a", payload=b"%d" % number) for number in range(12)]
            answers = await asyncio.gather(
                *(
                    stored(stores[number % 4], [Group([message], replace=True)])
                    for number, message in enumerate(messages)
                )
            )
            assert [list(answer) for answer in answers] == [[None]] * 12
            (claim,) = (await desk.claim()).claims
            assert claim.message.payload in [message.payload for message in messages]

    async def test_all_are_found_while_all_are_replaced(self, desk: Bench) -> None:
        """So a caller that cancels many at once counts them right."""
        names = [f"m{number:04}" for number in range(self.many(60))]
        stores = await self._stores(desk, 3)
        await desk.put(*names, after=HOUR)
        new = [desk.message(id, HOUR, payload=b"new") for id in names]
        found, *answers = await asyncio.gather(
            stores[0].cancel(names),
            *(stored(stores[1], [Group([message], replace=True)]) for message in new),
        )
        assert list(found) == [State.SCHEDULED] * len(names)
        assert [list(answer) for answer in answers] == [[None]] * len(names)

    async def test_an_id_is_seen_all_the_time(self, desk: Bench) -> None:
        reader, writer = await self._stores(desk, 2)
        await desk.put("a", after=HOUR)

        async def replace() -> None:
            for _ in range(self.many(40)):
                new = desk.message("a", HOUR)
                assert list(await stored(writer, [Group([new], replace=True)])) == [None]

        replacing = asyncio.create_task(replace())
        while not replacing.done():
            assert await reader.get("a") is not None
            await asyncio.sleep(0)
        await replacing

    async def test_replace_against_every_settlement(self, desk: Bench) -> None:
        names = [f"m{number:04}" for number in range(self.many(60))]
        first, second, third = await self._stores(desk, 3)
        await desk.put(*names)
        batches = [await desk.claim(10) for _ in range(0, len(names), 10)]
        new = [desk.message(id, HOUR, payload=b"new") for id in names]

        async def settle(batch: Batch) -> None:
            kinds = (retry(batch.claims[0].message), Release(desk.start), Bury("broken"), None)
            outcomes: Outcomes = {
                id: kind
                for id, kind in zip(ids(batch), itertools.cycle(kinds))
                if kind is not None  # every fourth is delivered
            }
            half = ids(batch)[::2]
            early = {id: outcomes[id] for id in half if id in outcomes}
            assert await desk.settle(batch, early, only=half, by=second)
            await asyncio.sleep(0)
            late = {id: outcomes[id] for id in outcomes if id not in half}
            assert await desk.settle(batch, late, by=first)

        _, answers = await asyncio.gather(
            asyncio.gather(*(settle(batch) for batch in batches)),
            asyncio.gather(*(stored(third, [Group([message], replace=True)]) for message in new)),
        )
        assert [list(answer) for answer in answers] == [[None]] * len(names)
        assert await desk.listed() == names
        assert await desk.counts() == (len(names), 0, 0)
        for message in new:
            found = await desk.store.get(message.id)
            assert found is not None
            assert found.payload == b"new"
