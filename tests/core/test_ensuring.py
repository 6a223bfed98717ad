"""``ensure`` and ``declare`` as a service calls them, and what an engine makes of it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    WatchedStore,
    at,
    delivering,
    emptied,
    message,
    now,
    until,
)

import duly
from duly import (
    Client,
    Cron,
    DuplicateMessage,
    Ensured,
    Every,
    InvalidArgument,
    InvalidMessage,
    Message,
    StoreUnavailable,
    Unsupported,
    hookimpl,
)
from duly.memory import MemoryStore
from duly.record import from_record, successor_of, successor_text, to_record
from duly.store import Declared, Successor, SupportsEnsure, SupportsWhere
from duly.testing.clock import HandClock, run_virtually

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


class Noting:
    """A plugin that notes what became of series."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Ensured]] = []
        self.cancelled: list[str] = []

    @hookimpl
    def duly_ensured(self, messages: Any, outcomes: Any) -> None:
        self.told += [(each.id, what) for each, what in zip(messages, outcomes, strict=True)]

    @hookimpl
    def duly_cancelled(self, message_ids: Any) -> None:
        self.cancelled += message_ids


@pytest.fixture
def noting() -> Noting:
    return Noting()


@pytest.fixture
async def client(noting: Noting) -> AsyncIterator[Client]:
    store = MemoryStore(clock=HandClock())
    async with Client(store, plugins=[noting], load_plugins=False) as client:
        yield client


def series(id: str = "s", payload: bytes = b"", **more: Any) -> Message:
    more.setdefault("recurrence", Every(HOUR))
    return Message("tick", payload, id=id, **more)


async def test_what_ensure_answers(client: Client, noting: Noting) -> None:
    assert await client.ensure(series()) is Ensured.STORED
    assert await client.ensure(series()) is Ensured.SAME
    assert await client.ensure(series(payload=b"new")) is Ensured.CHANGED
    over = Every(HOUR, until=datetime(2020, 1, 1, tzinfo=UTC))
    assert await client.ensure(series(recurrence=over)) is Ensured.ENDED
    assert await client.list() == []
    assert [what for _, what in noting.told] == [
        Ensured.STORED, Ensured.SAME, Ensured.CHANGED, Ensured.ENDED
    ]  # fmt: skip


async def test_an_id_that_is_taken(client: Client, noting: Noting) -> None:
    await client.schedule(message(id="s", due=60))
    with pytest.raises(DuplicateMessage, match="'s' is stored already, and is no series"):
        await client.ensure(series())
    assert noting.told == []


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: message(id="s"), "has no recurrence"),
        (lambda: series(scheduled_at=at(5)), "has scheduled_at, another one at each start"),
        (lambda: series(recurrence=Every(HOUR, max_occurrences=3)), "has max_occurrences"),
        (lambda: "s", "a message is a duly.Message"),
        (lambda: series(payload=b"x" * 2_000_000), "max_payload"),
        (lambda: Message("tick", recurrence=Every(HOUR)), "needs an id of its own"),
    ],
    ids=["one shot", "scheduled_at", "max_occurrences", "text", "large", "no id"],
)
async def test_refused(client: Client, made: Any, told: str) -> None:
    with pytest.raises(InvalidMessage, match=told):
        await client.ensure(made())
    with pytest.raises(InvalidMessage, match=told):
        await client.declare([made()], by="me", generation=1)
    assert await client.list() == []


async def test_an_id_that_only_looks_like_one_that_was_made(client: Client) -> None:
    for id in ("01890a5d-ac96-774b-bcce-b302099a8057", str(uuid.uuid4())):
        assert await client.ensure(series(id)) is Ensured.STORED


@pytest.mark.parametrize("claimed", [False, True])
async def test_what_will_fire_is_told_of_what_follows(claimed: bool) -> None:
    clock = HandClock()
    start = clock()
    store = MemoryStore(clock=clock)
    async with Client(store, load_plugins=False) as client:
        client._now = clock  # type: ignore[method-assign]  # the store's
        await client.ensure(series(recurrence=Every(10 * SECOND, anchor=start)))
        clock.advance(seconds=10)
        if claimed:
            await store.claim(limit=1, lease=HOUR, owner="x")
        await client.ensure(series(payload=b"new", recurrence=Every(7 * SECOND)))
        told = await client.upcoming(start + 40 * SECOND)
    fires = [(each.at - start).total_seconds() for each in told]
    assert fires == [10.0] * (not claimed) + [17.0, 24.0, 31.0, 38.0]
    assert told[-1].message.recurrence == Every(7 * SECOND)


