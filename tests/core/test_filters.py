"""Filters: what each word means, and that core keeps to all of them whatever a store knows."""

import fnmatch
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from tests.core.engine_kit import at, message

import duly
from duly import Client, Filter, InvalidArgument, InvalidMessage, Message, Phase, State
from duly._engine.lanes import Lanes
from duly._values.matching import matches, phase_of
from duly._values.patterns import best_match, matches_name
from duly.memory import MemoryStore
from duly.message import with_changes
from duly.store import Group
from duly.testing.clock import HandClock

NAMES = ["orders", "orders.paid", "orders.paid.late", "ordersx", "mail.send", "mail"]
ERRORS = [None, "Rejected: no [such] house", "ValueError: x", "Rejected: other"]


class Narrow(MemoryStore):
    """Knows no word of a filter but the first ones, and forgets nothing that it is given."""

    asked: list[Filter]

    def __init__(self) -> None:
        super().__init__(clock=HandClock())
        self.asked = []

    async def list(
        self, filter: Filter, *, from_key: tuple[datetime, str] | None = None
    ) -> Sequence[Message]:
        self.asked.append(filter)
        known = Filter(
            event_name=filter.event_name, before=filter.before, after=filter.after,
            state=filter.state, limit=filter.limit, offset=filter.offset,
        )  # fmt: skip
        return await super().list(known, from_key=from_key)


@pytest.fixture
def store() -> Narrow:
    return Narrow()


@pytest.fixture
async def client(store: Narrow) -> AsyncIterator[Client]:
    async with Client(store, load_plugins=False) as client:
        yield client


def letter(name: str = "mail", due: float = 0, died: float = 0, **more: Any) -> Message:
    """A dead letter, to be stored as it is."""
    changes = {
        "state": State.DEAD,
        "died_at": at(died),
        "last_error": more.pop("last_error", "Rejected: x"),
        "error_class": more.pop("error_class", "Rejected"),
    }
    return with_changes(message(name, due, **more), **changes)


def retrying(id: str, due: float, again: float, error: str = "ValueError: x") -> Message:
    made = message("mail", due, id=id)
    return with_changes(made, next_attempt_at=at(again), retry_count=1, last_error=error)


async def fill(store: MemoryStore, *messages: Message) -> None:
    assert list(await store.put([Group(messages, as_is=True)])) == [None]


async def ids(client: Client, **words: Any) -> list[str]:
    return [found.id for found in await client.list(Filter(**words))]


