"""Messages are moved aside while others change them: they are found wherever they are."""

import asyncio
import itertools

from duly.message import State
from duly.store import Group, Store
from duly.testing.stores.bench import Bench, ids
from duly.testing.stores.lines import NOTHING, drained
from duly.testing.stores.lines_racing import LineRaces
from duly.testing.stores.repeating import stored
from duly.testing.stores.situations import HOUR, MINUTE


class LineMoveRaceCases(LineRaces):
    """They are moved, and nobody has them in hand."""

    async def test_cancel_against_moving_finds_them_scheduled(self, timed: Bench) -> None:
        names = [each.id for each in await self._put(timed)]
        first, second, third = await self._stores(timed, 3)
        found: list[State | None] = []

        async def cancel() -> None:
            for start in range(0, len(names), 4):
                found.extend(await third.cancel(names[start : start + 4]))
                await asyncio.sleep(0)

        await asyncio.gather(self._move(timed, first), cancel(), self._move(timed, second))
        assert found == [State.SCHEDULED] * len(names)
        assert await timed.counts() == (0, 0, 0)
        assert await drained(timed) == []

    async def test_reschedule_against_moving_finds_them_scheduled(self, timed: Bench) -> None:
        names = [each.id for each in await self._put(timed)]
        first, second, third = await self._stores(timed, 3)
        at = timed.start - MINUTE

        async def reschedule() -> None:
            for id in reversed(names):
                found = await third.reschedule(id, at, of_state=State.SCHEDULED)
                assert found is State.SCHEDULED
                await asyncio.sleep(0)

        await asyncio.gather(self._move(timed, first), reschedule(), self._move(timed, second))
        assert await timed.counts() == (len(names), 0, 0)
        assert sorted(await drained(timed)) == names

    async def test_replace_against_moving(self, timed: Bench) -> None:
        messages = await self._put(timed)
        first, second, third = await self._stores(timed, 3)

        async def replace() -> None:
            for each in messages:
                new = timed.message(each.id, -HOUR, event_name=each.event_name, payload=b"new")
                assert list(await stored(third, [Group([new], replace=True)])) == [None]
                await asyncio.sleep(0)

        await asyncio.gather(self._move(timed, first), replace(), self._move(timed, second))
        claims = await timed.claim_all()
        assert sorted(claim.message.id for claim in claims) == [each.id for each in messages]
        assert {claim.message.payload for claim in claims} == {b"new"}

    async def test_they_are_seen_while_they_are_moved(self, timed: Bench) -> None:
        names = [each.id for each in await self._put(timed)]
        first, second, third = await self._stores(timed, 3)
        moving = asyncio.gather(self._move(timed, first), self._move(timed, second))
        for id in itertools.cycle(names):
            found = await third.get(id)
            assert found is not None
            assert found.state is State.SCHEDULED
            await timed.aside(id)
            if moving.done():
                break
            await asyncio.sleep(0)
        await moving
        assert sorted(await drained(timed)) == names

    async def test_two_who_move_move_each_once(self, timed: Bench) -> None:
        messages = await self._put(timed)
        stores = await self._stores(timed, 4)
        moved: list[int] = []

        async def move(store: Store) -> None:
            while (batch := await timed.claim(5, by=store, most=NOTHING)).moved or batch.more:
                assert ids(batch) == []
                moved.append(batch.moved)

        await asyncio.gather(*(move(store) for store in stores))
        assert sum(moved) == len(messages)
        assert (await timed.store.stats()).aside == len(messages)
        assert sorted(await drained(timed)) == [each.id for each in messages]
