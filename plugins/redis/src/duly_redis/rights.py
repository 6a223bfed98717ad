"""Whether the user of the server may do all that the store does."""

from typing import Final

from msgspec.msgpack import encode

from duly import StoreError
from duly_redis.calls import Calls, text_of
from duly_redis.keys import Shard

__all__ = ["PROBE", "check_rights"]

PROBE: Final = "?"
"""What is said on the channel of wake-ups to see whether one may: no news for anybody."""

_RIGHTS: Final = text_of("rights").encode()


async def check_rights(calls: Calls, shard: Shard, channel: str) -> None:
    """See that the user may run every command that scripts use, and speak on the channel.

    Raises:
        StoreUnavailable: nobody answers.
        StoreError: something is missing; the text names all of it.
    """
    # Whole, as where a script was not sent before: one may have the right to its name alone.
    answer = await calls.command(
        "EVAL", _RIGHTS, len(shard.keys), *shard.keys, encode([PROBE]), channel.encode()
    )
    found = [each.decode() for each in answer]
    if found:
        missing = [f"&{channel}" if each == "channel" else f"+{each.lower()}" for each in found]
        raise StoreError(
            f"Redis refuses what the user may do: it lacks {' '.join(missing)}; give it the rights "
            "that the README of duly-redis lists"
        )
