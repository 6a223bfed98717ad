"""Facts about a store as a whole, which it writes when it is new: layout, shards, and its mark.

With the mark messages may be moved aside, as all who claim find them there, and all that recurs is
noted. A new store has it; an older one gets it by ``migrate()``, when nobody uses it any more that
knows of no sidings.
"""

from collections.abc import Sequence
from typing import Final

from duly import StoreError
from duly.health import Doubt
from duly_redis.calls import Calls, script
from duly_redis.keys import Shard, meta_key

__all__ = ["check_meta", "is_marked", "migrate", "unmarked"]

_ENLIST: Final = script("holding", "enlist")
_AT_ONCE: Final = 1000  # places in line that a script looks at; it holds up the server

_LAYOUT: Final = "1"
"""The version of the layout of keys."""

_UNMARKED: Final = Doubt(
    "slow event names may hold up others, as an older version made these keys",
    thing="mark",
    found="lacks",
    advice="when no process of that is left, call `await client.migrate()`",
)

_BEGIN: Final = (
    "if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HSET', KEYS[1], unpack(ARGV)) end"
)


async def check_meta(calls: Calls, prefix: str, shards: int, *, begin: bool) -> bool:
    """Check that the keys are of this layout and so many shards; whether they have the mark.

    Where there are none yet they are begun, with ``begin``.

    Raises:
        StoreUnavailable: nobody answers.
        StoreError: they are not.
    """
    key = meta_key(prefix)
    ours = {"layout": _LAYOUT, "shards": str(shards)}
    layout, number, mark = await calls.command("HMGET", key, *ours, "lines")
    if layout is None and not begin:
        return False
    if layout is None:  # only then: when memory is full nothing can be written
        await calls.command("EVAL", _BEGIN, 1, key, *_new(shards))
    if (layout is None or number is None) and begin:
        for field, value in ours.items():
            await calls.command("HSETNX", key, field, value)
        layout, number, mark = await calls.command("HMGET", key, *ours, "lines")
    if (found := _text(layout)) != _LAYOUT:
        raise StoreError(
            f"the keys of {prefix!r} were made by a newer version of duly-redis (layout "
            f"{found}): upgrade this host"
        )
    if number is not None and (found := _text(number)) != ours["shards"]:
        raise StoreError(
            f"the messages of {prefix!r} are spread over {found} shards: open them with "
            f"shards={found}, or, when none is left, delete the key {key}"
        )
    return mark is not None


async def is_marked(calls: Calls, prefix: str) -> bool:
    """Whether the keys have the mark by now."""
    (mark,) = await calls.command("HMGET", meta_key(prefix), "lines")
    return mark is not None


async def unmarked(calls: Calls, prefix: str) -> Sequence[Doubt]:
    """What to say of keys without the mark; nothing where there are none yet."""
    (layout,) = await calls.command("HMGET", meta_key(prefix), "layout")
    return [] if layout is None else [_UNMARKED]


async def migrate(
    calls: Calls, prefix: str, shards: Sequence[Shard], *, dry_run: bool
) -> Sequence[str]:
    """The commands that the keys still need; sent, unless ``dry_run``.

    What recurs and was stored by an older version is noted first, with no more than its line read.
    """
    key, was_open = meta_key(prefix), calls.is_open
    calls.open()
    try:
        layout, mark = await calls.command("HMGET", key, "layout", "lines")
        if mark is not None:
            return []
        words = ("lines", "1") if layout is not None else _new(len(shards))
        if not dry_run:
            for shard in shards if layout is not None else ():
                await _enlist(calls, shard)
            await calls.command("HSET", key, *words)
        return [" ".join(("HSET", key, *words))]
    finally:
        if not was_open:
            await calls.close()


async def _enlist(calls: Calls, shard: Shard) -> None:
    # What is in hand is put back into a line by somebody who notes it, or is in a lease still.
    for where in ("due", "suspects", "leases"):
        cursor = "0"
        while True:
            cursor = (await calls.run(_ENLIST, shard, 0, where, cursor, _AT_ONCE)).decode()
            if cursor == "0":
                break


def _new(shards: int) -> Sequence[str]:
    return "layout", _LAYOUT, "shards", str(shards), "lines", "1"


def _text(found: object) -> str:
    return found.decode(errors="replace") if isinstance(found, bytes) else str(found)
