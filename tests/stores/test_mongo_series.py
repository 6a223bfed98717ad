"""Series that are ensured while others are at them too: each step finds what was before it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tests.servers.mongo import lone_mongo_url, mongo_url
from tests.stores.mongo_kit import Shop, opened
from tests.stores.mongo_series_kit import HOUR, SeriesDesk

from duly import Ensured, Filter, InvalidMessage, State, StoreUnavailable
from duly.store import Bury, Declared, End, Reschedule, Settlement
from duly_mongo import claiming, series
from duly_mongo.held import load

__all__ = ["lone_mongo_url", "mongo_url"]  # fixtures are found by their names

Work = Callable[[], Awaitable[object]]


@pytest.fixture(params=["mongo_url", "lone_mongo_url"], ids=["replica set", "alone"])
def url(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
async def shop(url: str) -> AsyncIterator[Shop]:
    async with opened(url) as shop:
        yield shop


@pytest.fixture
def desk(shop: Shop) -> SeriesDesk:
    return SeriesDesk(shop)


def between(
    patch: pytest.MonkeyPatch, place: object, name: str, work: Work, *, times: int = 1
) -> None:
    """Let somebody else do this at that step, as often."""
    step, left = getattr(place, name), times

    async def stepped(*arguments: Any, **more: Any) -> Any:
        nonlocal left
        if left:
            left -= 1
            await work()
        return await step(*arguments, **more)

    patch.setattr(place, name, stepped)


def told(how: str, following: Reschedule) -> Settlement:
    settlements: dict[str, Settlement] = {
        "next": following,
        "end": End(1),
        "bury": Bury("x", following),
        "bury and end": Bury("x", End(1)),
    }
    return settlements[how]


@pytest.mark.parametrize("how", ["next", "end", "bury", "bury and end"])
@pytest.mark.parametrize("before", [False, True], ids=["first", "anew"])
async def test_ensured_in_the_middle_of_a_settle(
    desk: SeriesDesk, monkeypatch: pytest.MonkeyPatch, how: str, *, before: bool
) -> None:
    batch = await (desk.followed() if before else desk.in_hand())

    async def look(*arguments: Any) -> Any:
        found = await load(*arguments)
        monkeypatch.undo()
        assert await desk.ensure(desk.series(b"three", every=2.5)) is Ensured.FOLLOWS
        return found

    monkeypatch.setattr("duly_mongo.settling.load", look)
    assert await desk.tell(batch, told(how, desk.next(batch)))
    assert await desk.standing() == (b"three", 2.5)
    letters = await desk.store.list(Filter(state=State.DEAD))
    assert len(letters) == (1 if how.startswith("bury") else 0)
    document = await desk.shop.messages.find_one({"_id": "s"})
    assert (document["occurrence_count"], document["lapses"]) == (1, 0)
    assert not {"successor", "token", "fate"} & {*document}


async def test_a_claim_hands_out_what_is_there_when_it_marks_it(
    desk: SeriesDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was changed in its place since the claim looked is looked at again."""
    await desk.ensure(desk.series())
    desk.clock.advance(hours=1)
    between(monkeypatch, claiming, "take", lambda: desk.ensure(desk.series(b"two")))
    (claim,) = (await desk.claim()).claims
    assert claim.message.payload == b"two"


