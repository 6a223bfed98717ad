"""Series and what follows them in a collection that other versions, or strange hands, write to."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.servers.mongo import lone_mongo_url, mongo_url
from tests.stores.mongo_before import (
    FIELDS,
    moved_by_it,
    read_by_it,
    set_aside_by_it,
    settled_by_it,
)
from tests.stores.mongo_kit import Shop, opened
from tests.stores.mongo_series_kit import HOUR, SeriesDesk

from duly import DuplicateMessage, Ensured, Every, Filter, Message, State
from duly.record import NewerRecord
from duly.store import Bury, Counters, Declared, End, Group, Reschedule, Settlement

__all__ = ["lone_mongo_url", "mongo_url"]  # fixtures are found by their names


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


async def seen_by_it(desk: SeriesDesk) -> Message:
    return read_by_it(await desk.shop.messages.find_one({"_id": "s"}))


async def test_the_version_before_never_takes_what_another_follows(desk: SeriesDesk) -> None:
    """Waiting, retried, lapsed: it is of a newer format until what follows has taken its place."""
    batch = await desk.followed()
    with pytest.raises(NewerRecord):
        await seen_by_it(desk)
    again = Reschedule(desk.clock(), Counters(desk.start + HOUR, 1, 0, "broken"))
    assert await desk.tell(batch, again)
    with pytest.raises(NewerRecord):
        await seen_by_it(desk)
    await desk.claim()
    desk.clock.advance(hours=1)
    batch = await desk.claim()
    assert [each.lapses for each in batch.claims] == [1]
    with pytest.raises(NewerRecord):
        await seen_by_it(desk)
    assert await desk.tell(batch, desk.next(batch))
    assert await desk.standing() == (b"two", 1.5)


async def test_the_version_before_goes_on_with_series_that_are_declared(desk: SeriesDesk) -> None:
    """Their fields of the store's own are nothing to it; one without an anchor is of format 1."""
    series = Message("tick", b"one", id="s", recurrence=Every(HOUR))
    assert await desk.ensure(series, Declared("billing", 1)) is Ensured.STORED
    document = await desk.shop.messages.find_one({"_id": "s"})
    assert {*document} - FIELDS == {"revision", "declared_by", "generation"}
    assert await seen_by_it(desk) == await desk.store.get("s")


async def test_what_it_settled_is_over_when_its_old_fire_comes(desk: SeriesDesk) -> None:
    await desk.followed()
    await settled_by_it(desk.shop, "s", desk.start + 2 * HOUR)
    desk.clock.advance(hours=1)
    batch = await desk.claim()
    assert not batch.claims
    assert (batch.more, batch.next_due) == (True, desk.start + 1.5 * HOUR)
    (claim,) = (await desk.claim()).claims
    assert (claim.message.payload, claim.message.scheduled_at) == (b"two", desk.start + 1.5 * HOUR)
    assert claim.message.occurrence_count == 1
    assert await desk.shop.leases.count_documents({}) == 2  # the settings, and that of the claim


async def test_what_it_settled_ends_where_nothing_follows(desk: SeriesDesk) -> None:
    await desk.in_hand()
    ends = Every(HOUR, anchor=desk.start, until=desk.start + HOUR)
    assert await desk.ensure(Message("tick", id="s", recurrence=ends)) is Ensured.ENDED
    await settled_by_it(desk.shop, "s", desk.start + 2 * HOUR)
    desk.clock.advance(hours=1)
    assert not (await desk.claim()).claims
    assert await desk.standing() is None


async def test_changed_after_it_settled_it_comes_at_its_own_time(desk: SeriesDesk) -> None:
    await desk.followed()
    await settled_by_it(desk.shop, "s", desk.start + 2 * HOUR)
    assert await desk.ensure(desk.series(b"three", every=3.5)) is Ensured.CHANGED
    desk.clock.advance(hours=1)
    assert not (await desk.claim()).claims
    desk.clock.advance(hours=1.5)
    (claim,) = (await desk.claim()).claims
    assert (claim.message.payload, claim.message.scheduled_at) == (
        b"three", desk.start + 3.5 * HOUR,
    )  # fmt: skip


async def test_moved_by_it_beyond_the_cut(desk: SeriesDesk) -> None:
    """What follows is there when the moved fire comes."""
    batch = await desk.followed()
    await desk.tell(batch, Reschedule(desk.clock(), Counters(desk.start + HOUR, 1)))
    desk.clock.advance(hours=1)
    await moved_by_it(desk.shop, "s")
    assert not (await desk.claim()).claims
    (claim,) = (await desk.claim()).claims
    assert (claim.message.payload, claim.message.scheduled_at) == (b"two", desk.start + 1.5 * HOUR)


