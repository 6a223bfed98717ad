"""Shards that do not answer while others do: left alone until their server is back."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from duly import StoreUnavailable
from duly.store import PartlyUnavailable
from duly_redis.keys import Shard

__all__ = ["Away"]

_PAUSE: Final = 1.0  # seconds until a shard that is away is asked again


class _Absence(NamedTuple):
    since: datetime
    error: StoreUnavailable
    waiting: "asyncio.Task[None]"


class Away:
    """Which of ``number`` shards do not answer, since when, and why.

    ``knock`` returns when the server of a shard answers. If no shard answers, none is left alone:
    all are asked, as with a single server.
    """

    def __init__(self, number: int, knock: Callable[[Shard], Awaitable[None]]) -> None:
        self._number = number
        self._knock = knock
        self._absent: dict[Shard, _Absence] = {}
        self._told: list[Callable[[], None]] = []

    def when_back(self, tell: Callable[[], None]) -> None:
        """Set a function to call whenever a shard is back."""
        self._told.append(tell)

    @property
    def all(self) -> bool:
        """Whether no shard answers."""
        return len(self._absent) == self._number

    def __contains__(self, shard: Shard) -> bool:
        """Whether a shard is to be left alone."""
        return shard in self._absent and not self.all

    def refuse(self, shard: Shard) -> None:
        """Check that a shard is not to be left alone.

        Raises:
            PartlyUnavailable: it is away, others are not.
        """
        if shard in self:
            raise PartlyUnavailable(self._sentence(shard)) from self._absent[shard].error

    def note(self, shard: Shard, error: StoreUnavailable) -> None:
        """A shard did not answer; from now on it is asked about once a second if it is back."""
        if self._number > 1 and shard not in self._absent:
            waiting = asyncio.create_task(self._until_back(shard), name="duly-redis-away")
            self._absent[shard] = _Absence(datetime.now(UTC), error, waiting)

    def heard(self, shard: Shard) -> None:
        """A shard has answered."""
        if absence := self._absent.pop(shard, None):
            absence.waiting.cancel()

    def sentences(self) -> Sequence[str]:
        """One sentence for each shard that is away; for health()."""
        return [self._sentence(shard) for shard in self._absent]

    async def close(self) -> None:
        """Ask no more."""
        absent, self._absent = self._absent, {}
        for absence in absent.values():
            absence.waiting.cancel()
        if absent:
            await asyncio.wait([absence.waiting for absence in absent.values()])

    async def _until_back(self, shard: Shard) -> None:
        while True:
            await asyncio.sleep(_PAUSE)
            try:
                await self._knock(shard)
            except StoreUnavailable:
                continue
            except Exception:  # noqa: BLE001, S110  # it answers; the next call tells what is wrong
                pass
            break
        del self._absent[shard]
        for tell in self._told:
            tell()

    def _sentence(self, shard: Shard) -> str:
        since, error, _ = self._absent[shard]
        return (
            f"the Redis server of the keys {shard.base}* has not answered since "
            f"{since:%Y-%m-%d %H:%M:%S} UTC, and its messages wait: {error}"
        )
