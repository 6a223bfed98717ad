"""When there is nothing to claim a store says so, or schedulers would ask again and again."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

import pytest

from duly.message import State
from duly.store import Bury, Release
from duly.testing.stores.bench import LEASE, Bench
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import HOUR, make_suspect, retry

Way = Callable[[Bench], Awaitable[None]]


async def _taken(desk: Bench) -> None:
    await desk.claim()


async def _withdrawn(desk: Bench) -> None:
    await desk.claim()
    await desk.store.cancel(["a"])


async def _settled_early(desk: Bench) -> None:
    await desk.put("b", after=HOUR)
    assert await desk.settle(await desk.claim(), only=["a"])


async def _retried(desk: Bench) -> None:
    batch = await desk.claim()
    assert await desk.settle(batch, {"a": retry(batch.claims[0].message)})


async def _put_back(desk: Bench) -> None:
    assert await desk.settle(await desk.claim(), {"a": Release(desk.start + HOUR)})


async def _buried(desk: Bench) -> None:
    assert await desk.settle(await desk.claim(), {"a": Bury("broken")})


async def _moved(desk: Bench) -> None:
    await desk.store.reschedule("a", desk.start + HOUR, of_state=State.SCHEDULED)


async def _lapsed_and_taken(desk: Bench) -> None:
    await desk.claim()
    await desk.pass_time(LEASE)
    await desk.claim()


async def _withheld(desk: Bench) -> None:
    await make_suspect(desk, "a")


WAYS: Final[Mapping[str, Way]] = MappingProxyType(
    {
        "taken": _taken,
        "withdrawn": _withdrawn,
        "settled early": _settled_early,
        "retried": _retried,
        "put back": _put_back,
        "buried": _buried,
        "moved": _moved,
        "lapsed and taken": _lapsed_and_taken,
        "a suspect, and none is wanted": _withheld,
    }
)
"""How a message that was due comes to be one that nobody may claim now."""


class RestCases(StoreHarness):
    """``more`` and ``next_due`` of claims that bring nothing."""

    @pytest.mark.parametrize("way", WAYS)
    async def test_where_nothing_can_be_claimed_nothing_is_due(self, desk: Bench, way: str) -> None:
        await desk.put("a")
        await WAYS[way](desk)
        for store in (desk.store, await desk.another(), desk.store):
            batch = await store.claim(limit=10, lease=LEASE, owner="host:1:case", suspects=False)
            assert not batch.claims
            assert not batch.more, "something is due, again and again, and nothing can be claimed"
            assert batch.next_due is None or batch.next_due > batch.now, "next_due is past"
