"""Keys that somebody deleted or Redis evicted: found by counting, mended by reading all."""

from collections.abc import Sequence
from typing import Any, Final

from duly import State
from duly.moment import to_microseconds
from duly.record import UnreadableRecord
from duly_redis.asking import Asking
from duly_redis.calls import Calls, script
from duly_redis.keys import Shard
from duly_redis.packing import raw, score
from duly_redis.records import Kept, load

__all__ = ["mend", "strays"]

_STRAYS: Final = script("holding", "strays")
_SEARCH: Final = script("holding", "search")
_MEND: Final = script("holding", "mend")
_SWEEP: Final = script("holding", "sweep")
_AT_ONCE: Final = 200  # messages that a script looks at; it holds up the server
_NOTES_AT_ONCE: Final = 8  # which may be large
_SWEPT: Final = (
    "due", "suspects", "changes", "lapses", "dead", "reasons", "deaths", "leases", "withdrawn",
    "successors", "declared", "noted", "series",
)  # fmt: skip


async def strays(calls: Calls, shards: Sequence[Shard]) -> Sequence[str]:
    """A sentence for messages in no place, and one for places without a message; counts alone.

    Shards that do not answer are noted and left out, unless none does.
    """
    asking = Asking(calls, shards)
    asked = {number: calls.run(_STRAYS, shards[number], 0) for number in asking.present()}
    counts = [int(each) for each in (await asking.all(asked)).values()]
    lost, empty = sum(n for n in counts if n > 0), -sum(n for n in counts if n < 0)
    found = []
    if lost:
        found.append(
            f"{lost} messages in Redis are in no place, because somebody deleted or evicted keys: "
            "RedisStore.mend() puts them back"
        )
    if empty:
        found.append(
            f"{empty} places in Redis have no message, because somebody deleted or evicted keys: "
            "RedisStore.mend() clears them away"
        )
    return found


async def mend(calls: Calls, shard: Shard, clock: int) -> Sequence[str]:
    """Put back what is in no place, and clear away what belongs to no message; the ids put back."""
    back: list[str] = []
    cursor: Any = "0"
    while True:
        cursor, last, odd = await calls.run(_SEARCH, shard, clock, cursor, _AT_ONCE)
        given = [
            each
            for id, value, changes in zip(odd[::3], odd[1::3], odd[2::3], strict=True)
            for each in _order(Kept(id.decode(), value, 0, None, changes, None))
        ]
        back += [id.decode() for id in await calls.run(_MEND, shard, clock, last, given)]
        cursor = cursor.decode()
        if cursor == "0":
            break
    for what in _SWEPT:
        await _sweep(calls, shard, what, False)
    for event in await calls.command("SMEMBERS", shard.key("names")):
        await _sweep(calls, shard, True, raw(event))
    for event in await calls.command("ZRANGE", shard.key("aside"), 0, -1):
        await _sweep(calls, shard, "siding", raw(event))
    for by in await calls.command("HKEYS", shard.key("floors")):
        await _sweep(calls, shard, "by", raw(by))
    await _sweep(calls, shard, "notes", False, _NOTES_AT_ONCE)
    return back


async def _sweep(
    calls: Calls, shard: Shard, what: str | bool, event: Any, many: int = _AT_ONCE
) -> None:
    cursor = "0"
    while True:
        cursor = (await calls.run(_SWEEP, shard, 0, what, event, cursor, many)).decode()
        if cursor == "0":
            return


def _order(kept: Kept) -> tuple[str, Any, int, int]:
    """What ``lua/mend.lua`` is given of a message; one that cannot be read is due at once."""
    try:
        message = load(kept.id, kept.value, kept.changes, State.CLAIMED)
    except UnreadableRecord:
        return kept.id, raw(kept.line), 0, 0
    due_at, listed = message.next_attempt_at, message.scheduled_at
    return (
        kept.id,
        raw(kept.line),
        score(to_microseconds(due_at)),
        score(to_microseconds(listed)),
    )