async def test_what_was_listed_is_not_ensured(client: Client) -> None:
    """It tells a scheduled_at, and nobody knows whose it was."""
    await client.ensure(series())
    stored = await client.get("s")
    with pytest.raises(InvalidMessage, match="scheduled_at"):
        await client.ensure(from_record(to_record(stored), stored.state))


async def test_a_store_that_cannot() -> None:
    async with Client(WatchedStore(), load_plugins=False) as client:
        with pytest.raises(Unsupported, match="cannot ensure or declare"):
            await client.ensure(series())
        with pytest.raises(Unsupported, match="cannot ensure or declare"):
            await client.declare([], by="me", generation=1)


async def test_declare_and_drop(client: Client, noting: Noting) -> None:
    first = await client.declare([series("a"), series("b")], by="billing", generation=1)
    assert first == {"a": Ensured.STORED, "b": Ensured.STORED}
    second = await client.declare([series("b"), series("c")], by="billing", generation=2)
    assert second == {"b": Ensured.SAME, "c": Ensured.STORED}
    assert noting.cancelled == ["a"]
    late = await client.declare([series("a")], by="billing", generation=1)
    assert late == {"a": Ensured.OLDER}
    assert [each.id for each in await client.list()] == ["b", "c"]
    assert await client.declare([], by="billing", generation=3) == {}
    assert await client.list() == []
    assert sorted(noting.cancelled) == ["a", "b", "c"]


