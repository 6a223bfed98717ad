"""Listing: order, bounds, pages."""

import itertools
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from duly.message import Filter, Message, State, with_changes
from duly.store import Bury
from duly.testing.stores.bench import MICROSECOND, Bench
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import DAY, HOUR, MINUTE, retry

BY_CODE_POINT = sorted(
    ["B", "Z", "a", "a ", "aa", "b", "e\u0301", "\u00e9", "\u00df", "ss", "\uffff", "\U00010000",
     "\U0001f600", "\u4e2d", "10", "9", "_", "-", "%", "a%", "A"]
)  # fmt: skip


def expected(
    messages: Sequence[Message], filter: Filter, from_key: tuple[datetime, str] | None
) -> Sequence[Message]:
    """What a list must contain."""
    found = [
        each
        for each in sorted(messages, key=lambda each: (each.scheduled_at, each.id))
        if (filter.event_name is None or each.event_name == filter.event_name)
        and (filter.before is None or each.scheduled_at <= filter.before)
        and (filter.after is None or each.scheduled_at >= filter.after)
        and (filter.state is None or each.state is filter.state)
        and (from_key is None or (each.scheduled_at, each.id) > from_key)
    ]
    return found[filter.offset :][: filter.limit]


class ListCases(StoreHarness):
    """``list``."""

    async def test_nothing_to_list(self, desk: Bench) -> None:
        assert await desk.listed() == []
        assert await desk.listed(from_key=(desk.start, "a"), limit=5, offset=2) == []

    async def test_it_is_a_list(self, desk: Bench) -> None:
        await desk.put("a", "b")
        for filter in (Filter(), Filter(limit=1), Filter(event_name="nobody's")):
            assert type(await desk.store.list(filter)) is list

    async def test_by_scheduled_time_then_id(self, desk: Bench) -> None:
        await desk.put("c", after=HOUR)
        await desk.put("b", "a", after=HOUR + MICROSECOND)
        await desk.put("d", after=MINUTE)
        assert await desk.listed() == ["d", "c", "a", "b"]

    async def test_ids_by_code_point(self, desk: Bench) -> None:
        await desk.put(*reversed(BY_CODE_POINT))
        assert await desk.listed() == BY_CODE_POINT
        for number, id in enumerate(BY_CODE_POINT):
            assert await desk.listed(from_key=(desk.start, id)) == BY_CODE_POINT[number + 1 :]

    async def test_a_retry_stays_where_it_was_scheduled(self, desk: Bench) -> None:
        (message, _) = await desk.put("a", "b")
        assert await desk.settle(await desk.claim(1), {"a": retry(message, DAY)})
        assert await desk.listed() == ["a", "b"]
        assert await desk.listed(before=desk.start) == ["a", "b"]

    async def test_bounds_are_inclusive(self, desk: Bench) -> None:
        step = MICROSECOND
        for number, id in enumerate("abc"):
            await desk.put(id, after=HOUR + number * step)
        middle = desk.start + HOUR + step
        assert await desk.listed(after=middle) == ["b", "c"]
        assert await desk.listed(before=middle) == ["a", "b"]
        assert await desk.listed(after=middle, before=middle) == ["b"]
        assert await desk.listed(after=middle + step, before=middle) == []

    @pytest.mark.parametrize(
        ("bounds", "found"),
        [
            ({"limit": 1}, "a"),
            ({"limit": 3}, "abc"),
            ({"limit": 99}, "abcde"),
            ({"offset": 1}, "bcde"),
            ({"offset": 5}, ""),
            ({"offset": 99}, ""),
            ({"limit": 2, "offset": 2}, "cd"),
            ({"limit": 9, "offset": 4}, "e"),
            ({"limit": 2**63 - 1, "offset": 1}, "bcde"),
            ({"limit": 2**63 - 1, "offset": 2**63 - 1}, ""),
        ],
        ids=str,
    )
    async def test_limit_and_offset(self, desk: Bench, bounds: dict[str, Any], found: str) -> None:
        await desk.put(*"edcba", after=HOUR)
        assert await desk.listed(**bounds) == list(found)

    async def test_every_combination(self, desk: Bench) -> None:
        messages = []
        for number in range(24):
            id, due = f"m{number * 7 % 24:02}", timedelta(seconds=number // 3)
            messages.append(desk.message(id, due, event_name="one" if number % 2 else "two"))
        await desk.put(*messages)
        await desk.pass_time(timedelta(seconds=3))
        batch = await desk.claim(6)
        dead = {claim.message.id: Bury("broken") for claim in batch.claims[:3]}
        assert await desk.settle(batch, dead, only=dead)
        stored = []
        for message in messages:
            found = await desk.store.get(message.id)
            assert found is not None
            stored.append(found)
        moments = [None, desk.start + timedelta(seconds=2), desk.start + timedelta(seconds=5)]
        starts = [None, (desk.start + timedelta(seconds=1), "m07"), (desk.start, "")]
        combinations = list(
            itertools.product(
                [None, "one", "two", "three"], moments, moments, [None, *State],
                [None, 1, 4], [0, 2], starts,
            )
        )  # fmt: skip
        for event_name, before, after, state, limit, offset, from_key in random.Random(1).sample(  # noqa: S311  # no secret
            combinations, self.many(500)
        ):
            filter = Filter(
                event_name=event_name, before=before, after=after, state=state, limit=limit,
                offset=offset,
            )  # fmt: skip
            listed = list(await desk.store.list(filter, from_key=from_key))
            assert listed == expected(stored, filter, from_key), (filter, from_key)

    async def test_what_is_dead_tells_why(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        assert await desk.settle(await desk.claim(), {"a": Bury("no such house")})
        (found,) = await desk.store.list(Filter(state=State.DEAD))
        assert found == with_changes(message, state=State.DEAD, last_error="no such house")

    async def test_names_are_compared_exactly(self, desk: Bench) -> None:
        names = ["event", "Event", "event ", "event.a", "e\u0301", "\u00e9", "%", "e*nt", "event%"]
        for number, name in enumerate(names):
            await desk.put(desk.message(f"m{number}", HOUR, event_name=name))
        for number, name in enumerate(names):
            assert await desk.listed(event_name=name) == [f"m{number}"]


class PageCases(StoreHarness):
    """``list`` by pages."""

    async def _pages(self, desk: Bench, size: int, **bounds: Any) -> Sequence[Sequence[str]]:
        pages: list[Sequence[str]] = []
        from_key: tuple[datetime, str] | None = None
        while page := await desk.store.list(Filter(limit=size, **bounds), from_key=from_key):
            pages.append([found.id for found in page])
            assert sum(map(len, pages)) < 1000, "the pages do not end"
            from_key = (page[-1].scheduled_at, page[-1].id)
        return pages

    @pytest.mark.parametrize("size", [1, 3, 10, 99])
    async def test_pages_bring_each_once(self, desk: Bench, size: int) -> None:
        for number in range(4):
            await desk.put(*(f"m{number}{id}" for id in "ebdca"), after=number // 2 * HOUR)
        pages = await self._pages(desk, size)
        assert all(len(page) == size for page in pages[:-1])
        assert list(itertools.chain(*pages)) == await desk.listed()
        assert len(set(itertools.chain(*pages))) == 20

    async def test_pages_of_a_filter(self, desk: Bench) -> None:
        for number in range(12):
            name = f"n{number % 3}"
            await desk.put(desk.message(f"m{number:02}", number // 4 * HOUR, event_name=name))
        pages = await self._pages(desk, 3, event_name="n1")
        assert pages == [["m01", "m04", "m07"], ["m10"]]

    async def test_pages_over_many_names(self, desk: Bench) -> None:
        # Some names have but one message, some a run of neighbours, and many are of one moment.
        number = self.many(300)
        messages = [
            desk.message(
                f"m{each * 7 % number:04}", each % 9 * MINUTE,
                event_name=f"run-{each % 9}" if each % 3 else f"lone-{each}",
            )
            for each in range(number)
        ]  # fmt: skip
        await desk.put(*messages)
        every = await desk.store.list(Filter())
        bounds: dict[str, Any] = {
            "after": desk.start + 2 * MINUTE,
            "before": desk.start + 6 * MINUTE,
        }
        everything: dict[str, Any] = {}
        for size, some in ((1 + number // 5, everything), (7, bounds)):
            found = [*itertools.chain(*await self._pages(desk, size, **some))]
            assert found == [each.id for each in expected(every, Filter(**some), None)]
            assert len(found) == (len(set(found)) if some else number)

    async def test_pages_over_a_place_that_is_gone(self, desk: Bench) -> None:
        (_, middle, _) = await desk.put("a", "b", "c", after=HOUR)
        await desk.store.cancel(["b"])
        assert await desk.listed(from_key=(middle.scheduled_at, "b")) == ["c"]
        assert await desk.listed(from_key=(middle.scheduled_at - DAY, "z")) == ["a", "c"]
        assert await desk.listed(from_key=(middle.scheduled_at + MICROSECOND, "")) == []

    async def test_pages_while_messages_come_and_go(self, desk: Bench) -> None:
        number = self.many(200)
        names = [f"m{each:04}" for each in range(number)]
        await desk.put(*names, after=HOUR)
        seen: list[str] = []
        from_key: tuple[datetime, str] | None = None
        while page := await desk.store.list(Filter(limit=7), from_key=from_key):
            seen += [found.id for found in page]
            assert len(seen) <= number, "the pages do not end"
            from_key = (page[-1].scheduled_at, page[-1].id)
            await desk.store.cancel([page[0].id])
            await desk.put(f"a{len(seen)}", after=HOUR)  # behind what was read
        assert seen == names
