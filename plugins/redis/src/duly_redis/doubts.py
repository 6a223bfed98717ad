"""What is unsafe in a server's settings."""

from collections.abc import Sequence
from datetime import UTC, datetime

from duly import StoreError
from duly.health import Doubt, clock_doubts
from duly_redis.calls import Calls
from duly_redis.opening import dropping, information

__all__ = ["doubts"]


async def doubts(calls: Calls) -> Sequence[str]:
    """One sentence for each doubt, of any server that keeps messages."""
    found: list[str] = []
    asked = datetime.now(UTC)
    for facts in await information(calls, "memory", "persistence", "server"):
        if policy := dropping(facts):
            means = (
                f"Redis may drop messages when its memory is full (maxmemory-policy is {policy})"
            )
            advice, thing = "set it to noeviction", "maxmemory-policy"
            found.append(Doubt(means, thing=thing, found=policy, advice=advice, breaks=True))
        if facts.get("aof_enabled") == 0:
            means = (
                "Redis forgets what came in since its last snapshot when it dies (no append-only "
                "file)"
                if await _takes_snapshots(calls)
                else "Redis keeps nothing when it restarts (no append-only file, no snapshots)"
            )
            advice = "set appendonly to yes"
            found.append(Doubt(means, thing="appendonly", found="no", advice=advice, breaks=True))
        if "err" in (facts.get("aof_last_write_status"), facts.get("rdb_last_bgsave_status")):
            means = "Redis could not write to its disk the last time it tried"
            found.append(Doubt(means, thing="disk", found="a write failed", breaks=True))
        if (microseconds := facts.get("server_time_usec")) is not None:  # told since 7.0
            theirs = datetime.fromtimestamp(int(microseconds) / 1e6, UTC)
            found += clock_doubts("Redis", theirs, asked, datetime.now(UTC))
    return list(dict.fromkeys(found))


async def _takes_snapshots(calls: Calls) -> bool:
    """Whether it does; yes if the user has no right to ask."""
    try:
        answer = await calls.command("CONFIG", "GET", "save")
    except StoreError:
        return True
    pairs = answer.items() if isinstance(answer, dict) else zip(*[iter(answer)] * 2, strict=True)
    return any(value not in ("", b"") for _, value in pairs)
