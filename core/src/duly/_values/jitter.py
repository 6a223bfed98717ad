"""How much later than its fire a series is due, the same on every host."""

import hashlib
from datetime import datetime, timedelta
from typing import Final

from duly.moment import to_microseconds

__all__ = ["jittered"]

_TICK: Final = timedelta(microseconds=1)


def jittered(id: str, fire: datetime, most: timedelta) -> datetime:
    """A moment from ``fire`` on, less than ``most`` later, by a hash of the fire and the id.

    The hash is BLAKE2b (RFC 7693), of 8 bytes.
    """
    name = f"{to_microseconds(fire)}:{id}".encode()
    share = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest())
    try:
        return fire + most // _TICK * share // 2**64 * _TICK
    except OverflowError:
        return fire