@pytest.mark.parametrize("payload", [b"two", b"three"], ids=str)
async def test_set_aside_by_it_a_series_is_taken_back(desk: SeriesDesk, payload: bytes) -> None:
    await desk.followed()
    await set_aside_by_it(desk.shop, "s")
    outcome = await desk.ensure(desk.series(payload, every=1.5))
    assert outcome is (Ensured.SAME if payload == b"two" else Ensured.FOLLOWS)
    assert await desk.store.list(Filter(state=State.DEAD)) == []
    batch = await desk.claim()
    assert [each.message.scheduled_at for each in batch.claims] == [desk.start + HOUR]
    assert await desk.tell(batch, desk.next(batch))
    assert await desk.standing() == (payload, 1.5)
    stats = await desk.store.stats()
    assert (stats.scheduled, stats.claimed, stats.dead) == (1, 0, 0)


DAMAGE: list[Any] = ["nonsense{", "{}", "[]", '{"cut": 0}', b"\xff", 7, {"cut": 0}, []]


@pytest.mark.parametrize("text", DAMAGE, ids=str)
@pytest.mark.parametrize("told", ["next", "end", "bury"])
async def test_what_follows_cannot_be_read(desk: SeriesDesk, text: Any, told: str) -> None:
    """The series goes on as it is, and so does all else."""
    batch = await desk.followed()
    await desk.write(successor=text)
    await desk.store.put([Group([Message("else", id="else", scheduled_at=desk.start)])])
    outcome = await desk.ensure(desk.series(b"two", every=1.5))
    assert isinstance(outcome, DuplicateMessage)
    where = await desk.store.where("s")
    assert where is not None
    assert where.follows is None
    following = desk.next(batch)
    settlements: dict[str, Settlement] = {
        "next": following,
        "end": End(1),
        "bury": Bury("x", following),
    }
    assert await desk.tell(batch, settlements[told])
    assert [each.message.id for each in (await desk.claim()).claims] == ["else"]
    moved = await desk.store.reschedule("s", None, of_state=State.SCHEDULED)
    assert moved is (None if told == "end" else State.SCHEDULED)
    desk.clock.advance(hours=1)
    found = [each.message.id for each in (await desk.claim()).claims if each.message.id == "s"]
    assert found == ([] if told == "end" else ["s"])


@pytest.mark.parametrize("field", [{"format": 99}, {"metadata": 5}], ids=str)
async def test_over_and_not_to_be_read_holds_nobody_up(
    desk: SeriesDesk, field: dict[str, Any]
) -> None:
    await desk.followed()
    await settled_by_it(desk.shop, "s", desk.start + 2 * HOUR)
    await desk.write(**field)
    await desk.store.put([Group([Message("else", id="else", scheduled_at=desk.start)])])
    desk.clock.advance(hours=1)
    batch = await desk.claim()
    assert [each.message.id for each in batch.claims] == ["else"]
    assert (batch.newer, len(batch.unreadable)) == ((1, 0) if "format" in field else (0, 1))


async def test_a_record_damaged_in_hand_is_set_aside_and_not_put_in_line(desk: SeriesDesk) -> None:
    batch = await desk.followed()
    await desk.write(metadata=5)
    assert await desk.tell(batch, desk.next(batch))
    stats = await desk.store.stats()
    assert (stats.scheduled, stats.claimed, stats.dead) == (0, 0, 1)
    desk.clock.advance(hours=2)
    batch = await desk.claim()
    assert not batch.claims
    assert not batch.unreadable
    assert len(await desk.store.list(Filter(state=State.DEAD))) == 1


@pytest.mark.parametrize("told", ["next", "bury"])
async def test_what_a_newer_version_has_changed_in_hand_is_left_to_it(
    desk: SeriesDesk, told: str
) -> None:
    batch = await desk.followed()
    await desk.write(format=99, recurrence="newer", successor="newer", revision="newer")
    following = desk.next(batch)
    assert await desk.tell(batch, following if told == "next" else Bury("x", following))
    stats = await desk.store.stats()
    assert (stats.scheduled, stats.claimed, stats.dead) == (1, 0, 0)
    (found,) = await desk.store.list(Filter())
    assert found.state is State.SCHEDULED
    desk.clock.advance(hours=1)
    assert (await desk.claim()).newer == 1
    assert await desk.ensure(desk.series()) is Ensured.NEWER
