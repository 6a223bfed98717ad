"""Calls of others while a caller's transaction is under way: they hear the truth too."""

import asyncio
from contextlib import suppress

import pytest

from duly.message import Message, State
from duly.store import Group
from duly.testing.stores.bench import Bench
from duly.testing.stores.pairs import VERBS, Pair
from duly.testing.stores.situations import SETTLEMENTS
from duly.testing.stores.within import RollBack, WithinHarness

_OF_ONE = [name for name in SETTLEMENTS if "next" not in name]


class WithinRaceCases(WithinHarness):
    """Somebody else calls between a change within a transaction and its end."""

    @pytest.mark.parametrize("commits", [True, False], ids=["committed", "rolled back"])
    @pytest.mark.parametrize("second", VERBS)
    @pytest.mark.parametrize("first", VERBS)
    async def test_somebody_else_meanwhile(
        self, desk: Bench, first: str, second: str, commits: bool
    ) -> None:
        pair = Pair(desk, first, second)
        await desk.put(*pair.before)
        other = await desk.another()
        with suppress(RollBack):
            async with self.transaction(desk.namespace) as within:
                heard = await pair.ask(0, desk.store, within)
                task = asyncio.create_task(pair.ask(1, other))
                await self._a_moment()
                if not commits:
                    raise RollBack
        told = await pair.told(desk.store, heard if commits else None, await task)
        assert told in await pair.truths(both=commits)

    async def test_claimed_while_it_is_replaced(self, desk: Bench) -> None:
        await desk.put("a")
        other = await desk.another()
        new = desk.message("a", payload=b"new")
        async with self.transaction(desk.namespace) as within:
            assert list(await desk.store.put([_replacing(new)], within=within)) == [None]
            task = asyncio.create_task(desk.claim(by=other))
            await self._a_moment()
        claims = [*(await task).claims, *await desk.claim_all()]
        payloads = [claim.message.payload for claim in claims]
        assert payloads in ([b"new"], [b"", b"new"])
        assert len({claim.key for claim in claims}) == len(claims)
        assert await desk.state("a") is State.CLAIMED

    @pytest.mark.parametrize("how", _OF_ONE)
    async def test_settled_while_it_is_replaced(self, desk: Bench, how: str) -> None:
        (message,) = await desk.put("a")
        batch = await desk.claim()
        settlement = SETTLEMENTS[how](message)
        outcomes = {} if settlement is None else {"a": settlement}
        other = await desk.another()
        new = desk.message("a", payload=b"new")
        async with self.transaction(desk.namespace) as within:
            assert list(await desk.store.put([_replacing(new)], within=within)) == [None]
            task = asyncio.create_task(desk.settle(batch, outcomes, by=other))
            await self._a_moment()
        assert await task
        assert await desk.store.get("a") == new
        assert await desk.counts() == (1, 0, 0)

    async def _a_moment(self) -> None:
        """Long enough for the other one to get as far as it can."""
        await asyncio.sleep(0.05 * self.patience)


def _replacing(message: Message) -> Group:
    return Group([message], replace=True)
