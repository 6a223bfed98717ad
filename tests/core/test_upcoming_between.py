"""What will fire in a window to come: by indexes of what is due, just what going through finds."""

import random
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.core.engine_kit import at, message

import duly
from duly import Client, Cron, Every, Filter, Message, Phase, State
from duly._caller import between, overview
from duly.memory import MemoryStore
from duly.message import with_changes
from duly.store import (
    Batch,
    Bury,
    Counters,
    Due,
    Group,
    Release,
    Reschedule,
    Settle,
    Store,
    SupportsEnsure,
)
from duly.testing.clock import HandClock
from duly_sqlite import SQLiteStore

SECOND = timedelta(seconds=1)
NAMES = ["orders.paid", "orders.sent", "mail"]
FILTERS = [
    Filter(),
    Filter(event_name="orders.*"),
    Filter(event_name="mail"),
    Filter(metadata={"odd": "1"}),
    Filter(id_prefix="1"),
    Filter(state=State.SCHEDULED),
    Filter(state=State.CLAIMED),
    Filter(state=State.DEAD),
    Filter(phase=Phase.RETRYING),
    Filter(before=at(150)),
    Filter(after=at(60), due_before=at(300)),
    Filter(ids=["1", "12", "40"]),
]


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    clock = HandClock()
    store: Store = (
        MemoryStore(clock=clock)
        if request.param == "memory"
        else SQLiteStore(tmp_path / "duly.db", clock=clock)
    )
    await store.open()
    yield store
    await store.close()


