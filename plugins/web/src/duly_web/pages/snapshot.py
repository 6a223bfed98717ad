"""What all who look share: the store is asked once in two seconds, however many pages are open."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import attrs

from duly import Client, Control, DulyError, Forecast, NameStats, Standing, Unsupported
from duly_web.pages.past import LastHour, Past
from duly_web.service import Shared
from duly_web.users import fits

__all__ = ["Recent", "Snapshot", "name_before"]

_KEPT: Final = 64  # different questions
_PAGES: Final = 3  # of a thousand event names each, unless they take long to read
_SHORT: Final = 0.1  # seconds
_MORE: Final = 50  # names of which messages are late, and that are not on these pages
_PATIENCE: Final = 0.1  # seconds for which a page waits while an older answer will do
_OLD: Final = timedelta(seconds=30)  # which it is then at most; the page says of when it is
_HOUR: Final = timedelta(hours=1)
_FOREVER: Final = datetime.max.replace(tzinfo=UTC)


@attrs.frozen(kw_only=True, eq=False)
class Snapshot:
    """How all stands. What the store or the history does not tell is None."""

    as_of: datetime
    standing: Standing
    names: Sequence[NameStats] | None
    all_names: bool
    forecast: Forecast | None
    hour: LastHour | None
    past_says: str
    """Why the history tells nothing; empty when it does."""

    def paused(self, name: str) -> tuple[str, Control] | None:
        """The rule that pauses an event name longest, and what it says."""
        found = [
            (rule, each)
            for rule, each in self.standing.controls.items()
            if each.pause is not None and fits(rule, name)
        ]
        return max(found, key=_lasts, default=None)

    def limited(self, name: str) -> tuple[str, Control] | None:
        """The narrowest rule that limits an event name, and what it says."""
        found = [
            (rule, each)
            for rule, each in self.standing.controls.items()
            if each.limit is not None and fits(rule, name)
        ]
        return max(found, key=lambda rule: len(rule[0]), default=None)


class Recent:
    """Answers of a moment ago, each to a question by its name; ``reads`` counts the sets of reads.

    The names are bounded, so that nobody fills the memory with questions.
    """

    def __init__(self, client: Client, past: Past) -> None:
        self._client = client
        self._past = past
        self._kept: OrderedDict[str, Shared] = OrderedDict()
        self._last: Snapshot | None = None
        self.reads = 0

    async def get(self, name: str, read: Callable[[], Awaitable[Any]]) -> Any:
        """What was read for that name within two seconds, or is read now."""
        shared = self._kept.pop(name, None) or Shared()
        self._kept[name] = shared
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

        async def counted() -> Any:
            self.reads += 1
            return await read()

        return await shared.get(name, counted)

    def forget(self) -> None:
        """Read anew: something has been changed here."""
        self._kept.clear()
        self._last = None

    async def snapshot(self) -> Snapshot:
        """How all stands, or stood a little while ago where the store takes long to tell."""
        last = self._last
        asked = self.get("snapshot", self._snapshot)
        if last is None or datetime.now(UTC) - last.as_of > _OLD:
            found: Snapshot = await asked
            return found
        try:
            async with asyncio.timeout(_PATIENCE):
                return cast(Snapshot, await asked)
        except TimeoutError:
            return last

    async def _snapshot(self) -> Snapshot:
        standing = await self._client.standing()
        told = None
        if standing.stats is not None:
            told = await asyncio.gather(
                _or_none(self._names(standing.late_names)),
                _or_none(self._client.forecast(datetime.now(UTC) + _HOUR, buckets=60)),
            )
        hour, says = await self._past.last_hour()
        names, forecast = told or (None, None)
        self._last = made = Snapshot(
            as_of=standing.as_of, standing=standing, names=None if names is None else names[0],
            all_names=names is not None and names[1], forecast=forecast, hour=hour, past_says=says,
        )  # fmt: skip
        return made

    async def _names(self, late: Sequence[str]) -> tuple[Sequence[NameStats], bool]:
        """The first names, as many as are read in no time, and those of which messages are late."""
        names: list[NameStats] = []
        begun = time.monotonic()
        for _ in range(_PAGES):
            page = await self._client.names(after=names[-1].name if names else None)
            if not page:
                return names, True
            names += page
            if time.monotonic() - begun > _SHORT:
                break
        last = names[-1].name
        missing = [each for each in late if each > last][:_MORE]
        asked = (self._client.names(after=name_before(each), limit=1) for each in missing)
        more = [each for page in await asyncio.gather(*asked) for each in page]
        return names + sorted(more, key=lambda each: each.name), False


def name_before(name: str) -> str:
    """A text right before all event names that begin so."""
    code = ord(name[-1]) - 1
    last = "" if code < 0 else chr(0xD7FF if 0xD800 <= code <= 0xDFFF else code) + "\U0010ffff"
    return name[:-1] + last


async def _or_none(asked: Awaitable[Any]) -> Any:
    try:
        return await asked
    except (Unsupported, DulyError):
        return None


def _lasts(rule: tuple[str, Control]) -> datetime:
    pause = rule[1].pause
    return _FOREVER if pause is None or pause.until is None else pause.until
