"""Opening: giving up or opening twice leaves nothing open; and passwords are not shown."""

import asyncio
from typing import Final

from duly.store import Store
from duly.testing.stores.bench import Bench
from duly.testing.stores.harness import StoreHarness

_PAUSE: Final = 0.01  # seconds between two looks
_LOOKS: Final = 20
_POINTS: Final = 100


class ConnectionCases(StoreHarness):
    """What a store takes for itself is given back."""

    async def test_opened_by_many_and_closed_once(self, desk: Bench) -> None:
        before = await self._before(desk)
        store = await desk.unopened()
        await asyncio.gather(*(store.open() for _ in range(10)))
        await self._use(store)
        assert await self.connections(desk.namespace) > before, "connections() counts nothing"
        await store.close()
        await self._nothing_more(desk, before)

    async def test_opening_is_cancelled_at_any_point(self, desk: Bench) -> None:
        before = await self._before(desk)
        turns = await self._turns_to_open(await desk.unopened())
        store = await desk.unopened()
        points = min(self.many(_POINTS), turns + 1)
        for number in range(points):
            opening = asyncio.ensure_future(store.open())
            for _ in range(round(number * turns / points)):
                await asyncio.sleep(0)
            opening.cancel()
            await asyncio.wait([opening])
            await store.close()
        await self._nothing_more(desk, before)
        await store.open()
        await self._use(store)
        await store.close()
        await self._nothing_more(desk, before)

    async def test_one_who_gives_up_opening_stops_nobody_else(self, desk: Bench) -> None:
        before = await self._before(desk)
        store = await desk.unopened()
        opening = [asyncio.ensure_future(store.open()) for _ in range(5)]
        await asyncio.sleep(0)
        opening[0].cancel()
        await asyncio.wait(opening)
        for other in opening[1:]:
            assert not other.cancelled(), "cancelled because another caller gave up"
            await other
        await self._use(store)
        await store.close()
        await self._nothing_more(desk, before)

    async def _before(self, desk: Bench) -> int:
        """How many there are without our stores, such as those of a client given to one."""
        self.needs("connections", "no_connections")
        await desk.store.close()
        for _ in range(_LOOKS):
            if not await self.connections(desk.namespace):
                break
            await asyncio.sleep(_PAUSE)
        return await self.connections(desk.namespace)

    async def _use(self, store: Store) -> None:
        assert await store.get("a") is None

    async def _turns_to_open(self, store: Store) -> int:
        """Of the event loop."""
        opening, turns = asyncio.ensure_future(store.open()), 0
        while not opening.done():
            await asyncio.sleep(0)
            turns += 1
        await opening
        await store.close()
        return turns

    async def _nothing_more(self, desk: Bench, before: int) -> None:
        """Wait until no more is open than before; the server notices an end a little later."""
        end = asyncio.get_running_loop().time() + self.outage_patience
        while (left := await self.connections(desk.namespace) - before) > 0:
            assert asyncio.get_running_loop().time() < end, f"{left} more are left open"
            await asyncio.sleep(_PAUSE)


class SecretCases(StoreHarness):
    """Passwords, such as those in URLs, are never shown; ``OutageCases`` check errors too."""

    async def test_it_does_not_tell_its_secrets(self, desk: Bench) -> None:
        self.needs("secrets", "no_secrets")
        opened, unopened = desk.store, await desk.unopened()
        self.assert_discreet(opened)
        self.assert_discreet(unopened)
