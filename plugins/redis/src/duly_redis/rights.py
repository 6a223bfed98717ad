"""Whether the user has the rights on the server that the store needs."""

from typing import Final

from msgspec.msgpack import encode

from duly import StoreError
from duly_redis.calls import Calls, text_of
from duly_redis.keys import Shard

__all__ = ["PROBE", "check_rights"]

PROBE: Final = "?"
"""Published on the channel of wake-ups to test the right to it: it wakes nobody."""

_RIGHTS: Final = text_of("rights").encode()


async def check_rights(calls: Calls, shard: Shard, channel: str) -> None:
    """Check that the user may run every command that scripts use, and publish on the channel.

    Raises:
        StoreUnavailable: nobody answers.
        StoreError: something is missing; the text names all of it.
    """
    # With EVAL, as for a script not sent before: a user may have the right to EVALSHA alone.
    answer = await calls.command(
        "EVAL", _RIGHTS, len(shard.keys), *shard.keys, encode([PROBE]), channel.encode()
    )
    found = [each.decode() for each in answer]
    if found:
        missing = [f"&{channel}" if each == "channel" else f"+{each.lower()}" for each in found]
        raise StoreError(
            f"Redis refuses a right that the user needs: it lacks {' '.join(missing)}; give it the "
            "rights that the README of duly-redis lists"
        )
