"""Bytes and moments as scripts of Redis take them.

Redis counts with doubles, which are exact to the microsecond until the year 2255; later due times
are rounded up.
"""

import math
from typing import Final

import msgspec

from duly.moment import LAST

__all__ = ["moment", "raw", "score", "unraw"]

_EXACT: Final = 2**53


def raw(data: bytes) -> msgspec.Raw:
    """Bytes packed for a script: Redis knows only the older byte type of MessagePack."""
    return msgspec.Raw(b"\xdb" + len(data).to_bytes(4) + data)


def unraw(packed: msgspec.Raw) -> bytes:
    """The bytes in what :func:`raw` made."""
    return bytes(packed)[5:]


def score(microseconds: int) -> int:
    """The moment as Redis keeps it, never an earlier one."""
    if -_EXACT <= microseconds <= _EXACT:
        return microseconds
    near = float(microseconds)
    return int(near if near >= microseconds else math.nextafter(near, math.inf))


def moment(score: bytes) -> int:
    """The microseconds of a moment as Redis keeps it."""
    return min(int(float(score)), LAST)