class TestWords:
    async def test_a_prefix_of_the_id(self, client: Client, store: Narrow) -> None:
        await fill(store, *(message(id=id) for id in ("a:1", "a:2", "b:1", "a")))
        assert await ids(client, id_prefix="a:") == ["a:1", "a:2"]
        assert await ids(client, id_prefix="") == ["a", "a:1", "a:2", "b:1"]

    async def test_a_prefix_of_the_event_name(self, client: Client, store: Narrow) -> None:
        await fill(store, *(message(name, id=name) for name in NAMES))
        assert await ids(client, event_name="orders.*") == ["orders.paid", "orders.paid.late"]
        assert await ids(client, event_name="orders.paid") == ["orders.paid"]
        assert await ids(client, event_name="*") == sorted(NAMES)
        assert await ids(client, event_name="orders*") == []

    async def test_metadata(self, client: Client, store: Narrow) -> None:
        await fill(
            store,
            message(id="a", metadata={"tenant": "acme", "x": "1"}),
            message(id="b", metadata={"tenant": "acme", "x": "2"}),
            message(id="c"),
        )
        assert await ids(client, metadata={"tenant": "acme"}) == ["a", "b"]
        assert await ids(client, metadata={"tenant": "acme", "x": "2"}) == ["b"]
        assert await ids(client, metadata={"y": ""}) == []

    async def test_errors(self, client: Client, store: Narrow) -> None:
        await fill(
            store,
            letter(id="a", last_error="Rejected: unknown column x"),
            letter(id="b", last_error="KeyError: 'x'", error_class="KeyError"),
            retrying("c", 0, 9, "Rejected: unknown column y"),
            message(id="d"),
        )
        assert await ids(client, error="*unknown column*") == ["a", "c"]
        assert await ids(client, error="*Unknown column*") == []
        assert await ids(client, error="KeyError: ?x?") == ["b"]
        assert await ids(client, error_class="KeyError") == ["b"]
        assert await ids(client, error_class="Rejected") == ["a"]

    async def test_a_retry_that_is_due_soon_is_found(self, client: Client, store: Narrow) -> None:
        await fill(store, retrying("a", -3600, 30), message("mail", 20, id="b"))
        assert await ids(client, due_after=at(10), due_before=at(30)) == ["a", "b"]
        assert await ids(client, due_after=at(25)) == ["a"]
        assert await ids(client, due_before=at(29.9)) == ["b"]

    async def test_when_it_died(self, client: Client, store: Narrow) -> None:
        await fill(store, letter(id="a", died=5), letter(id="b", died=9), message(id="c"))
        assert await ids(client, died_after=at(5), died_before=at(5)) == ["a"]
        assert await ids(client, died_after=at(6)) == ["b"]
        assert {each.state for each in store.asked} == {State.DEAD}  # no walk through all of it

    def test_what_stands_aside_cannot_be_asked_for(self) -> None:
        with pytest.raises(
            InvalidArgument, match="what stands aside, which is no part of a message: names"
        ):
            Filter(phase=Phase.ASIDE)

    async def test_phases(self, client: Client, store: Narrow) -> None:
        await fill(
            store,
            message(id="due", due=-1e9),
            message(id="later", due=1e9),
            letter(id="dead"),
            with_changes(retrying("retrying", -1e9, 1e9)),
            with_changes(retrying("due again", -1e9, -1e9)),
        )
        assert await ids(client, phase=Phase.DUE) == ["due", "due again"]
        assert await ids(client, phase=Phase.SCHEDULED) == ["later"]
        assert await ids(client, phase=Phase.RETRYING) == ["retrying"]
        assert await ids(client, phase=Phase.DEAD) == ["dead"]
        batch = await store.claim(limit=1, lease=timedelta(1), owner="x")
        assert await ids(client, phase=Phase.CLAIMED) == [batch.claims[0].message.id]

    async def test_ids(self, client: Client, store: Narrow) -> None:
        await fill(store, *(message(id=id, due=ord(id)) for id in "dcab"))
        assert await ids(client, ids=["c", "a", "x", "a"]) == ["a", "c"]
        assert not store.asked  # each was asked for by its id
        assert await ids(client, ids=["c", "a"], before=at(ord("b"))) == ["a"]
        assert await ids(client, ids=[]) == []

    async def test_of_ten_thousand_ids_none_is_compared_with_all_others(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = list[Filter]()

        def note(filter: Filter, *_: Any) -> bool:
            asked.append(filter)
            return True

        monkeypatch.setattr("duly._caller.walking.matches", note)
        await client.schedule(message(id="a"))
        assert await ids(client, ids=["a", *map(str, range(9999))]) == ["a"]
        assert [each.ids for each in asked] == [None]

    @pytest.mark.parametrize(
        ("order", "found"),
        [
            ("died_at", ["b", "c", "a", "d"]),
            ("-died_at", ["a", "c", "b", "d"]),
            ("-scheduled_at", ["d", "b", "a", "c"]),
            ("scheduled_at", ["c", "a", "b", "d"]),
            ("next_attempt_at", ["c", "a", "b", "d"]),
        ],
    )
    async def test_order(self, client: Client, store: Narrow, order: str, found: list[str]) -> None:
        await fill(
            store,
            letter(id="a", due=2, died=9),
            letter(id="b", due=3, died=5),
            letter(id="c", due=1, died=7),
            message(id="d", due=4),
        )
        assert await ids(client, order=order) == found
        assert await ids(client, order=order, limit=2, offset=1) == found[1:3]
        assert [each.id async for each in client.iterate(Filter(order=order))] == found

    async def test_limit_and_offset_count_what_matches(self, client: Client, store: Narrow) -> None:
        await fill(
            store, *(message(id=f"{n:04}", metadata={"odd": str(n % 2)}) for n in range(900))
        )
        odd = [f"{n:04}" for n in range(1, 900, 2)]
        for payload in (True, False):
            wanted = Filter(metadata={"odd": "1"}, limit=100, offset=300)
            found = await client.list(wanted, payload=payload)
            assert [each.id for each in found] == odd[300:400]
        assert await ids(client, metadata={"odd": "1"}) == odd
        assert await ids(client, metadata={"odd": "1"}, offset=449) == odd[449:]
        assert await ids(client, metadata={"odd": "1"}, offset=450) == []


class TestRefusals:
    @pytest.mark.parametrize(
        ("words", "told"),
        [
            ({"id_prefix": 5}, "id_prefix must be text"),
            ({"error": b"x"}, "error must be text"),
            ({"error_class": ValueError}, "error_class must be text"),
            ({"metadata": "x"}, "metadata must map text to text"),
            ({"metadata": {"a": 1}}, "metadata must map text to text"),
            ({"metadata": None}, "metadata must map text to text"),
            ({"ids": "abc"}, "ids must be a collection"),
            ({"ids": [1]}, "ids must hold texts"),
            ({"ids": [str(n) for n in range(10_001)]}, "ids may hold 10,000 ids, not 10,001"),
            ({"order": "payload"}, "order must be one of scheduled_at"),
            ({"order": "--died_at"}, "order must be one of"),
            ({"phase": "due"}, "phase must be a duly.Phase"),
            ({"due_before": 5}, "due_before must be a datetime"),
            ({"due_after": datetime(2030, 1, 1)}, "due_after is naive"),
            ({"died_before": "now"}, "died_before must be a datetime"),
            ({"died_after": 1.5}, "died_after must be a datetime"),
        ],
        ids=str,
    )
    def test_what_is_no_filter(self, words: dict[str, Any], told: str) -> None:
        with pytest.raises(InvalidArgument, match=told):
            Filter(**words)

    @pytest.mark.parametrize("name", ["*", "orders.*", ".*"])
    def test_a_name_for_many_is_no_name_for_one(self, name: str) -> None:
        with pytest.raises(InvalidMessage, match="stands for many names"):
            message(name)
        assert Filter(event_name=name).event_name == name

    def test_a_filter_can_be_compared_hashed_and_copied(self) -> None:
        import copy
        import pickle

        made = Filter(metadata={"a": "b"}, ids=["x", "y", "x"], order="-died_at")
        assert made.ids == ("x", "y")
        for each in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
            assert each == made
            assert hash(each) == hash(made)


class TestRemoving:
    """What a store does not know must never remove too much."""

    async def test_cancel_many_removes_just_what_matches(
        self, client: Client, store: Narrow
    ) -> None:
        await fill(store, *(message(name, id=name) for name in NAMES), letter(id="dead"))
        assert await client.cancel_many(Filter(event_name="orders.*")) == 2
        assert await client.cancel_many(Filter(metadata={"a": "b"})) == 0
        assert await client.cancel_many(Filter(error_class="Other")) == 0
        assert await ids(client) == ["dead", "mail", "mail.send", "orders", "ordersx"]

    async def test_purge_removes_just_what_matches(self, client: Client, store: Narrow) -> None:
        await fill(store, letter(id="a", died=1), letter(id="b", died=9), retrying("c", 0, 5))
        assert await client.purge(Filter(error="*x")) == 2
        await fill(store, letter(id="a", died=1), letter(id="b", died=9))
        assert await client.purge(Filter(died_before=at(5))) == 1
        for all_of_them in (Filter(phase=Phase.DEAD), Filter(phase=Phase.DEAD, state=State.DEAD)):
            with pytest.raises(InvalidArgument, match="everything=True"):
                await client.purge(all_of_them)
        assert await client.purge(Filter(phase=Phase.DEAD), everything=True) == 1
        assert await ids(client) == ["c"]

    @pytest.mark.parametrize(
        "wanted",
        [Filter(error_class="Rejected"), Filter(died_after=at(0)), Filter(died_before=at(9))],
    )
    async def test_a_dead_letter_that_is_replayed_meanwhile_stays(self, wanted: Filter) -> None:
        class Hasty(Narrow):
            async def cancel(self, ids: Sequence[str], **more: Any) -> Sequence[State | None]:
                await self.reschedule("a", None, of_state=State.DEAD)
                return await super().cancel(ids, **more)

        store = Hasty()
        await fill(store, letter(id="a", died=1), letter(id="b", died=1))
        async with Client(store, load_plugins=False) as client:
            assert await client.cancel_many(wanted) == 1
            assert await ids(client) == ["a"]

    async def test_by_ids(self, client: Client, store: Narrow) -> None:
        await fill(store, *(message(id=f"{n}") for n in range(1200)), letter(id="dead"))
        batch = await store.claim(limit=1, lease=timedelta(1), owner="x")
        held = batch.claims[0].message.id
        wanted = [f"{n}" for n in range(1000)] + ["dead", "unknown", held, held]
        assert await client.cancel_many(ids=wanted) == 1001 - (int(held) < 1000)
        assert await client.cancel_many(ids=wanted) == 0
        assert await client.cancel_many(ids=[]) == 0
        assert (await client.stats()).scheduled == 200 - (int(held) >= 1000)

    @pytest.mark.parametrize(
        ("asked", "told"),
        [
            ({}, "one of them"),
            ({"filter": Filter(state=State.DEAD), "ids": ["a"]}, "one of them"),
            ({"ids": "abc"}, "collection of ids"),
            ({"ids": [5]}, "a message id is text"),
            ({"filter": Filter()}, "would cancel everything"),
            ({"filter": Filter(id_prefix="", metadata={})}, "would cancel everything"),
            ({"filter": Filter(id_prefix="a", limit=1)}, "takes no limit"),
            ({"filter": Filter(id_prefix="a", order="died_at")}, "takes no limit, offset or order"),
        ],
        ids=str,
    )
    async def test_refused(self, client: Client, asked: dict[str, Any], told: str) -> None:
        with pytest.raises(InvalidArgument, match=told):
            await client.cancel_many(**asked)


texts = st.sampled_from(["", "a", "ab", "b", "abc"])
moments = st.none() | st.integers(-3, 9).map(at)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_list_is_what_a_plain_scan_finds(data: st.DataObject) -> None:
    """Of random messages and random filters, on a store that knows the first words alone."""
    import asyncio

    made: list[Message] = []
    for number in range(data.draw(st.integers(0, 12))):
        due = data.draw(st.integers(-3, 9))
        one = message(
            data.draw(st.sampled_from(NAMES)), due, id=data.draw(texts) + f"{number}",
            metadata=data.draw(st.dictionaries(texts, texts, max_size=2)), created_at=at(number),
        )  # fmt: skip
        kind = data.draw(st.sampled_from(["plain", "retry", "dead"]))
        error = data.draw(st.sampled_from(ERRORS))
        if kind == "retry":
            again = at(data.draw(st.integers(due, 12)))
            one = with_changes(one, retry_count=1, last_error=error, next_attempt_at=again)
        elif kind == "dead":
            died, name = data.draw(moments), data.draw(st.sampled_from([None, "Rejected"]))
            one = with_changes(
                one, state=State.DEAD, last_error=error, died_at=died, error_class=name
            )
        made.append(one)
    filter = Filter(
        event_name=data.draw(st.none() | st.sampled_from([*NAMES, "orders.*", "mail.*", "*"])),
        before=data.draw(moments), after=data.draw(moments),
        due_before=data.draw(moments), due_after=data.draw(moments),
        died_before=data.draw(moments), died_after=data.draw(moments),
        state=data.draw(st.none() | st.sampled_from(State)),
        phase=data.draw(st.none() | st.sampled_from([each for each in Phase if each is not Phase.ASIDE])),
        id_prefix=data.draw(st.none() | texts), error_class=data.draw(st.none() | st.just("Rejected")),
        error=data.draw(st.none() | st.sampled_from(["Rejected*", "*[[]such]*", "*"])),
        metadata=data.draw(st.dictionaries(texts, texts, max_size=1)),
        ids=data.draw(st.none() | st.just([each.id for each in made[::2]])),
        order=data.draw(st.none() | st.sampled_from(["-died_at", "created_at", "-next_attempt_at"])),
        limit=data.draw(st.none() | st.integers(1, 5)), offset=data.draw(st.integers(0, 3)),
    )  # fmt: skip

    async def listed() -> Sequence[Message]:
        store = Narrow()
        await fill(store, *made)
        async with Client(store, load_plugins=False) as client:
            client._now = lambda: at(3)  # type: ignore[method-assign]  # what is due depends on it
            return await client.list(filter)

    matching = sorted(
        (each for each in made if matches(filter, each, at(3))),
        key=lambda each: (each.scheduled_at, each.id),
    )
    if filter.order is not None:
        name, sign = filter.order.removeprefix("-"), -1 if filter.order.startswith("-") else 1
        matching.sort(
            key=lambda each: (
                (moment := getattr(each, name)) is None,
                0 if moment is None else sign * moment.timestamp(),
                each.id,
            )
        )
    wanted = matching[filter.offset :][: filter.limit]
    assert [each.id for each in asyncio.run(listed())] == [each.id for each in wanted]


@given(st.text(max_size=9), st.sampled_from(["*", "a*", "?", "[a-c]*", "*.*", "[!a]*"]))
def test_a_pattern_of_errors_is_that_of_file_names(text: str, pattern: str) -> None:
    dead = with_changes(message(), last_error=text)
    assert matches(Filter(error=pattern), dead, at(0)) == fnmatch.fnmatchcase(text, pattern)


def test_phases_of_a_moment() -> None:
    made = retrying("a", 0, 5)
    assert [phase_of(made, at(now)) for now in (4, 5)] == [Phase.RETRYING, Phase.DUE]
    plain = message(due=5)
    assert [phase_of(plain, at(now)) for now in (4, 5)] == [Phase.SCHEDULED, Phase.DUE]
    for state in (State.CLAIMED, State.DEAD):
        assert phase_of(with_changes(made, state=state), at(9)).value == state.value
    assert {phase.state for phase in Phase} == {*State}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("orders.paid", "exact"),
        ("orders.paid.late", "longer"),
        ("orders.new", "shorter"),
        ("orders", "all"),
        ("mail", "all"),
        ("orders.paidx", "shorter"),
        ("", "all"),
    ],
)
def test_an_exact_name_before_a_longer_before_a_shorter_prefix(name: str, found: str) -> None:
    patterns = {
        "orders.paid": "exact",
        "orders.paid.*": "longer",
        "orders.*": "shorter",
        "*": "all",
    }
    assert best_match(patterns, name) == found
    assert best_match({}, name) is None
    best = [each for each in patterns if matches_name(each, name)]
    assert patterns[max(best, key=lambda each: (not each.endswith("*"), len(each)))] == found