async def test_settled_between_the_look_and_the_write(
    desk: SeriesDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = await desk.in_hand()
    between(monkeypatch, series, "present", lambda: desk.tell(batch, desk.next(batch)))
    assert await desk.ensure(desk.series(b"two", every=1.5)) is Ensured.CHANGED
    assert await desk.standing() == (b"two", 1.5)


async def test_moved_while_it_gets_a_follower(
    desk: SeriesDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.ensure(desk.series())
    desk.clock.advance(hours=1)
    at = desk.start + 3 * HOUR

    async def move() -> None:
        await desk.store.reschedule("s", at, of_state=State.SCHEDULED)

    between(monkeypatch, series, "present", move)
    assert await desk.ensure(desk.series(b"two", every=1.5)) is Ensured.CHANGED
    assert await desk.standing() == (b"two", 1.5)


async def test_others_are_quicker_each_time(
    desk: SeriesDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.ensure(desk.series())
    names = iter(range(1000))

    async def change() -> None:
        mark = {"$set": {"revision": f"other {next(names)}"}}
        await desk.shop.messages.update_one({"_id": "s"}, mark)

    between(monkeypatch, series, "present", change, times=1000)
    with pytest.raises(StoreUnavailable, match="others keep changing the same series"):
        await desk.ensure(desk.series(b"two"))
    assert await desk.standing() == (b"one", 1)


async def test_a_newer_generation_in_the_middle_of_an_older_one(
    desk: SeriesDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the newer one has not is not left behind by the older, and what it has is its own."""
    old, new = Declared("billing", 1), Declared("billing", 2)

    async def declare() -> None:
        assert await desk.ensure(desk.series(b"new", id="both"), new) is Ensured.STORED
        await desk.store.undeclare("billing", 2)

    between(monkeypatch, series, "present", declare)
    wanted = [desk.series(b"old", id=id) for id in ("both", "dropped")]
    assert await desk.store.ensure(wanted, declared=old) == [Ensured.OLDER] * 2
    assert [(each.id, each.payload) for each in await desk.store.list(Filter())] == [
        ("both", b"new")
    ]


async def test_generations_of_others_do_not_count(desk: SeriesDesk) -> None:
    assert await desk.ensure(desk.series(), Declared("$reports.nightly", 7)) is Ensured.STORED
    assert await desk.ensure(desk.series(), Declared("billing", 2**63 - 1)) is Ensured.SAME
    assert await desk.store.undeclare("$reports.nightly", 8) == []
    assert await desk.ensure(desk.series(), Declared("billing", 1)) is Ensured.OLDER
    document = await desk.shop.messages.find_one({"_id": "s"})
    assert (document["declared_by"], document["generation"]) == ("billing", 2**63 - 1)


async def test_many_raise_one_floor_at_once(desk: SeriesDesk) -> None:
    numbers = [5, 1, 4, 2, 3, 5] * 4
    await asyncio.gather(
        *(desk.store.ensure([], declared=Declared("billing", number)) for number in numbers)
    )
    assert [each async for each in desk.shop.database["messages.floors"].find()] == [
        {"_id": "billing", "generation": 5}
    ]


async def test_too_large_beside_what_follows(desk: SeriesDesk) -> None:
    large = bytes(7_000_000)
    assert await desk.ensure(desk.series(large)) is Ensured.STORED
    desk.clock.advance(hours=1)
    refused = await desk.ensure(desk.series(large, name="other"))
    assert isinstance(refused, InvalidMessage)
    assert "'s' and what follows it have" in str(refused)
    assert await desk.ensure(desk.series(large)) is Ensured.SAME
    alone = await desk.ensure(desk.series(bytes(16_000_001), id="t"))
    assert isinstance(alone, InvalidMessage)
    assert [each.id for each in await desk.store.list(Filter())] == ["s"]


async def test_somebody_has_emptied_the_leases(desk: SeriesDesk) -> None:
    await desk.shop.leases.delete_many({})
    assert await desk.ensure(desk.series()) is Ensured.STORED


async def test_a_series_that_moves_to_an_earlier_fire_wakes(mongo_url: str) -> None:
    async with opened(mongo_url) as shop:
        desk, other = SeriesDesk(shop), shop.another()
        await other.open()
        await desk.ensure(desk.series())
        with contextlib.suppress(TimeoutError):  # until all is told that was before
            while True:
                async with asyncio.timeout(0.5):
                    await shop.store.wait_for_change()
        waiting = asyncio.ensure_future(shop.store.wait_for_change())
        assert await other.ensure([desk.series(every=0.5)]) == [Ensured.CHANGED]
        async with asyncio.timeout(10):
            await waiting
        await other.close()
