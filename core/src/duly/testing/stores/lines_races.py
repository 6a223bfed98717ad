"""Messages are moved aside and drained while others change them: none is lost or doubled."""

import asyncio
import itertools
from collections import Counter

from duly.message import State
from duly.store import Group, Release, Store
from duly.testing.stores.bench import Bench, Outcomes, ids
from duly.testing.stores.lines import NOTHING, series
from duly.testing.stores.lines_racing import MOSTS, NAMES, LineRaces
from duly.testing.stores.repeating import stored
from duly.testing.stores.situations import HOUR, MINUTE


class LineRaceCases(LineRaces):
    """They are moved and drained and delivered, all at once."""

    async def test_claims_beside_claims(self, timed: Bench) -> None:
        messages = await self._put(timed)

        async def flow(store: Store) -> None:
            await self._flow(timed, store, seen)

        seen: list[tuple[str, bytes]] = []
        counted = await self._with_flow(timed, flow) + Counter(seen)
        assert counted == {(each.id, b""): 1 for each in messages}

    async def test_cancel_against_moving_and_draining(self, timed: Bench) -> None:
        names = [each.id for each in await self._put(timed)]
        found: dict[str, State | None] = {}

        async def cancel(store: Store) -> None:
            for start in range(0, len(names), 5):
                some = names[start : start + 5]
                found.update(zip(some, await store.cancel(some), strict=True))
                await asyncio.sleep(0)

        claimed = await self._with_flow(timed, cancel)
        for id, state in found.items():
            assert claimed[id, b""] == (0 if state is State.SCHEDULED else 1), (id, state)

    async def test_put_against_moving_and_draining(self, timed: Bench) -> None:
        before = await self._put(timed)
        after = [
            timed.message(f"n{each:04}", -2 * HOUR, event_name=NAMES[each % 3])
            for each in range(self.many(60))
        ]

        async def put(store: Store) -> None:
            for each in after:
                assert list(await store.put([Group([each])])) == [None]
                await asyncio.sleep(0)

        claimed = await self._with_flow(timed, put)
        assert claimed == {(each.id, b""): 1 for each in [*before, *after]}

    async def test_replace_against_moving_and_draining(self, timed: Bench) -> None:
        messages = await self._put(timed)

        async def replace(store: Store) -> None:
            for each in messages:
                new = timed.message(each.id, -HOUR, event_name=each.event_name, payload=b"new")
                assert list(await stored(store, [Group([new], replace=True)])) == [None]

        claimed = await self._with_flow(timed, replace)
        assert {claimed[each.id, b"new"] for each in messages} == {1}
        assert max(claimed[each.id, b""] for each in messages) <= 1

    async def test_reschedule_against_moving_and_draining(self, timed: Bench) -> None:
        messages = await self._put(timed)

        async def move(store: Store) -> None:
            for each in reversed(messages):
                await store.reschedule(each.id, timed.start - MINUTE, of_state=State.SCHEDULED)

        claimed = await self._with_flow(timed, move)
        assert claimed == {(each.id, b""): 1 for each in messages}

    async def test_put_back_against_moving_and_draining(self, timed: Bench) -> None:
        """Half of each batch is put back, by settles of their own."""
        messages = await self._put(timed)
        seen: list[str] = []

        async def put_back(store: Store) -> None:
            for most in itertools.islice(itertools.cycle(MOSTS), self.many(30)):
                batch = await timed.claim(5, by=store, most=most)
                if batch.claims:
                    back: Outcomes = {id: Release(timed.start - HOUR) for id in ids(batch)[::2]}
                    seen.extend(ids(batch)[1::2])
                    assert await timed.settle(batch, back, by=store)
                await asyncio.sleep(0)

        claimed = await self._with_flow(timed, put_back)
        both = Counter(id for id, _ in claimed.elements()) + Counter(seen)
        assert both == {each.id: 1 for each in messages}

    async def test_lapses_against_moving_and_draining(self, desk: Bench) -> None:
        """Somebody takes some of each and dies; all comes back, by and by."""
        messages = await self._put(desk)
        first, second = await self._stores(desk, 2)
        for most in MOSTS:
            await asyncio.gather(
                desk.claim(5, by=first, most=most, lease=MINUTE),
                desk.claim(5, by=second, most=most, lease=MINUTE),
                desk.claim(3, by=second, most=NOTHING),
            )
            await desk.pass_time(MINUTE)
        claims: list[str] = []
        while (batch := await desk.claim(4, most={"*": 3})).claims or batch.more:
            claims += ids(batch)
        assert sorted(claims) == [each.id for each in messages]
        assert (await desk.store.stats()).aside == 0

    async def test_series_against_moving_and_draining(self, timed: Bench) -> None:
        every = [series(timed, NAMES[n % 3], f"m{n:04}", -HOUR) for n in range(self.many(40))]
        await timed.put(*every)

        async def cancel(store: Store) -> None:
            for each in every[::2]:
                await store.reschedule(each.id, timed.start - MINUTE, of_state=State.SCHEDULED)

        claimed = await self._with_flow(timed, cancel)
        assert claimed == {(each.id, b""): 1 for each in every}
