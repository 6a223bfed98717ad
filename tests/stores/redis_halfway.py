"""Scripts that end halfway: a step is done once for each of its writes, of which that one fails."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import pytest
from redis.asyncio import Redis
from tests.stores.redis_scene import Scene


class Case(NamedTuple):
    """A step: what goes before it, itself, and the ids that stay whatever becomes of it."""

    before: Callable[[Scene], Awaitable[object]]
    act: Callable[[Scene], Awaitable[object]]
    stay: Sequence[str] = ()


HOW = [
    pytest.param("standard", False, id="and that is all"),
    pytest.param("standard", True, id="and is repeated"),
    pytest.param("6.2", True, id="and is repeated on 6.2"),
]
"""On which release of the server, and whether it is done again: each tells of errors in its way."""


async def assert_at_each_write(client: Redis, case: Case, *, again: bool) -> None:
    """Nothing is lost, and all comes back; if it is repeated, all of it is done."""
    async with Scene(client) as scene:
        await case.before(scene)
        await case.act(scene)
        delivered, dead = await scene.drain()
    expected = {id for id, _ in delivered} | dead
    assert expected >= {*case.stay}
    number, failed = 0, True
    while failed:
        number += 1
        async with Scene(client) as scene:
            await case.before(scene)
            failed = await scene.fail(number, lambda scene=scene: case.act(scene))  # type: ignore[misc]  # bound at once
            if failed and again:
                await case.act(scene)
            found, buried = await scene.drain()
        ids = {id for id, _ in found} | buried
        assert ids >= {*case.stay}, f"lost when write {number} fails"
        if again:
            assert found >= delivered, f"not repeated when write {number} has failed"
            assert ids == expected
    assert number > 1
