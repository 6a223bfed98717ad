"""Taking over: the leases of a scheduler that is known to be dead end at once."""

from collections.abc import Callable, Sequence
from typing import Final

from duly.record import encodable
from duly_redis.asking import Asking
from duly_redis.calls import Calls, script
from duly_redis.keys import Shard
from duly_redis.packing import raw

__all__ = ["TakesOver"]

_LAPSE: Final = script("leases", "lapse")


class TakesOver:
    """The part of a store that is :class:`duly.store.SupportsTakeover`."""

    _calls: Calls
    _shards: Sequence[Shard]
    _now: Callable[[], int]

    async def lapse(self, owner: str) -> int:
        """End all leases of that owner now; how many messages they held.

        Raises:
            PartlyUnavailable: some shards do not answer; it is done in all others.
        """
        if not encodable(owner):
            return 0
        asking = Asking(self._calls, self._shards)
        asked = {number: self._lapse(self._shards[number], owner) for number in asking.present()}
        held = sum((await asking.all(asked)).values())
        for shard in self._shards:
            self._calls.away.refuse(shard)
        return held

    async def _lapse(self, shard: Shard, owner: str) -> int:
        now, held = self._now(), 0
        cursor: bytes | None = b"0"
        while cursor is not None:
            some, cursor = await self._calls.run(_LAPSE, shard, now, owner, raw(cursor))
            held += int(some)
        return held