async def test_a_handler_for_a_prefix() -> None:
    transport, got = duly.LocalTransport(), list[tuple[str, str]]()

    def handler(name: str) -> None:
        @transport.on(name)
        async def take(envelope: duly.Envelope) -> None:
            got.append((name, envelope.event_name))

    for name in ("orders.*", "orders.paid", "orders.paid.*"):
        handler(name)
    for name in ("orders.paid", "orders.new", "orders.paid.late"):
        await transport.publish(duly.Envelope(message_id="a", event_name=name, scheduled_at=at(0)))
    assert got == [
        ("orders.paid", "orders.paid"),
        ("orders.*", "orders.new"),
        ("orders.paid.*", "orders.paid.late"),
    ]
    with pytest.raises(duly.TransportError, match="no handler is registered for 'mail'"):
        await transport.publish(
            duly.Envelope(message_id="a", event_name="mail", scheduled_at=at(0))
        )
    handler("*")
    await transport.publish(duly.Envelope(message_id="a", event_name="mail", scheduled_at=at(0)))
    assert got[-1] == ("*", "mail")
    with pytest.raises(InvalidArgument, match="has a handler already"):
        handler("orders.*")


def test_a_plain_handler_for_a_prefix_does_not_limit_async_ones() -> None:
    transport = duly.LocalTransport()
    transport.on("orders.*")(print)

    @transport.on("orders.paid")
    @transport.on("orders.new.*")
    async def paid(envelope: duly.Envelope) -> None: ...

    limits = transport.limits()
    assert limits.by_name["orders.*"] == 8
    assert limits.by_name["orders.paid"] >= 1000
    assert limits.by_name["orders.new.*"] >= 1000


def test_all_plain_handlers_for_prefixes_share_the_threads() -> None:
    transport = duly.LocalTransport()
    for n in range(9):
        transport.on(f"{n}.*")(print)
    transport.on("9")(print)
    lanes: Lanes[Any] = Lanes(100, 100, transport.limits())
    lanes.add([SimpleNamespace(name=f"{n}.{m}") for n in range(9) for m in range(9)], 0)
    lanes.add([SimpleNamespace(name="9")], 0)
    taken = 0
    while lanes.take(0) is not None:
        taken += 1
    assert taken == 12


def test_it_shows_what_was_given() -> None:
    assert repr(Filter()) == "Filter()"
    assert repr(Filter(event_name="orders.*", limit=5)) == "Filter(event_name='orders.*', limit=5)"
    assert "'tenant': 'blue'" in repr(Filter(metadata={"tenant": "blue"}))
