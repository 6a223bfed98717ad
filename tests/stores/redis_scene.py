"""A Redis store of a test's own over a clock to turn by hand, whose scripts may end halfway."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis

from duly import Filter, Message, State, StoreError
from duly.store import Batch, Bury, Group, Release, Settle
from duly.testing.clock import HandClock
from duly_redis import RedisStore
from duly_redis.calls import Script

MINUTE = timedelta(minutes=1)
SLICE = "SLICE = 4000"

# To stand in front of a script: its n-th write fails.
FAILING = """
local real, writes = redis, 0
local WRITES = { HDEL = 1, HSET = 1, INCRBY = 1, SADD = 1, SREM = 1, ZADD = 1, ZREM = 1,
  ZREMRANGEBYRANK = 1 }
local function fails(command)
  writes = writes + (WRITES[command] or 0)
  return WRITES[command] and writes == %d
end
local redis = {
  call = function(command, ...)
    if fails(command) then
      error('ERR this write fails')
    end
    return real.call(command, ...)
  end,
  pcall = function(command, ...)
    if fails(command) then
      return { err = 'ERR this write fails' }
    end
    return real.pcall(command, ...)
  end,
  sha1hex = real.sha1hex,
}
"""


class Scene:
    """A store of its own, and what is done to it."""

    def __init__(self, client: Redis) -> None:
        self.client = client
        self.clock = HandClock()
        self.held: list[Batch] = []
        self.foreign: set[str] = set()  # keys of somebody else

    async def __aenter__(self) -> "Scene":
        await self.client.flushdb()
        self.store = RedisStore(self.client, clock=self.clock)
        await self.store.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.store.close()

    def message(
        self, id: str, name: str = "event", payload: bytes = b"old", **more: Any
    ) -> Message:
        more.setdefault("scheduled_at", self.clock())
        made = self.clock() + (payload == b"new") * timedelta(seconds=1)  # no repeat of the old
        return Message(name, payload, id=id, created_at=made, **more)

    async def put(self, *messages: Message, replace: bool = False) -> None:
        for outcome in await self.store.put([Group(messages, replace)]):
            assert outcome is None

    async def claim(self, limit: int = 100, **more: Any) -> Batch:
        batch = await self.store.claim(limit=limit, lease=MINUTE, owner="o", **more)
        self.held.append(batch)
        return batch

    async def bury(self, id: str) -> None:
        await self.put(self.message(id))
        (claim,) = (batch := await self.claim()).claims
        assert batch.token
        assert all(await self.store.settle([Settle(batch.token, {claim.key: Bury("broken")})]))

    async def lapse(self, id: str, times: int) -> None:
        await self.put(self.message(id))
        for _ in range(times):
            assert (await self.claim()).token
            self.clock.advance(seconds=60)
        batch = await self.claim()  # which brings it back
        assert batch.token
        release = {claim.key: Release(self.clock()) for claim in batch.claims}
        assert all(await self.store.settle([Settle(batch.token, release)]))

    async def fail(self, number: int, act: Callable[[], Awaitable[object]]) -> bool:
        """Whether a script had that many writes; then the last of them failed."""
        run = self.store._calls.run

        async def failing(script: Script, *rest: Any) -> Any:
            text = script.text.decode()
            assert SLICE in text
            text = text.replace(SLICE, "SLICE = 8")  # what takes several commands does so soon
            return await run(Script(FAILING % number + text), *rest)

        self.store._calls.run = failing  # type: ignore[method-assign, assignment]  # a server at fault
        try:
            await act()
        except StoreError as error:
            assert "this write fails" in str(error)  # noqa: PT017  # it need not fail
            return True
        finally:
            self.store._calls.run = run  # type: ignore[method-assign]  # as it was
        return False

    async def drain(self) -> tuple[set[tuple[str, bytes]], set[str]]:
        """All that is delivered until nothing is ahead any more, and what is dead then."""
        delivered: set[tuple[str, bytes]] = set()
        while True:
            batch = await self.claim()
            for claim in batch.claims:
                assert claim.message.next_attempt_at <= self.clock(), "it is early"
                delivered.add((claim.message.id, claim.message.payload))
            if batch.token:
                assert list(await self.store.settle([Settle(batch.token)])) == [True]
            elif batch.next_due is None:
                break
            elif not batch.more:
                self.clock.set(max(batch.next_due, self.clock()))
        dead = {letter.id for letter in await self.store.list(Filter(state=State.DEAD))}
        assert (await self.store.stats()).scheduled == 0
        await self.store.cancel([*dead])
        assert await self.client.hlen("scheduler:{scheduler:}messages") == 0, "it is in no place"
        assert list(await self.store.mend()) == []
        kept = {key.decode() async for key in self.client.scan_iter("*")} - self.foreign
        assert kept <= {f"scheduler:{{scheduler:}}{name}" for name in ("meta", "numbers", "floors")}
        return delivered, dead
