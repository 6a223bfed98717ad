"""The names of keys: which there are, and how they are spread over the slots of a Cluster."""

import re
import zlib
from collections.abc import Sequence
from typing import Final

from redis.crc import key_slot

from duly import InvalidArgument

__all__ = ["MOST_SHARDS", "Shard", "home", "meta_key", "shards", "wake_channel"]

NAMES: Final = (
    "due", "suspects", "messages", "changes", "lapses", "dead", "reasons", "leases", "ends",
    "withdrawn", "names", "numbers", "deaths", "successors", "declared",
    "floors", "aside",
)  # fmt: skip
"""The keys of a shard, in the order in which ``lua/shard.lua`` takes them."""

MOST_SHARDS: Final = 128
_SLOTS: Final = 16_384
_LONGEST_PREFIX: Final = 255  # characters
# What follows the id in the ids of buried occurrences, see duly.record.occurrence.
_OCCURRENCES: Final = re.compile(r"(?::-?[0-9]+:-?[0-9]+\+*)+\Z")


class Shard:
    """Keys of one slot: they share the text between their braces."""

    def __init__(self, prefix: str, tag: str) -> None:
        self.base = f"{prefix}{{{tag}}}"
        """The beginning of all its keys."""
        self.keys: Sequence[bytes] = [f"{self.base}{name}".encode() for name in NAMES]

    def key(self, name: str) -> bytes:
        """One of its keys."""
        return self.keys[NAMES.index(name)]


def shards(prefix: object, number: object) -> Sequence[Shard]:
    """The shards of a store, as far apart in a Cluster as can be.

    Raises:
        InvalidArgument: a prefix or a number that cannot be used.
    """
    if not isinstance(prefix, str) or not 0 < len(prefix) <= _LONGEST_PREFIX:
        raise InvalidArgument(f"key_prefix has 1 to {_LONGEST_PREFIX} characters: {prefix!r:.300}")
    if re.search(r"[{}\x00-\x1f\x7f-\x9f\ud800-\udfff]", prefix):
        raise InvalidArgument(
            f"key_prefix has no braces, as they decide over the slot in a Cluster, and no control "
            f"characters: {prefix!r}"
        )
    if type(number) is not int or not 1 <= number <= MOST_SHARDS:
        raise InvalidArgument(f"shards is a number from 1 to {MOST_SHARDS}: {number!r}")
    if number == 1:
        return [Shard(prefix, prefix)]
    return [Shard(prefix, _tag(prefix, each, number)) for each in range(number)]


def home(id: str, number: int) -> int:
    """The number of the shard that a message is in.

    Buried occurrences are in that of their series: they are stored in one step with its next fire.
    """
    if number == 1:
        return 0
    return zlib.crc32(_OCCURRENCES.sub("", id).encode(errors="surrogatepass")) % number


def meta_key(prefix: str) -> str:
    """The key of facts about the store as a whole."""
    return f"{prefix}{{{prefix}}}meta"


def wake_channel(prefix: str) -> str:
    """The channel of wake-ups."""
    return f"{prefix}{{{prefix}}}wake"


def _tag(prefix: str, each: int, number: int) -> str:
    """The first tag whose slot is in this part of all slots, so that each server gets its share."""
    count = 0
    while True:
        tag = f"{prefix}{each}.{count}"
        if key_slot(tag.encode()) * number // _SLOTS == each:
            return tag
        count += 1
