"""What a client is told of what is to come, and of its event names."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from tests.core.engine_kit import at

from duly import (
    Client,
    Cron,
    Every,
    Forecast,
    InvalidArgument,
    Message,
    NameStats,
    StoreError,
    Unsupported,
)
from duly.memory import MemoryStore
from duly.message import with_changes
from duly.recurrence import Recurrence
from duly.store import DueCounts, Group, Store

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOW = at(0)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(clock=lambda: NOW)


@pytest.fixture
async def client(store: MemoryStore) -> AsyncIterator[Client]:
    async with client_of(store) as client:
        yield client


def client_of(store: Store) -> Client:
    client = Client(store, load_plugins=False)
    client._now = lambda: NOW  # type: ignore[method-assign]  # the store's
    return client


async def put(store: Store, *messages: Message) -> None:
    """Store them as they are."""
    assert await store.put([Group(messages, as_is=True)]) == [None]


def series(recurrence: Recurrence, first: datetime = NOW, **changes: Any) -> Message:
    message = Message("tick", scheduled_at=first, recurrence=recurrence)
    return with_changes(message, **changes) if changes else message


async def fires(client: Client, until: timedelta, buckets: int) -> Sequence[int]:
    """How many fires are overdue, and in each bucket."""
    found = await client.forecast(NOW + until, buckets=buckets)
    return [found.overdue.series, *(each.series for each in found.buckets)]


def summed(found: Forecast) -> Sequence[tuple[int, int, int]]:
    return [(each.once, each.series, each.retries) for each in (found.overdue, *found.buckets)]


class TestForecast:
    async def test_once_series_and_retries_are_told_apart(
        self, client: Client, store: MemoryStore
    ) -> None:
        tried = Message("mail", scheduled_at=NOW - HOUR)
        await put(
            store,
            Message("mail", scheduled_at=NOW - HOUR),
            Message("mail", scheduled_at=NOW),
            Message("mail", scheduled_at=NOW + MINUTE),
            Message("mail", scheduled_at=NOW + MINUTE + SECOND),
            Message("mail", scheduled_at=NOW + HOUR),
            with_changes(tried, retry_count=1, next_attempt_at=NOW + SECOND),
            series(Every(MINUTE), NOW + SECOND),
        )
        found = await client.forecast(NOW + 2 * MINUTE, buckets=2)
        assert summed(found) == [(2, 0, 0), (1, 1, 1), (1, 1, 0)]
        assert [each.total for each in found.buckets] == [3, 2]
        assert (found.start, found.until, found.span) == (NOW, NOW + 2 * MINUTE, MINUTE)
        assert found.complete
        assert not any(each.at_least for each in (found.overdue, *found.buckets))

    async def test_an_empty_store(self, client: Client) -> None:
        found = await client.forecast(NOW + HOUR)
        assert (len(found.buckets), found.looked_at, found.complete) == (60, 0, True)
        assert {each.total for each in (found.overdue, *found.buckets)} == {0}

    async def test_every_second_of_a_year_is_counted_at_once(
        self, client: Client, store: MemoryStore
    ) -> None:
        await put(store, series(Every(SECOND), NOW + SECOND))
        assert await fires(client, 364 * DAY, 4) == [0, *[91 * 86400] * 4]
        assert (await client.forecast(NOW + 364 * DAY)).complete

    @pytest.mark.parametrize("missed", ["once", "all", "skip"])
    async def test_the_same_as_upcoming_tells_one_by_one(
        self, client: Client, store: MemoryStore, missed: Any
    ) -> None:
        firsts = (NOW - 90 * SECOND, NOW - MINUTE, NOW, NOW + SECOND, NOW + 4 * MINUTE)
        rules: list[Any] = [
            (Every, MINUTE), (Every, 7 * SECOND), (Every, HOUR), (Cron, "* * * * *"),
            (Cron, "*/20 * * * * *"),
        ]  # fmt: skip
        bounds: list[dict[str, Any]] = [
            {}, {"grace": SECOND}, {"max_occurrences": 3}, {"until": NOW + 2 * MINUTE},
            {"jitter": 7 * SECOND},
        ]  # fmt: skip
        changes: list[dict[str, Any]] = [
            {}, {"retry_count": 1, "next_attempt_at": NOW + 2 * MINUTE + SECOND},
            {"retry_count": 1, "next_attempt_at": NOW + HOUR},
        ]  # fmt: skip
        for kind, rule in rules:
            for bound in bounds:
                made = []
                for first in firsts:
                    with suppress(InvalidArgument):  # it ends before it begins
                        one = Message(
                            "tick",
                            scheduled_at=first,
                            recurrence=kind(rule, missed=missed, **bound),
                        )
                        made += [
                            with_changes(one, **each, id=f"{one.id}{n}")
                            for n, each in enumerate(changes)
                        ]
                await put(store, *made)
                due = [each.at for each in await client.upcoming(NOW + 5 * MINUTE, limit=100_000)]
                ends = [NOW + n * 50 * SECOND for n in range(7)]
                told = [sum(low < at <= high for at in due) for low, high in pairwise(ends)]
                found = await fires(client, 5 * MINUTE, 6)
                assert found == [due.count(NOW), *told], (kind, rule, bound)
                await store.cancel([each.id for each in made])

    async def test_within_grace_each_is_delivered(self, client: Client, store: MemoryStore) -> None:
        await put(store, series(Every(SECOND, grace=10 * SECOND), NOW - HOUR))
        assert await fires(client, 2 * SECOND, 2) == [12, 1, 1]  # the latest missed, too

    async def test_it_ends(self, client: Client, store: MemoryStore) -> None:
        await put(
            store,
            series(Every(SECOND, until=NOW + 5 * SECOND), NOW + SECOND),
            series(Every(SECOND, max_occurrences=3), NOW + SECOND),
            series(Cron("* * * * * *", max_occurrences=2), NOW + SECOND),
            series(Cron("* * * * * *", until=NOW + 3 * SECOND), NOW + SECOND),
            series(Every(SECOND, max_occurrences=9), NOW + SECOND, occurrence_count=8),
        )
        assert await fires(client, 8 * SECOND, 4) == [0, 9, 4, 1, 0]

    async def test_of_what_is_in_hand_the_fires_that_follow(
        self, client: Client, store: MemoryStore
    ) -> None:
        await put(
            store, series(Every(MINUTE)), series(Cron("* * * * *")), Message("m", scheduled_at=NOW)
        )
        batch = await store.claim(limit=10, lease=HOUR, owner="host:1:x")
        assert len(batch.claims) == 3
        found = await client.forecast(NOW + 2 * MINUTE, buckets=2)
        assert summed(found) == [(0, 0, 0), (0, 2, 0), (0, 2, 0)]

    async def test_what_follows_a_series(self, client: Client, store: MemoryStore) -> None:
        await client.schedule(series(Every(MINUTE), id="a"))
        await store.claim(limit=1, lease=HOUR, owner="host:1:x")
        await client.ensure(Message("tick", id="a", recurrence=Every(HOUR, anchor=NOW)))
        assert await fires(client, 3 * HOUR, 3) == [0, 1, 1, 1]

    async def test_cron_follows_the_clocks(self, client: Client, store: MemoryStore) -> None:
        start = datetime(2026, 3, 28, 12, tzinfo=UTC)  # of the day before clocks are put forward
        client._now = lambda: start  # type: ignore[method-assign]  # a clock of its own
        rule = Cron("30 * * * *", timezone="Europe/Berlin")
        await put(store, *(series(rule, start + HOUR / 2, id=f"{n}") for n in range(3)))
        found = await client.forecast(start + DAY, buckets=24)
        assert {each.series for each in found.buckets} == {3}

    async def test_too_many_fires_to_find_one_by_one(
        self, client: Client, store: MemoryStore
    ) -> None:
        await put(store, series(Cron("* * * * * *"), NOW + SECOND))
        found = await client.forecast(NOW + 20_000 * SECOND, buckets=4)
        assert [each.series for each in found.buckets] == [5000, 5000, 0, 0]
        assert [each.at_least for each in found.buckets] == [False, False, True, True]
        assert not found.complete

    async def test_counts_stop_and_say_so(self, client: Client) -> None:
        many = [Message("mail", scheduled_at=NOW + SECOND) for _ in range(10_001)]
        await client.schedule_many(many, atomic=False)
        found = await client.forecast(NOW + MINUTE, buckets=2)
        assert [(each.once, each.at_least) for each in found.buckets] == [
            (10_000, True),
            (0, False),
        ]
        assert not found.complete

    async def test_a_store_without_an_index_is_looked_through(self, store: MemoryStore) -> None:
        plain: Any = _without(store)
        messages = [Message("mail", scheduled_at=NOW + n * SECOND) for n in range(1, 101)]
        await put(store, *messages, series(Every(MINUTE), NOW + SECOND))
        async with client_of(plain) as client:
            found = await client.forecast(NOW + 100 * SECOND, buckets=2)
            assert summed(found) == [(0, 0, 0), (50, 1, 0), (50, 1, 0)]
            assert (found.looked_at, found.complete) == (101, True)
            with pytest.raises(Unsupported, match="index"):
                await client.names()

    @pytest.mark.parametrize(
        ("until", "buckets"),
        [(NOW, 60), (NOW - SECOND, 60), (NOW + HOUR, 0), (NOW + HOUR, 1001), (NOW + HOUR, "6"),
         ("soon", 1), (datetime(2031, 1, 1), 1)],  # a naive one is refused
    )  # fmt: skip
    async def test_what_cannot_be_asked(self, client: Client, until: Any, buckets: Any) -> None:
        with pytest.raises(InvalidArgument):
            await client.forecast(until, buckets=buckets)

    @pytest.mark.parametrize(
        "answer",
        [None, [1, 2], DueCounts(in_line=[1], retries=[0], aside=0, series=[], looked_at=0, complete=True),
         DueCounts(in_line=[1, 1], retries=[0, 0], aside=0, series=["a"], looked_at=0, complete=True)],  # type: ignore[list-item]  # a wrong answer
    )  # fmt: skip
    async def test_a_wrong_answer(self, client: Client, store: MemoryStore, answer: Any) -> None:
        async def due_counts(*_: Any, **__: Any) -> Any:
            return answer

        store.due_counts = due_counts  # type: ignore[method-assign]  # a store with a bug
        with pytest.raises(StoreError, match="due_counts"):
            await client.forecast(NOW + HOUR, buckets=1)


class TestNames:
    async def test_pages(self, client: Client, store: MemoryStore) -> None:
        await put(store, *(Message(name, scheduled_at=NOW) for name in ("b", "a", "c", "a")))
        assert await client.names(limit=2) == [
            NameStats(name="a", scheduled=2, due=2, oldest=NOW),
            NameStats(name="b", scheduled=1, due=1, oldest=NOW),
        ]
        assert [each.name for each in await client.names(after="b")] == ["c"]
        assert await client.names(after="c") == []

    @pytest.mark.parametrize(
        "arguments", [{"limit": 0}, {"limit": 1001}, {"after": 5}, {"after": "\ud800"}]
    )
    async def test_what_cannot_be_asked(self, client: Client, arguments: dict[str, Any]) -> None:
        with pytest.raises(InvalidArgument):
            await client.names(**arguments)

    @pytest.mark.parametrize(
        "answer", [None, ["a"], [NameStats(name="a")], [NameStats(name="c")] * 2]
    )
    async def test_a_wrong_answer(self, client: Client, store: MemoryStore, answer: Any) -> None:
        async def names(*_: Any, **__: Any) -> Any:
            return answer

        store.names = names  # type: ignore[method-assign]  # a store with a bug
        with pytest.raises(StoreError, match="names"):
            await client.names(after="b")


def _without(store: MemoryStore) -> Any:
    """A store with the verbs of the contract alone."""

    class Plain:
        def __getattr__(self, name: str) -> Any:
            if name in ("due_counts", "names"):
                raise AttributeError(name)
            return getattr(store, name)

    return Plain()
