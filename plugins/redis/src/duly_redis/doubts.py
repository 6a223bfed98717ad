"""What is unsafe in a server's settings."""

from collections.abc import Sequence

from duly import StoreError
from duly_redis.calls import Calls
from duly_redis.opening import dropping, information

__all__ = ["doubts"]


async def doubts(calls: Calls) -> Sequence[str]:
    """One sentence for each doubt, of any server that keeps messages."""
    found: list[str] = []
    for facts in await information(calls, "memory", "persistence"):
        if policy := dropping(facts):
            found.append(
                f"Redis may drop messages when its memory is full (maxmemory-policy is {policy}): "
                "set it to noeviction"
            )
        if facts.get("aof_enabled") == 0:
            found.append(
                "Redis forgets what came in since its last snapshot when it dies (no append-only "
                "file): set appendonly to yes"
                if await _takes_snapshots(calls)
                else "Redis keeps nothing when it restarts (no append-only file, no snapshots): "
                "set appendonly to yes"
            )
        if "err" in (facts.get("aof_last_write_status"), facts.get("rdb_last_bgsave_status")):
            found.append("Redis could not write to its disk the last time it tried")
    return list(dict.fromkeys(found))


async def _takes_snapshots(calls: Calls) -> bool:
    """Whether it does; yes if the user has no right to ask."""
    try:
        answer = await calls.command("CONFIG", "GET", "save")
    except StoreError:
        return True
    pairs = answer.items() if isinstance(answer, dict) else zip(*[iter(answer)] * 2, strict=True)
    return any(value not in ("", b"") for _, value in pairs)
