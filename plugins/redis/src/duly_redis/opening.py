"""What is checked when a store is opened: the server, and whether the keys are ours."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from redis.asyncio import RedisCluster

from duly import InvalidArgument, StoreError
from duly_redis.calls import Calls, Script
from duly_redis.keys import NAMES, Shard, wake_channel
from duly_redis.meta import check_meta
from duly_redis.rights import check_rights

__all__ = ["Terms", "check", "dropping", "information"]

_OLDEST: Final = (6, 2)  # has ZMSCORE and SMISMEMBER
_TYPES: Final = Script(
    "local found = {} "
    "for each, key in ipairs(KEYS) do found[each] = redis.call('TYPE', key).ok end "
    "return found"
)
_EXPECTED: Final = dict(
    zip(
        NAMES,
        ("zset", "zset", "hash", "hash", "hash", "zset", "hash", "hash", "zset", "set", "set",
         "string", "hash", "hash", "hash", "hash", "zset"),
        strict=True,
    )
)  # fmt: skip


class Terms(NamedTuple):
    """On which terms a store is opened."""

    allow_eviction: bool
    begin: bool

    @classmethod
    def of(cls, allow_eviction: object, auto_migrate: object) -> "Terms":
        """Of two arguments that callers have given."""
        for name, flag in {"allow_eviction": allow_eviction, "auto_migrate": auto_migrate}.items():
            if not isinstance(flag, bool):
                raise InvalidArgument(f"{name} is True or False: {flag!r:.300}")
        return cls(allow_eviction is True, auto_migrate is True)


async def check(calls: Calls, prefix: str, shards: Sequence[Shard], terms: Terms) -> bool:
    """Check that the server can be used and keeps its data, and that nobody else uses the keys.

    Whether the keys have the mark: see :mod:`duly_redis.meta`. They get it where there are none
    yet and the terms allow that.

    Raises:
        StoreUnavailable: nobody answers.
        StoreError: what answers cannot be used; the text says what to do.
    """
    for facts in await information(calls, "server", "memory"):
        version = str(facts.get("redis_version", ""))
        numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
        if numbers and numbers < _OLDEST:
            raise StoreError(
                f"Redis {version} is too old: duly needs {'.'.join(map(str, _OLDEST))} or later"
            )
        if (policy := dropping(facts)) and not terms.allow_eviction:
            raise StoreError(
                f"Redis may drop messages when its memory is full (maxmemory-policy is {policy}): "
                "set it to noeviction, or give allow_eviction=true if messages may be lost"
            )
    await check_rights(calls, shards[0], wake_channel(prefix))
    for shard in shards:
        found = await calls.run(_TYPES, shard)
        for name, kind in zip(NAMES, found, strict=True):
            if kind.decode() not in ("none", _EXPECTED[name]):
                raise StoreError(
                    f"the key {shard.base}{name} is a {kind.decode()} and not a "
                    f"{_EXPECTED[name]}: something else uses keys with this prefix; choose "
                    "another key_prefix"
                )
    return await check_meta(calls, prefix, len(shards), begin=terms.begin)


def dropping(facts: Mapping[str, Any]) -> str | None:
    """The policy by which a server evicts keys without a time to live; None if it does not."""
    policy = str(facts.get("maxmemory_policy", "noeviction"))
    return policy if policy.startswith("allkeys") and facts.get("maxmemory") else None


async def information(calls: Calls, *sections: str) -> Sequence[Mapping[str, Any]]:
    """The answers of INFO, of the server or of each primary of a Cluster."""
    facts: dict[str, dict[str, Any]] = {}
    for section in sections:
        if isinstance(calls.client, RedisCluster):
            found = await calls.command("INFO", section, target_nodes=RedisCluster.PRIMARIES)
            if "redis_version" in found or not all(
                isinstance(each, dict) for each in found.values()
            ):
                found = {"": found}  # there is only one primary
        else:
            found = {"": await calls.command("INFO", section)}
        for node, said in found.items():
            facts.setdefault(node, {}).update(said)
    return list(facts.values())
