"""What recurs, by an index of its own where the store has one."""

from typing import Final

import attrs

from duly._caller.arguments import as_filter, as_number
from duly._caller.between import all_series
from duly._caller.lookup import ALL
from duly._caller.overview import Found, Overview, as_key
from duly._caller.walking import Key, key_of
from duly._values.matching import matches
from duly.errors import InvalidArgument
from duly.message import Filter, State
from duly.store import SupportsForecast

__all__ = ["SeriesLookup"]

_LOOKED_AT: Final = 10_000  # series, or messages where there is no index
_MOST_LOOKED_AT: Final = 10_000_000


class SeriesLookup(Overview):
    """The verb of a client that lists what recurs."""

    async def series(
        self, filter: Filter = ALL, *, look_at: int = _LOOKED_AT, from_key: Key | None = None
    ) -> Found:
        """What recurs: the series that match and will fire, by ``(scheduled_at, id)``.

        Without payloads, in line, aside or in somebody's hands; dead letters of series are none.
        The store finds them by an index, at most ``look_at`` (up to 10,000,000) of them; one that
        has none is looked through for so many messages. ``looked_at`` and ``complete`` tell how far
        it was. ``from_key`` goes on where an earlier answer to the same filter ended, with its
        ``limit``.

        Raises:
            InvalidArgument: an argument out of bounds, or a filter with an order or an offset.
        """
        filter = as_filter(filter)
        look_at = as_number(look_at, "look_at", at_least=1, at_most=_MOST_LOOKED_AT)
        key = as_key(from_key)
        if filter.order is not None or filter.offset:
            raise InvalidArgument(
                "series come by scheduled_at, and from_key goes on: leave the filter's order and "
                "offset out"
            )
        store, limit = self._calls.store, filter.limit
        every = attrs.evolve(filter, limit=None)
        last: Key | None = None  # up to where a store without an index was looked through
        if isinstance(store, SupportsForecast):
            counts = await all_series(self._calls, store, look_at)
            now, messages = self._now(), [each.message for each in counts.series]
            if every != ALL:
                messages = [each for each in messages if matches(every, each, now)]
            looked_at, complete = len(counts.series), counts.complete
        else:
            found = await self.search(every, look_at=look_at, from_key=key, payload=False)
            messages, looked_at = [*found.messages], found.looked_at
            complete, last = found.complete, found.from_key
        recurring = sorted(
            (each for each in messages if each.recurrence is not None
             and each.state is not State.DEAD and (key is None or key_of(each) > key)),
            key=key_of,
        )  # fmt: skip
        if limit is not None and len(recurring) > limit:
            recurring = recurring[:limit]
            complete, last = False, key_of(recurring[-1])
        return Found(messages=recurring, looked_at=looked_at, complete=complete, from_key=last)
