"""Random histories of a store with lines: more messages of fewer kinds, and busy sidings."""

from collections.abc import Mapping, Sequence

import hypothesis.strategies as st
from hypothesis.stateful import rule

from duly.recurrence import Every
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.histories import History, try_histories
from duly.testing.stores.history_parts import NAMES
from duly.testing.stores.situations import SECOND

CROWD = [f"n{number}" for number in range(12)]
CLOSED = st.sampled_from([{"*": 0}, {"*": -1}, {"one": 0}, {"two": -1}, {"two.*": 0, "one": 1}])
OPEN = st.sampled_from([{}, {"*": 2}, {"one": 1, "two.*": 0}, {"two": 2, "*": 1}, {"two.x": -1}])


class LineHistory(History):
    """As any other, but that many come at once, and are held back and drained."""

    @rule(
        names=st.lists(NAMES, min_size=3, max_size=12),
        seconds=st.integers(-9, 2),
        series=st.integers(1, 6),
    )
    def crowd(self, names: Sequence[str], seconds: int, series: int) -> None:
        at = self.model.now + seconds * SECOND
        self._put(
            [
                self.desk.message(
                    id,
                    event_name=name,
                    scheduled_at=at + number % 3 * SECOND,
                    recurrence=None if number % series else Every(5 * SECOND),
                )
                for number, (id, name) in enumerate(zip(CROWD, names, strict=False))
            ],
            replace=True,
        )

    @rule(data=st.data(), most=CLOSED, limit=st.integers(1, 6))
    def hold_back(self, data: st.DataObject, most: Mapping[str, int], limit: int) -> None:
        self._claim(data, limit, 3, most, suspects=True)

    @rule(data=st.data(), most=OPEN, limit=st.integers(2, 8))
    def drain(self, data: st.DataObject, most: Mapping[str, int], limit: int) -> None:
        self._claim(data, limit, 20, most, suspects=True)


class LineHistoryCases(StoreHarness):
    """Random histories, compared step by step with the model's lines."""

    line_histories = 200
    """How many are tried, at scale 1."""

    async def test_random_histories_of_lines(self) -> None:
        await try_histories(self, LineHistory, self.many(self.line_histories))
