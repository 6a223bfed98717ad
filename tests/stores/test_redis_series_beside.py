"""Series that are ensured in Redis, while the version before is at work at the same keys."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis
from tests.servers.redis import RELEASES, RedisServer
from tests.stores.redis_before import NEWER, read_before
from tests.stores.redis_desk import BASE, HOUR, Desk

from duly import Ensured, Every, Message, State
from duly.store import Bury, Counters, Declared, Group, Reschedule


@pytest.fixture(scope="module", params=RELEASES)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(release=request.param) as server:
        yield server


@pytest.fixture
async def desk(server: RedisServer) -> AsyncIterator[Desk]:
    async with Redis(port=server.port) as client, Desk(client) as desk:
        yield desk


class TestBeside:
    """The version before is at work at the same keys."""

    async def test_it_leaves_alone_what_something_follows(self, desk: Desk) -> None:
        batch = await desk.follow()
        assert await read_before(desk.client, "s") == NEWER
        assert await desk.tell(batch, Reschedule(desk.clock(), Counters(desk.start, 1)))
        assert await read_before(desk.client, "s") == NEWER
        assert await desk.found() == (b"two", 0 * HOUR, State.SCHEDULED, 0)

    async def test_what_it_settled_is_over_when_its_old_fire_comes(self, desk: Desk) -> None:
        batch = await desk.follow()
        assert await desk.tell(batch, desk.next(batch), desk.before)
        assert await read_before(desk.client, "s") == NEWER
        assert await desk.found() == (b"two", HOUR, State.SCHEDULED, 1)
        desk.clock.advance(hours=1)
        batch = await desk.claim()
        assert (batch.claims, batch.token) == ([], None)
        assert (batch.more, batch.next_due) == (False, desk.start + 1.5 * HOUR)
        assert await desk.found() == (b"two", 1.5 * HOUR, State.SCHEDULED, 1)
        desk.clock.advance(hours=0.5)
        (claim,) = (await desk.claim()).claims
        assert claim.message.recurrence == Every(1.5 * HOUR, anchor=desk.start)

    async def test_over_and_due_at_once(self, desk: Desk) -> None:
        batch = await desk.follow()
        assert await desk.tell(batch, desk.next(batch, 2 * HOUR), desk.before)
        desk.clock.advance(hours=2)
        batch = await desk.claim()
        assert (batch.claims, batch.more) == ([], True)
        (claim,) = (await desk.claim()).claims
        assert claim.message.scheduled_at == desk.start + 1.5 * HOUR

    async def test_ensured_after_it_has_settled(self, desk: Desk) -> None:
        batch = await desk.follow()
        assert await desk.tell(batch, desk.next(batch), desk.before)
        await desk.ensure(desk.series(b"three", every=3.5))
        assert await desk.found() == (b"three", 3.5 * HOUR, State.SCHEDULED, 1)

    @pytest.mark.parametrize("payload", [b"two", b"three"], ids=str)
    async def test_buried_as_a_whole_it_is_taken_back(self, desk: Desk, payload: bytes) -> None:
        """That had it in hand, was to bury a fire of it, and could no longer read it."""
        batch = await desk.follow()
        assert await desk.tell(batch, Bury("x", desk.next(batch)), desk.before)
        assert (await desk.found())[2] is State.DEAD
        outcome = await desk.ensure(desk.series(payload, every=1.5))
        assert outcome is (Ensured.SAME if payload == b"two" else Ensured.FOLLOWS)
        batch = await desk.claim()
        assert [each.message.scheduled_at for each in batch.claims] == [desk.start]
        assert await desk.tell(batch, desk.next(batch))
        assert await desk.found() == (payload, 1.5 * HOUR, State.SCHEDULED, 1)
        assert await desk.store.mend() == []
        assert not await desk.client.exists(f"{BASE}dead", f"{BASE}reasons", f"{BASE}deaths")

    @pytest.mark.parametrize("how", ["delivers", "cancels", "moves", "replaces"])
    async def test_what_it_leaves_behind_goes(self, desk: Desk, how: str) -> None:
        by = Declared("billing", 1)
        batch = await desk.follow()
        assert await desk.ensure(desk.series(b"two", every=1.5), declared=by) is Ensured.SAME
        if how == "delivers":
            assert await desk.tell(batch, None, desk.before)
        elif how == "cancels":
            await desk.before.cancel(["s"])
        elif how == "replaces":
            new = desk.message("s", payload=b"new", recurrence=Every(HOUR))
            assert await desk.before.put([Group([new], replace=True)]) == [None]
        else:
            assert await desk.tell(batch, Reschedule(desk.start, Counters(desk.start, 1)))
            await desk.before.reschedule("s", desk.start + HOUR, of_state=State.SCHEDULED)
        assert (await desk.hlen("successors"), await desk.hlen("declared")) == (1, 1)
        assert await desk.store.undeclare("billing", 9) == []  # it is nobody's by now
        assert (await desk.hlen("successors"), await desk.hlen("declared")) == (0, 0)
        assert not await desk.client.exists(f"{BASE}by:billing")
        if how in ("moves", "replaces"):
            assert (await desk.found())[1] == (HOUR if how == "moves" else 0 * HOUR)

    async def test_what_follows_nothing_does_not_pile_up(self, desk: Desk) -> None:
        for number in range(300):
            id = f"s{number}"
            await desk.put(desk.message(id, recurrence=Every(HOUR)))
            (outcome,) = await desk.store.ensure([Message("e", id=id, recurrence=Every(9 * HOUR))])
            assert outcome is Ensured.FOLLOWS
            await desk.before.cancel([id])
            desk.clock.advance(seconds=0.000_007)
        assert await desk.hlen("successors") < 150
        assert await desk.store.mend() == []
        assert await desk.hlen("successors") == 0