def anything(dice: random.Random, id: str) -> Message:
    """A message that waits once or recurs."""
    rule: Any = None
    if dice.random() < 0.4:
        more: dict[str, Any] = {
            "missed": dice.choice(["once", "all", "skip"]),
            "max_occurrences": dice.choice([None, None, dice.randint(1, 20)]),
            "until": dice.choice([None, None, at(dice.randint(400, 800))]),
            "grace": dice.choice([0, 30]) * SECOND,
        }
        if dice.random() < 0.3:
            rule = Cron(dice.choice(["* * * * *", "*/2 * * * *"]), **more)
        else:
            every = dice.randint(20, 90)
            rule = Every(every * SECOND, jitter=dice.choice([0, every // 2]) * SECOND, **more)
    return message(
        dice.choice(NAMES),
        id=id,
        due=dice.randint(-400, 400),
        metadata={"odd": str(dice.randint(0, 1))},
        recurrence=rule,
    )


async def live(dice: random.Random, store: Store) -> None:
    """Store messages, and let some be claimed, retried, put back, buried, followed and moved."""
    for start in range(0, 70, 10):
        stored = [anything(dice, f"{number}") for number in range(start, start + 10)]
        for place, each in enumerate(stored):
            if dice.random() < 0.2:
                due = each.scheduled_at + dice.randint(1, 400) * SECOND
                stored[place] = with_changes(each, retry_count=1, next_attempt_at=due)
        await fill(store, *stored)
    for _ in range(4):
        await settle(dice, store, await store.claim(limit=6, lease=3600 * SECOND, owner="test"))
    assert isinstance(store, SupportsEnsure)
    for number in range(70):  # what is claimed, or was tried, is followed by what is declared now
        kept, wanted = await store.get(f"{number}"), anything(dice, f"{number}")
        if kept is not None and kept.recurrence and wanted.recurrence and dice.random() < 0.7:
            await store.ensure([wanted])
    for number in dice.sample(range(70), 8):
        moment = at(dice.randint(1, 400))
        await store.reschedule(f"{number}", moment, of_state=State.SCHEDULED)


async def settle(dice: random.Random, store: Store, batch: Batch) -> None:
    outcomes: dict[Any, Any] = {}
    for claim in batch.claims:
        counters = Counters(
            scheduled_at=claim.message.scheduled_at,
            retry_count=1,
            occurrence_count=claim.message.occurrence_count,
            last_error="x",
            postpone_count=dice.randint(0, 1),
        )
        outcomes[claim.key] = dice.choice(
            [
                Release(at(-1)),
                Release(at(dice.randint(1, 400))),
                Bury("x"),
                Reschedule(at(dice.randint(1, 400)), counters),
                None,
            ]
        )
    settled = {key: each for key, each in outcomes.items() if each is not None}
    if batch.token is not None and settled:
        only = [*settled] if len(settled) < len(outcomes) else None
        assert await store.settle([Settle(batch.token, settled, only=only)]) == [True]


async def fill(store: Store, *messages: Message) -> None:
    assert await store.put([Group(messages, as_is=True)]) == [None]


async def by_going_through(
    monkeypatch: pytest.MonkeyPatch, client: Client, *asked: Any, **more: Any
) -> Sequence[duly.Upcoming]:
    async def nothing(*_: Any, **__: Any) -> None:
        return None

    with monkeypatch.context() as patch:
        patch.setattr(overview, "found_between", nothing)
        return await client.upcoming(*asked, **more)


def told(found: Sequence[duly.Upcoming]) -> Sequence[tuple[datetime, str, Any]]:
    return [(each.at, each.message.id, each.message.recurrence) for each in found]


@pytest.mark.parametrize("seed", range(25))
async def test_it_is_what_going_through_all_finds(
    monkeypatch: pytest.MonkeyPatch, store: Store, seed: int
) -> None:
    dice = random.Random(seed)
    monkeypatch.setattr(between, "_PAGE", dice.choice([1, 3, 8, 500]))
    await live(dice, store)
    async with Client(store, load_plugins=False) as client:
        client._now = lambda: at(0)  # type: ignore[method-assign]  # the store's
        for filter in FILTERS:
            since = dice.choice([None, at(-5), at(0), at(1), at(dice.randint(1, 300))])
            until = at(dice.randint(0, 420))
            for limit in (1, dice.randint(2, 40), 1000):
                asked: dict[str, Any] = {"since": since, "filter": filter, "limit": limit}
                found = await client.upcoming(until, **asked)
                expected = await by_going_through(monkeypatch, client, until, **asked)
                assert told(found) == told(expected), (filter, since, until, limit)


class Counting(MemoryStore):
    """Counts what it is asked."""

    def __init__(self) -> None:
        super().__init__(clock=HandClock())
        self.listed, self.asked = 0, list[int]()

    async def list(self, *asked: Any, **more: Any) -> Sequence[Message]:
        self.listed += 1
        return await super().list(*asked, **more)

    async def due_between(self, since: datetime, until: datetime, *, limit: int) -> Sequence[Due]:
        found = await super().due_between(since, until, limit=limit)
        self.asked.append(len(found))
        return found


class TestIndexes:
    @pytest.fixture
    def store(self) -> Counting:
        return Counting()

    @pytest.fixture
    async def client(self, store: Counting) -> AsyncIterator[Client]:
        async with Client(store, load_plugins=False) as client:
            client._now = lambda: at(0)  # type: ignore[method-assign]  # the store's
            yield client

    async def test_what_is_scheduled_before_is_not_looked_at(
        self, client: Client, store: Counting
    ) -> None:
        await fill(store, *(message(id=f"{n:04}", due=n) for n in range(3000)))
        found = await client.upcoming(at(9999), since=at(1000), limit=3)
        assert [each.message.id for each in found] == ["1000", "1001", "1002"]
        assert (store.listed, store.asked) == (0, [500])
        with pytest.raises(duly.InvalidMessage, match="without its payload"):
            found[0].message.payload  # noqa: B018  # it is enough to ask

    async def test_what_matches_seldom_is_looked_for_page_by_page(
        self, client: Client, store: Counting
    ) -> None:
        await fill(store, *(message(id=f"{n:04}", due=n) for n in range(1, 1200)))
        found = await client.upcoming(at(9999), since=at(1), filter=Filter(id_prefix="119"))
        assert [each.message.id for each in found] == [f"{n}" for n in range(1190, 1200)]
        assert (store.listed, store.asked) == (0, [500, 500, 201])  # each begins with the last

    async def test_very_many_at_one_moment_are_gone_through(
        self, client: Client, store: Counting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(between, "_MOST_AT_ONCE", 2000)
        await fill(store, *(message(id=f"{n:04}", due=9) for n in reversed(range(1999))))
        found = await client.upcoming(at(9), since=at(9), limit=2)
        assert [each.message.id for each in found] == ["0000", "0001"]
        assert (store.listed, store.asked) == (0, [500, 1000, 1999])
        await fill(store, message(id="more", due=9))
        assert len(await client.upcoming(at(9), since=at(9))) == 1000
        assert store.listed

    async def test_more_series_than_are_looked_at_are_gone_through(
        self, client: Client, store: Counting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(between, "_SERIES", 2)
        minute = Every(60 * SECOND)
        await fill(store, *(message(id=id, due=1, recurrence=minute) for id in "abc"))
        found = await client.upcoming(at(61), since=at(61))
        assert [each.message.id for each in found] == ["a", "b", "c"]
        assert store.listed

    async def test_from_now_on_all_is_gone_through(self, client: Client, store: Counting) -> None:
        """What was put back for later waits there, and is told as due now."""
        await fill(store, message(id="a", due=0))
        assert len(await client.upcoming(at(9), since=at(0))) == 1
        assert store.asked == []

    @pytest.mark.parametrize("since", [0, 1])
    @pytest.mark.parametrize("limit", [1, 2, 3])
    async def test_equal_fires_come_by_their_ids(
        self, client: Client, store: Counting, since: int, limit: int
    ) -> None:
        retried = with_changes(message(id="c", due=2), retry_count=1, next_attempt_at=at(9))
        series = message(id="b", due=4, recurrence=Every(5 * SECOND))
        await fill(store, retried, series, message(id="a", due=9))
        found = await client.upcoming(at(9), since=at(8 * since), limit=limit + 1 - since)
        told = ["b", "a", "b", "c"][since:]
        assert [each.message.id for each in found] == told[: limit + 1 - since]

    @pytest.mark.parametrize("answer", [None, [None], [Due(message=message(), due_at=at(3))]])
    async def test_odd_answers_are_errors(
        self, client: Client, store: Counting, answer: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def due_between(*_: Any, **__: Any) -> Any:
            return answer

        monkeypatch.setattr(store, "due_between", due_between)
        with pytest.raises(duly.StoreError, match=r"due_between\(\) returned"):
            await client.upcoming(at(2), since=at(1))
