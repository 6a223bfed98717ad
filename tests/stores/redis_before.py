"""The version before format 2, as far as a namespace of Redis can tell: its reader and its scripts."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from duly import Message
from duly.store import Clock, Settle
from duly_redis import RedisStore
from duly_redis.calls import Script
from duly_redis.keys import shards
from duly_redis.settling import words

NEWER: Final = "newer"

# To stand in front of a script: it knows nothing of deaths, and nothing of series that are declared.
_KNOWS_LESS: Final = """
local real = redis
local UNKNOWN = { [KEYS[13]] = true, [KEYS[14]] = true, [KEYS[15]] = true, [KEYS[16]] = true }
local NOTHING = { EXISTS = 0, HDEL = 0, HSET = 0, HEXISTS = 0, HLEN = 0, HGET = false }
local redis = {
  call = function(command, ...)
    if UNKNOWN[...] then
      return NOTHING[command]
    end
    return real.call(command, ...)
  end,
  pcall = real.pcall,
  sha1hex = real.sha1hex,
}
"""


class StoreBefore(RedisStore):
    """Writes as the version before did; it is given nothing that needs format 2."""

    def __init__(self, client: Redis, clock: Clock) -> None:
        super().__init__(client, clock=clock)
        run = self._calls.run

        async def run_before(script: Script, *rest: Any) -> Any:
            text = script.text.decode()
            return await run(Script(_KNOWS_LESS + text) if "KEYS[13]" in text else script, *rest)

        self._calls.run = run_before  # type: ignore[method-assign, assignment]  # what it writes

        async def words_before(settles: Sequence[Settle]) -> Sequence[Any]:
            series = dict[str, Message | None]()
            for key in (key for each in settles for key in each.exceptions):
                assert isinstance(key, bytes)
                id = key.partition(b"\n")[2].decode()
                message = await self.get(id)
                if message is not None and await read_before(client, id) != NEWER:
                    series[id] = message
            return [words(each, series) for each in settles]

        settling = self._claiming._settling
        settling.words = words_before  # type: ignore[method-assign]  # what it can read for that


async def kept(client: Redis, name: str, field: str | bytes) -> bytes | None:
    """What is kept in a hash of the store."""
    (shard,) = shards("scheduler:", 1)
    found: Any = await client.execute_command("HGET", shard.key(name), field)
    assert found is None or isinstance(found, bytes)
    return found


async def read_before(client: Redis, id: str) -> dict[str, Any] | str:
    """What the version before reads of a message, or that it is newer; it unpacks strictly.

    Raises:
        ValueError: it would take it for damaged, and bury it.
    """
    value = await kept(client, "messages", id)
    assert value is not None
    line, creation, packed = value.split(b"\n", 2)
    changes = await kept(client, "changes", line + b"\n" + id.encode())
    reason = await kept(client, "reasons", id)
    record = msgspec.msgpack.decode(packed)
    try:
        (
            version, payload, _, scheduled_at, _, _, next_attempt_at, retries, occurrences,
            last_error, _,
        ) = record  # fmt: skip
        if changes is not None:
            next_attempt_at, scheduled_at, retries, counted, last_error = msgspec.msgpack.decode(
                changes
            )
            occurrences = occurrences if counted is None else counted
    except ValueError:
        if record[0] > 1:
            return NEWER
        raise
    if version > 1:
        return NEWER
    assert last_error is None or isinstance(last_error, str)
    return {
        "payload": payload,
        "created_at": int(creation.partition(b"\t")[0]),
        "scheduled_at": scheduled_at,
        "next_attempt_at": next_attempt_at,
        "retry_count": retries,
        "occurrence_count": occurrences,
        "last_error": last_error if reason is None else reason.decode(),
    }


async def moves_before(client: Redis, id: str) -> bool:
    """Whether the version before finds what it needs of a message to move it."""
    value = await kept(client, "messages", id)
    assert value is not None
    changes = await kept(client, "changes", value.partition(b"\n")[0] + b"\n" + id.encode())
    if changes is None:
        return True
    _, listed, _, occurrences, _ = msgspec.msgpack.decode(changes)
    return isinstance(listed, int) and isinstance(occurrences, int | None)
