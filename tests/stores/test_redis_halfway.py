"""Scripts that end halfway, at each of their writes: nothing is lost, and all comes back."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.servers.redis import RedisServer
from tests.stores.redis_halfway import HOW, Case, assert_at_each_write
from tests.stores.redis_scene import Scene

from duly import Every, Filter, State, StoreError
from duly.message import with_changes
from duly.store import (
    PAUSED,
    Bury,
    Counters,
    Ensured,
    Group,
    Release,
    Reschedule,
    Settle,
    Settlement,
)

pytest_plugins = ["duly.testing"]

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module", params=["6.2", "standard"])
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(release=request.param) as server:
        yield server


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis(port=server.port) as client:
        yield client


async def nothing(scene: Scene) -> None: ...


async def waiting(scene: Scene) -> None:
    await scene.put(scene.message("a"), scene.message("b", scheduled_at=scene.clock() + HOUR))


async def dead(scene: Scene) -> None:
    await scene.bury("a")
    await scene.put(scene.message("b"))


async def held(scene: Scene) -> None:
    ids = ("a", "b", "c", "d", "e")
    await scene.put(*(scene.message(id, f"event {id}") for id in ids))
    await scene.put(scene.message("s", recurrence=Every(HOUR, max_occurrences=3)))
    scene.held.clear()
    await scene.claim()


async def suspects(scene: Scene) -> None:
    await scene.lapse("a", 2)


async def lapsed(scene: Scene) -> None:
    await waiting(scene)
    await scene.claim()
    await scene.store.cancel(["a"])
    await scene.put(scene.message("c"))
    scene.clock.advance(seconds=60)


async def doomed(scene: Scene) -> None:
    """A claim that nobody got the answer of."""
    await held(scene)
    batch = scene.held.pop()
    scene.store._claiming._lost[0].add(batch.token or "")


async def aside(scene: Scene) -> None:
    """Twelve of a name in its siding, and one that came later."""
    await scene.put(*(scene.message(id, "slow") for id in "abcdefghijkl"))
    await stepping_aside(scene)
    await scene.put(scene.message("late", "slow"), scene.message("other", "other"))


async def stepping_aside(scene: Scene) -> None:
    await scene.claim(most={"*": PAUSED})


def ensuring(name: str) -> Any:
    series = {"recurrence": Every(HOUR, max_occurrences=2)}

    async def act(scene: Scene) -> None:
        at = scene.clock()
        wanted = scene.message("s", name, b"new", scheduled_at=at, **series)
        assert isinstance((await scene.store.ensure([wanted]))[0], Ensured)

    return act


async def series_aside(scene: Scene) -> None:
    await ensuring("slow")(scene)
    await stepping_aside(scene)


def putting(*ids: str, name: str = "event", replace: bool = False, count: int = 0) -> Any:
    async def act(scene: Scene) -> None:
        more = [f"m{each}" for each in range(count)]
        messages = [scene.message(id, name, b"new") for id in (*ids, *more)]
        await scene.put(*messages, replace=replace)

    return act


def bringing(*ids: str, dead: bool = True, replace: bool = False) -> Any:
    """Store messages that come from another store, one of them dead."""

    async def act(scene: Scene) -> None:
        messages = [scene.message(id, payload=b"new") for id in ids]
        if dead:
            messages[0] = with_changes(
                messages[0], state=State.DEAD, last_error="x", died_at=scene.clock()
            )
        (outcome,) = await scene.store.put([Group(messages, replace, as_is=True)])
        assert outcome is None

    return act


def cancelling(*ids: str) -> Any:
    return lambda scene: scene.store.cancel(ids)


def moving(id: str, state: State) -> Any:
    return lambda scene: scene.store.reschedule(id, scene.clock() + 2 * HOUR, of_state=state)


def settling(*, part: bool = False, with_claim: bool = False) -> Any:
    async def act(scene: Scene) -> None:
        batch = scene.held[0]
        claims = {claim.message.id: claim for claim in batch.claims}
        at = scene.clock() + HOUR
        later = Reschedule(at, Counters(at, 0, 1))
        told: dict[str, Settlement] = {
            "b": Release(at),
            "c": Reschedule(at, Counters(claims["c"].message.scheduled_at, 1, 0, "why")),
            "e": Reschedule(at, Counters(claims["e"].message.scheduled_at, postpone_count=1)),
            "d": Bury("broken", error_class="Rejected"),
            "s": Bury("broken", later, error_class="Rejected"),
        }
        exceptions = {claims[id].key: what for id, what in told.items()}
        only = [claims[id].key for id in ("a", *told)] if part else None
        settle = [Settle(batch.token or "", exceptions, only)]
        if with_claim:
            await scene.claim(settle=settle)
        else:
            await scene.store.settle(settle)

    return act


CASES = {
    "put": Case(nothing, putting("a", "b")),
    "put many": Case(nothing, putting(count=10)),
    "replace what waits": Case(waiting, putting("a", replace=True), "ab"),
    "replace many": Case(waiting, putting("a", "b", replace=True, count=10), "ab"),
    "replace under another name": Case(waiting, putting("a", name="other", replace=True), "ab"),
    "replace what is held": Case(held, putting("a", "b", replace=True), "abcdes"),
    "replace what is dead": Case(dead, putting("a", name="other", replace=True), "ab"),
    "replace a suspect": Case(suspects, putting("a", replace=True), "a"),
    "put as is": Case(nothing, bringing("a", "b")),
    "replace what waits by a dead letter": Case(waiting, bringing("a", "c", replace=True), "ab"),
    "replace what is held by a dead letter": Case(
        held, bringing("a", "f", replace=True), "abcdes"
    ),
    "replace a dead letter by one": Case(dead, bringing("a", "c", replace=True), "ab"),
    "replace a dead letter as is": Case(dead, bringing("a", dead=False, replace=True), "ab"),
    "cancel what waits": Case(waiting, cancelling("a"), "b"),
    "cancel what is held": Case(held, cancelling("a", "b"), "cdes"),
    "cancel what is dead": Case(dead, cancelling("a"), "b"),
    "cancel a suspect": Case(suspects, cancelling("a")),
    "move": Case(waiting, moving("b", State.SCHEDULED), "ab"),
    "move a suspect": Case(suspects, moving("a", State.SCHEDULED), "a"),
    "replay": Case(dead, moving("a", State.DEAD), "ab"),
    "claim": Case(waiting, Scene.claim, "ab"),
    "claim a suspect": Case(suspects, Scene.claim, "a"),
    "claim what lapsed": Case(lapsed, Scene.claim, "bc"),
    "claim for nobody": Case(doomed, Scene.claim, "abcdes"),
    "settle": Case(held, settling(), "bcdes"),
    "settle a part": Case(held, settling(part=True), "bcdes"),
    "settle and claim": Case(held, settling(with_claim=True), "bcdes"),
    "move aside": Case(held, stepping_aside, "abcdes"),
    "move aside beside a siding": Case(aside, stepping_aside, "abcdefghijkl"),
    "claim from a siding": Case(aside, Scene.claim, "abcdefghijkl"),
    "claim some and move some": Case(aside, lambda scene: scene.claim(4, most={"slow": 2}), "abcdl"),
    "cancel what stands aside": Case(aside, cancelling("a", "late"), "bcdl"),
    "replace what stands aside": Case(aside, putting("a", name="other", replace=True), "abcdl"),
    "move what stands aside": Case(aside, moving("a", State.SCHEDULED), "abcdl"),
    "ensure what stands aside": Case(series_aside, ensuring("fast"), "s"),
    "renew": Case(held, lambda scene: scene.store.renew([scene.held[0].token or ""], HOUR), "abcdes"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize(("server", "again"), HOW, indirect=["server"])
async def test_at_each_write(client: Redis, case: Case, again: bool) -> None:
    await assert_at_each_write(client, case, again=again)


async def test_a_group_is_whole_or_not_there(client: Redis) -> None:
    """Its records take several commands, of which the last fails."""
    async with Scene(client) as scene:
        await scene.put(scene.message("m0"), scene.message("m9"))
        number, failed = 0, True
        while failed:
            number += 1
            failed = await scene.fail(number, lambda: putting(count=10, replace=True)(scene))
            payloads = {message.payload for message in await scene.store.list(Filter())}
            assert len(payloads) == 1
            if payloads == {b"new"}:
                break
        assert number > 5


async def test_an_index_that_somebody_overwrites(client: Redis) -> None:
    """It stops nothing that is delivered; what is refused is refused before anything is written."""
    async with Scene(client) as scene:
        await held(scene)
        for id in "abcdes":
            name = f"event {id}" if id != "s" else "event"
            key = f"scheduler:{{scheduler:}}name:{name}"
            scene.foreign.add(key)
            await client.set(key, "of somebody else")
        await settling()(scene)
        with pytest.raises(StoreError, match="something else uses keys with this prefix"):
            await putting("b", "f", name="event b", replace=True)(scene)
        with pytest.raises(StoreError, match="something else uses keys with this prefix"):
            await moving("b", State.SCHEDULED)(scene)
        assert await scene.store.cancel(["c"]) == [State.SCHEDULED]
        delivered, dead = await scene.drain()
        assert {id for id, _ in delivered} == {"b", "e", "s"}
        assert len(dead) == 2, "d, and an occurrence of s"