async def test_declare_goes_on_beside_an_id_that_is_taken(client: Client) -> None:
    await client.declare([series("a"), series("b")], by="billing", generation=1)
    await client.schedule(message(id="c", due=60))
    with pytest.raises(DuplicateMessage, match="'c'"):
        await client.declare([series("b"), series("c")], by="billing", generation=2)
    assert sorted(each.id for each in await client.list()) == ["b", "c"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"by": "", "generation": 1}, "by must have 1 to 255"),
        ({"by": 5, "generation": 1}, "by must be text"),
        ({"by": "me", "generation": -1}, "generation must be from 0"),
        ({"by": "me", "generation": "1"}, "generation must be a whole number"),
        ({"by": "me", "generation": True}, "generation must be a whole number"),
    ],
    ids=str,
)
async def test_declare_refuses(client: Client, asked: Any, told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        await client.declare([], **asked)
    with pytest.raises(DuplicateMessage, match="given twice"):
        await client.declare([series("a"), series("a")], by="me", generation=1)
    with pytest.raises(InvalidArgument, match="^one declare takes at most 10,000 series"):
        await client.declare(map(series, map(str, range(10_001))), by="me", generation=1)


def test_blocking_code_has_both() -> None:
    with duly.sync.Client("memory://", load_plugins=False) as client:
        assert client.ensure(series()) is Ensured.STORED
        assert client.declare([series()], by="me", generation=1) == {"s": Ensured.SAME}
        assert client.declare([], by="me", generation=2) == {}
        assert client.list() == []


class EnsuringStore(WakingStore):
    """A waking store that hands on what is said of series."""

    async def ensure(self, wanted: Any, *, declared: Any = None) -> Any:
        assert isinstance(self.inner, SupportsEnsure)
        ensure = self.inner.ensure
        return await self._call("ensure", lambda: ensure(wanted, declared=declared))

    async def undeclare(self, by: str, generation: int) -> Any:
        assert isinstance(self.inner, SupportsEnsure)
        undeclare = self.inner.undeclare
        return await self._call("undeclare", lambda: undeclare(by, generation))

    async def where(self, id: str) -> Any:
        assert isinstance(self.inner, SupportsWhere)
        return await self.inner.where(id)


@run_virtually
async def test_a_deploy_loses_no_fire_and_doubles_none() -> None:
    """The rule changes while a fire is in flight; each moment of either comes once."""
    store = EnsuringStore()

    async def slow(envelope: duly.Envelope) -> None:
        await asyncio.sleep(3)

    transport = Probed(slow)
    async with delivering(store, transport) as running:
        await running.ensure(series(recurrence=Every(10 * SECOND, anchor=at(0))))
        await until(lambda: now() > 31)  # one is in flight since 30
        follows = series(payload=b"new", recurrence=Every(7 * SECOND, anchor=at(0)))
        assert await running.ensure(follows) is Ensured.FOLLOWS
        assert await running.ensure(follows) is Ensured.SAME
        assert (await running.where("s")).follows is not None
        await until(lambda: now() > 60)
        await running.cancel("s")
    fires = [(each.scheduled_at - at(0)).total_seconds() for _, each in transport.begun]
    assert fires == [10, 20, 30, 35, 42, 49, 56]
    assert [each.occurrence for _, each in transport.begun] == list(range(7))
    assert len({each.delivery_id for _, each in transport.begun}) == 7


@run_virtually
async def test_a_series_that_ends_while_another_follows_gives_way() -> None:
    store, transport = EnsuringStore(), Probed()
    async with delivering(store, transport) as running:
        ends = Every(10 * SECOND, anchor=at(0), until=at(20))
        await running.ensure(series(recurrence=ends))
        await until(lambda: now() > 5)
        await running.schedule(message(id="x"))  # something else is about
        await until(lambda: len(transport.ended) == 3)
        await emptied(store)
    assert len(transport.ended) == 3
    async with delivering(store, transport) as running:
        assert await running.ensure(series(recurrence=ends)) is Ensured.ENDED


@run_virtually
async def test_a_store_without_ensure_is_told_no_ends() -> None:
    store, transport = WakingStore(), Probed()
    async with delivering(store, transport) as running:
        await running.schedule(message(id="s", recurrence=Every(SECOND, max_occurrences=2)))
        await emptied(store)
    kinds = {type(how).__name__ for _, each in store.settles for how in each.exceptions.values()}
    assert kinds <= {"Reschedule"}


def test_what_follows_is_kept_as_text() -> None:
    successor = Successor(
        cut=at(1), at=at(2), event_name="t\u00fck", payload=b"\0\xff", metadata={"k": "\u00e4"},
        recurrence=Cron("0 2 * * *", timezone="Europe/Berlin", jitter=SECOND),
    )  # fmt: skip
    assert successor_of(successor_text(successor)) == successor
    ended = Successor(
        cut=at(1), at=None, event_name="t", payload=b"", metadata={}, recurrence=Every(HOUR)
    )
    assert successor_of(successor_text(ended)) == ended


class TestAnchor:
    def test_fires_are_whole_intervals_from_it(self) -> None:
        rule = Every(HOUR, anchor=at(-7 * 3600 + 60))
        assert rule.first(None, at(0)) == at(60)
        assert rule.first(at(60), at(0)) == at(60)
        assert rule.first(at(61), at(0)) == at(3660)
        assert rule.following(at(61)) == at(3660)
        assert rule.latest(at(60), at(9 * 3600)) == at(8 * 3600 + 60)
        assert rule.count(at(60), at(3660)) == 2
        assert rule.begins_after(at(60)) == at(3660)

    def test_one_to_come_counts_backwards(self) -> None:
        rule = Every(HOUR, anchor=at(100 * 3600))
        assert rule.first(None, at(30)) == at(3600)

    def test_at_the_ends_of_time(self) -> None:
        first, last = (moment.replace(tzinfo=UTC) for moment in (datetime.min, datetime.max))
        rule = Every(HOUR, anchor=at(0))
        assert rule.following(last) is None
        begin = rule.first(first, first)
        assert begin is None or begin >= first
        for interval in (timedelta.max, timedelta(days=3000 * 366)):
            seldom = Every(interval, anchor=at(0))
            assert seldom.latest(at(-9), at(-5)) == at(-9)
            assert seldom.following(at(-9)) == at(0)
            assert seldom.following(last) is None

    def test_it_is_kept_and_read(self) -> None:
        made = series(recurrence=Every(HOUR, anchor=at(7)))
        record = to_record(made)
        assert record.format == 2
        assert from_record(record, made.state).recurrence == made.recurrence

    @pytest.mark.parametrize("anchor", [5, "now", datetime(2030, 1, 1)], ids=str)
    def test_refused(self, anchor: Any) -> None:
        with pytest.raises(InvalidArgument, match="anchor"):
            Every(HOUR, anchor=anchor)


class HalfThere(MemoryStore):
    """Of two series it cannot reach the second."""

    half = False

    async def ensure(
        self, wanted: Sequence[Message], *, declared: Declared | None = None
    ) -> Sequence[Ensured | Exception]:
        if not self.half:
            return await super().ensure(wanted, declared=declared)
        first = await super().ensure(wanted[:1], declared=declared)
        return [*first, StoreUnavailable("gone")]


async def test_what_could_not_be_ensured_is_not_removed_for_that() -> None:
    store = HalfThere(clock=HandClock())
    async with Client(store, load_plugins=False) as client:
        both = [series("a"), series("b")]
        await client.declare(both, by="me", generation=1)
        store.half = True
        with pytest.raises(StoreUnavailable):
            await client.declare(both, by="me", generation=2)
        assert [each.id for each in await client.list()] == ["a", "b"]


class Counting(MemoryStore):
    """Notes how many series each call brings, and may learn of a newer generation in between."""

    def __init__(self) -> None:
        super().__init__(clock=HandClock())
        self.sizes: list[int] = []
        self.newer: Declared | None = None

    async def ensure(
        self, wanted: Sequence[Message], *, declared: Declared | None = None
    ) -> Sequence[Ensured | Exception]:
        self.sizes.append(len(wanted))
        outcomes = await super().ensure(wanted, declared=declared)
        if self.newer is not None:
            await super().ensure([], declared=self.newer)
        return outcomes


async def test_many_series_are_declared_in_several_calls(noting: Noting) -> None:
    """``store_timeout`` counts for each: ten thousand take a server longer than that."""
    store = Counting()
    many = [series(f"{number:04}") for number in range(241)]
    async with Client(store, plugins=[noting], load_plugins=False) as client:
        outcomes = await client.declare(many, by="me", generation=1)
        assert store.sizes == [100, 100, 41]
        assert [*outcomes] == [each.id for each in many]
        assert {*outcomes.values()} == {Ensured.STORED}
        assert noting.told == [(each.id, Ensured.STORED) for each in many]
        await client.declare([], by="me", generation=2)
        assert store.sizes == [100, 100, 41, 0]
        assert await client.list() == []


async def test_a_newer_generation_while_many_are_declared(noting: Noting) -> None:
    store = Counting()
    store.newer = Declared("me", 2)
    many = [series(f"{number:04}") for number in range(241)]
    async with Client(store, plugins=[noting], load_plugins=False) as client:
        outcomes = await client.declare(many, by="me", generation=1)
        assert {*outcomes.values()} == {Ensured.OLDER}
        assert store.sizes == [100, 100]
        kinds = [what for _, what in noting.told]
        assert kinds == [Ensured.STORED] * 100 + [Ensured.OLDER] * 141


async def test_what_has_ended_can_be_made_and_is_refused_where_it_is_scheduled(
    client: Client,
) -> None:
    over = series(recurrence=Every(HOUR, until=datetime(2020, 1, 1, tzinfo=UTC)))
    with pytest.raises(InvalidMessage, match="can never fire: its until has passed"):
        await client.schedule(over)
    with pytest.raises(InvalidMessage, match="can never fire"):
        await client.schedule_many([over])


@pytest.mark.parametrize(
    ("verb", "given", "said"),
    [
        ("ensure", None, "ensure() returned NoneType, not a sequence"),
        ("ensure", [], "ensure() returned 0 outcomes for 1"),
        ("ensure", ["stored"], "ensure() returned str for a series"),
        ("undeclare", None, "undeclare() returned NoneType"),
        ("undeclare", ["a"], "undeclare() returned str among its answers"),
        ("where", "here", "where() returned str, not Whereabouts"),
    ],
    ids=str,
)
async def test_a_store_that_answers_nonsense(verb: str, given: Any, said: str) -> None:
    class Mistaken(MemoryStore):
        pass

    async def nonsense(self: Any, *args: Any, **more: Any) -> Any:
        return given

    setattr(Mistaken, verb, nonsense)
    async with Client(Mistaken(), load_plugins=False) as client:
        with pytest.raises(duly.StoreError) as caught:
            if verb == "where":
                await client.where("a")
            else:
                await client.declare([series()], by="me", generation=1)
    assert said in str(caught.value)
