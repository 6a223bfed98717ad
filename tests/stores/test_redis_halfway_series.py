"""Scripts about series that end halfway, at each of their writes."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.servers.redis import RedisServer
from tests.stores.redis_halfway import HOW, Case, assert_at_each_write
from tests.stores.redis_scene import Scene

from duly import Ensured, Every, Message, State
from duly.store import Bury, Counters, Declared, End, Reschedule, Settle, Settlement

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module", params=["6.2", "standard"])
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(release=request.param) as server:
        yield server


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis(port=server.port) as client:
        yield client


def series(payload: bytes = b"one", every: float = 1, name: str = "event", **more: Any) -> Message:
    """It has no anchor, so that only what is not in format 1 for another reason is in format 2."""
    return Message(name, payload, id="s", recurrence=Every(every * HOUR, **more))


async def ensure(scene: Scene, *wanted: Message, generation: int = 1) -> None:
    by = Declared("billing", generation)
    for outcome in await scene.store.ensure(wanted, declared=by):
        assert isinstance(outcome, Ensured)


def ensuring(*args: Any, **more: Any) -> Any:
    return lambda scene: ensure(scene, series(*args, **more))


async def ending(scene: Scene) -> None:
    await ensure(scene, series(until=scene.clock() - HOUR))


async def nothing(scene: Scene) -> None: ...


async def waiting(scene: Scene) -> None:
    await ensure(scene, series())


async def suspect(scene: Scene) -> None:
    await ensure(scene, series())
    scene.clock.advance(hours=1)
    for _ in range(2):
        assert (await scene.claim()).token
        scene.clock.advance(seconds=60)
    await ensure(scene, series(b"one", 2))
    (claim,) = (batch := await scene.claim()).claims
    back = {claim.key: Reschedule(scene.clock() + HOUR, Counters(scene.clock() + HOUR, 0, 1))}
    assert all(await scene.store.settle([Settle(batch.token or "", back)]))


async def due(scene: Scene) -> None:
    await ensure(scene, series())
    scene.clock.advance(hours=1)


async def followed(scene: Scene) -> None:
    await due(scene)
    await ensure(scene, series(b"two", 1.5))


async def held(scene: Scene, name: str = "event", until: Any = None) -> None:
    await ensure(scene, series())
    scene.clock.advance(hours=1)
    await scene.put(scene.message("a"))
    scene.held.clear()
    await scene.claim()
    await ensure(scene, series(b"two", 1.5, name, until=until and scene.clock()))


async def held_renamed(scene: Scene) -> None:
    await held(scene, "other")


async def held_for_the_last_time(scene: Scene) -> None:
    await held(scene, until=True)


async def over(scene: Scene) -> None:
    """An older version has settled it."""
    await held(scene)
    batch, fire = scene.held[0], scene.clock() + HOUR
    key = "scheduler:{scheduler:}successors"
    kept: Any = await scene.client.execute_command("DUMP", key)
    await scene.client.delete(key)
    told = {
        claim.key: Reschedule(fire, Counters(fire, occurrence_count=1))
        for claim in batch.claims
        if claim.message.id == "s"
    }
    assert all(await scene.store.settle([Settle(batch.token or "", told)]))
    await scene.client.execute_command("RESTORE", key, 0, kept)
    scene.clock.advance(hours=1)


def settling(how: str) -> Any:
    async def act(scene: Scene) -> None:
        batch = scene.held[0]
        claims = {claim.message.id: claim for claim in batch.claims}
        at = scene.clock() + HOUR
        later = Reschedule(at, Counters(at, occurrence_count=1))
        again = Reschedule(at, Counters(claims["s"].message.scheduled_at, 1))
        kinds: dict[str, Settlement] = {
            "next": later,
            "retry": again,
            "end": End(1),
            "bury": Bury("broken", later),
            "bury and end": Bury("broken", End(1)),
        }
        await scene.store.settle([Settle(batch.token or "", {claims["s"].key: kinds[how]})])

    return act


async def undeclare(scene: Scene) -> None:
    await scene.store.undeclare("billing", 2)


async def move(scene: Scene) -> None:
    at = scene.clock() + 5 * HOUR
    await scene.store.reschedule("s", at, of_state=State.SCHEDULED)


CASES = {
    "store": Case(nothing, ensuring()),
    "change the payload": Case(waiting, ensuring(b"new"), "s"),
    "change the rule": Case(waiting, ensuring(b"new", 3), "s"),
    "change the name": Case(waiting, ensuring(b"new", name="other"), "s"),
    "change a suspect": Case(suspect, ensuring(b"new", 3), "s"),
    "follow": Case(due, ensuring(b"new", 3), "s"),
    "follow otherwise": Case(followed, ensuring(b"new", 3), "s"),
    "back to the old": Case(followed, ensuring(b"new"), "s"),
    "follow what is held": Case(held, ensuring(b"new", 3), "sa"),
    "end": Case(waiting, ending),
    "undeclare": Case(followed, undeclare),
    "undeclare what is held": Case(held, undeclare, "a"),
    "move": Case(followed, move, "s"),
    "claim what is over": Case(over, Scene.claim, "s"),
    "ensure what is over": Case(over, ensuring(b"new", 3), "s"),
    **{
        f"settle as {how}": Case(held, settling(how), "s")
        for how in ("next", "retry", "end", "bury", "bury and end")
    },
    "settle under a new name": Case(held_renamed, settling("next"), "s"),
    "bury under a new name": Case(held_renamed, settling("bury"), "s"),
    "settle for the last time": Case(held_for_the_last_time, settling("next")),
    "bury for the last time": Case(held_for_the_last_time, settling("bury and end")),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize(("server", "again"), HOW, indirect=["server"])
async def test_at_each_write(client: Redis, case: Case, *, again: bool) -> None:
    await assert_at_each_write(client, case, again=again)
