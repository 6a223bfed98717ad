"""The verbs of a caller, and what they refuse before anything is stored."""

import asyncio
import copy
import gc
import pickle
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest
from tests.core.engine_kit import WatchedStore, at, down, kill, message, messages, scheduler

import duly
from duly import (
    Backoff,
    Cancellation,
    Client,
    DuplicateMessage,
    Every,
    Filter,
    InvalidArgument,
    InvalidMessage,
    LocalTransport,
    Message,
    MessageNotFound,
    PartlyScheduled,
    PluginError,
    Scheduler,
    SchedulerStateError,
    State,
    StoreUnavailable,
    Unsupported,
    WrongState,
    hookimpl,
)
from duly._caller.arguments import as_id
from duly.errors import UnknownScheme
from duly.memory import MemoryStore
from duly.message import with_changes
from duly.record import to_record, unreadable
from duly.testing.clock import HandClock, run_virtually

SECOND = timedelta(seconds=1)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(clock=HandClock())


@pytest.fixture
async def client(store: MemoryStore) -> AsyncIterator[Client]:
    async with Client(store, load_plugins=False) as client:
        yield client


class Limited(MemoryStore):
    """Can be told how long its callers wait."""

    time_limit: timedelta | None = None


async def test_a_store_learns_the_shortest_time_that_its_clients_wait() -> None:
    store, told = Limited(), []
    for seconds in (9, 5, 7):
        async with Client(store, store_timeout=timedelta(seconds=seconds), load_plugins=False):
            told.append(store.time_limit)
    assert told == [9 * SECOND, 5 * SECOND, 5 * SECOND]


async def claimed(store: MemoryStore, *ids: str) -> None:
    """Have these messages claimed by somebody."""
    batch = await store.claim(limit=1000, lease=SECOND * 60, owner="somebody")
    assert {each.message.id for each in batch.claims} == {*ids}


# --- schedule


async def test_schedule_stores_and_tells_the_id(client: Client) -> None:
    assert await client.schedule(message(id="x")) == "x"
    assert (await client.get("x")).state is State.SCHEDULED
    made = Message("event", scheduled_at=duly.after(hours=1))
    assert await client.schedule(made) == made.id


async def test_an_id_that_is_taken_is_refused_unless_to_replace(client: Client) -> None:
    await client.schedule(message(id="x"))
    other = message(id="x", payload=b"2", created_at=at(1))
    with pytest.raises(DuplicateMessage, match="'x'"):
        await client.schedule(other)
    await client.schedule(other, replace=True)
    assert (await client.get("x")).payload == b"2"


async def test_what_was_in_a_store_before_is_scheduled_as_new(client: Client) -> None:
    used = with_changes(
        message(id="x", recurrence=Every(SECOND)),
        retry_count=3,
        occurrence_count=4,
        last_error="x",
        state=State.DEAD,
        next_attempt_at=at(99),
    )
    await client.schedule(used)
    new = await client.get("x")
    assert (new.retry_count, new.occurrence_count, new.last_error) == (0, 0, None)
    assert (new.state, new.next_attempt_at) == (State.SCHEDULED, at(0))
    moment = int(at(0).timestamp() * 1e6)
    assert new.delivery_id == f"x:{moment}:{moment}"


async def test_a_payload_beyond_the_limit_is_refused(store: MemoryStore) -> None:
    client = Client(store, max_payload=10, load_plugins=False)
    await client.schedule(message(payload=b"x" * 10))
    with pytest.raises(InvalidMessage, match="11 bytes, max_payload is 10"):
        await client.schedule(message(payload=b"x" * 11))


async def test_many_all_or_none(client: Client) -> None:
    some = messages(100)
    assert await client.schedule_many(some) == [each.id for each in some]
    assert await client.schedule_many(iter([])) == []
    with pytest.raises(DuplicateMessage):
        await client.schedule_many([message(id="new"), message(id="event-7", created_at=at(9))])
    with pytest.raises(DuplicateMessage, match="given twice"):
        await client.schedule_many([message(id="new"), message(id="new")])
    with pytest.raises(InvalidMessage):
        await client.schedule_many([message(id="new"), "no message"])  # type: ignore[list-item]  # refused
    with pytest.raises(MessageNotFound):
        await client.get("new")


async def test_many_all_or_none_has_its_bounds(store: MemoryStore) -> None:
    client = Client(store, max_payload=2**26, load_plugins=False)
    with pytest.raises(InvalidArgument, match="atomic=False"):
        await client.schedule_many(message(id=str(number)) for number in range(10_001))
    with pytest.raises(InvalidArgument, match="64 MiB"):
        await client.schedule_many(message(payload=each) for each in [bytes(2**25)] * 2 + [b"x"])
    assert (await client.stats()).scheduled == 0
    full = [message(id=f"full {n}", payload=bytes(2**25)) for n in range(2)]
    assert len(await client.schedule_many(full)) == 2
    assert len(await client.schedule_many(message(id=str(n)) for n in range(10_000))) == 10_000


async def test_any_number_each_on_its_own(client: Client) -> None:
    def some() -> Iterator[Message]:
        for number in range(1234):
            yield message(id=str(number))

    assert await client.schedule_many(some(), atomic=False) == [str(n) for n in range(1234)]


@run_virtually
async def test_each_on_its_own_is_sent_in_chunks() -> None:
    store = WatchedStore()
    client = Client(store, load_plugins=False)
    await client.schedule_many((message(id=str(n)) for n in range(1200)), atomic=False)
    assert store.count("put") == 3
    many = [message(id=f"big {n}", payload=bytes(2**20)) for n in range(20)]
    await client.schedule_many(many, atomic=False)
    assert store.count("put") == 3 + 3


async def test_each_on_its_own_tells_what_was_stored(client: Client) -> None:
    await client.schedule(message(id="taken"))
    some: list[Any] = [
        message(id="a"),
        message(id="taken", created_at=at(5)),
        message(id="b"),
        "no message",
        message(id="b"),
        message(id="c", payload=bytes(2**21)),
        message(id="d"),
    ]
    with pytest.raises(PartlyScheduled, match="3 messages are stored") as caught:
        await client.schedule_many(some, atomic=False)
    assert caught.value.stored_ids == ("a", "b", "d")
    assert isinstance(caught.value.__cause__, InvalidMessage)
    with pytest.raises(PartlyScheduled) as caught:
        await client.schedule_many([message(id="taken", created_at=at(5))], atomic=False)
    assert caught.value.stored_ids == ()
    assert isinstance(caught.value.__cause__, DuplicateMessage)
    with pytest.raises(PartlyScheduled):
        await client.schedule_many(["no message"], atomic=False)  # type: ignore[list-item]  # refused


@run_virtually
async def test_each_on_its_own_tells_what_was_stored_before_the_store_went_away() -> None:
    store = WatchedStore()
    client = Client(store, load_plugins=False)

    async def at_the_third(verb: str, done: bool) -> None:
        if store.count("put") == 3:
            raise StoreUnavailable("gone")

    store.faults.append(at_the_third)
    with pytest.raises(PartlyScheduled) as caught:
        await client.schedule_many((message(id=str(n)) for n in range(2000)), atomic=False)
    assert len(caught.value.stored_ids) == 1000
    assert isinstance(caught.value.__cause__, StoreUnavailable)


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.schedule("x"),
        lambda c: c.schedule(message(), replace=1),
        lambda c: c.schedule_many(message()),
        lambda c: c.schedule_many(5),
        lambda c: c.schedule_many([], atomic=0),
        lambda c: c.schedule_many([], replace=None),
        lambda c: c.schedule_many(None, atomic=False),
        lambda c: c.cancel(""),
        lambda c: c.cancel(5),
        lambda c: c.cancel("\udc80"),
        lambda c: c.cancel("x", missing_ok="yes"),
        lambda c: c.cancel_many(Filter()),
        lambda c: c.cancel_many(Filter(event_name="x", limit=1)),
        lambda c: c.cancel_many(Filter(event_name="x", offset=1)),
        lambda c: c.cancel_many("x"),
        lambda c: c.purge(Filter(state=State.SCHEDULED)),
        lambda c: c.purge(Filter(limit=1)),
        lambda c: c.purge(None),
        lambda c: c.reschedule("x", datetime(2030, 1, 1)),
        lambda c: c.reschedule("x", None),
        lambda c: c.reschedule(None, at(0)),
        lambda c: c.replay("x", at="now"),
        lambda c: c.replay(b"x"),
        lambda c: c.get(None),
        lambda c: c.list("x"),
        lambda c: c.migrate(dry_run=1),
    ],
)
async def test_bad_arguments_are_refused(client: Client, call: Any) -> None:
    with pytest.raises(InvalidArgument):
        await call(client)
    assert (await client.stats()).scheduled == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_payload": -1},
        {"max_payload": True},
        {"max_payload": 1.5},
        {"max_payload": 2**31},
        {"store_timeout": 5},
        {"store_timeout": timedelta(0)},
        {"plugins": "x"},
        {"load_plugins": 1},
    ],
)
def test_bad_settings_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        Client(MemoryStore(), **{"load_plugins": False, **arguments})


@pytest.mark.parametrize(
    "arguments",
    [
        {"poll_interval": timedelta(0)},
        {"poll_interval": 0.1},
        {"batch_size": 0},
        {"batch_size": 1001},
        {"batch_size": "5"},
        {"stuck_duration": SECOND * 0.49},
        {"max_in_flight": 0},
        {"max_in_flight": 100_001},
        {"publish_timeout": timedelta(0)},
        {"recovery": "never"},
        {"recovery": Backoff},
        {"recovery": asyncio.sleep},
        {"recovery": lambda: None},
        {"stuck_duration": timedelta.max},
        {"max_payload": -1},
    ],
)
def test_bad_settings_of_a_scheduler_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        scheduler(MemoryStore(), print, **arguments)


@pytest.mark.parametrize("transport", [5, None, MemoryStore, MemoryStore(), LocalTransport])
def test_what_is_no_transport_is_refused(transport: Any) -> None:
    with pytest.raises(InvalidArgument, match="transport must be a URL"):
        Scheduler(MemoryStore(), transport, load_plugins=False)


@pytest.mark.parametrize("store", [5, None, print, MemoryStore])
def test_what_is_no_store_is_refused(store: Any) -> None:
    with pytest.raises(InvalidArgument, match="store must be a URL"):
        Client(store, load_plugins=False)


def test_what_is_half_a_store_or_a_transport_hears_what_it_lacks() -> None:
    class Half:
        async def open(self) -> None: ...

        async def claim(self) -> None: ...

        async def publish(self, envelope: duly.Envelope) -> None: ...

    half: Any = Half()
    with pytest.raises(InvalidArgument, match="^Half is no transport: it lacks close$"):
        Scheduler(MemoryStore(), half, load_plugins=False)
    with pytest.raises(InvalidArgument, match="^Half is no store: it lacks close, put, cancel, "):
        Client(half, load_plugins=False)


def test_what_raises_when_it_is_looked_at_lacks_that() -> None:
    class Odd(MemoryStore):
        @property
        def publish(self) -> None:
            raise RuntimeError

        @property
        def renew(self) -> None:  # type: ignore[override]  # that is what is odd
            raise RuntimeError

    odd: Any = Odd()
    with pytest.raises(InvalidArgument, match="^Odd is no store: it lacks renew$"):
        Client(odd, load_plugins=False)
    with pytest.raises(InvalidArgument, match="transport must be a URL"):
        Scheduler(MemoryStore(), odd, load_plugins=False)


def test_urls_are_looked_up_among_the_plugins() -> None:
    assert isinstance(Client("memory://", load_plugins=False)._calls.store, MemoryStore)
    Scheduler("memory://", "local://", load_plugins=False)
    with pytest.raises(UnknownScheme):
        Client("nowhere://", load_plugins=False)
    with pytest.raises(UnknownScheme):
        Scheduler("memory://", "nowhere://", load_plugins=False)


async def test_the_bounds_of_stop_are_checked() -> None:
    with pytest.raises(InvalidArgument):
        await scheduler(MemoryStore(), print).stop(5)  # type: ignore[arg-type]  # refused


async def test_what_was_nearly_right_is_told_how_to_be(client: Client) -> None:
    with pytest.raises(InvalidArgument, match="text, not Message: give its .id$"):
        await client.cancel(message("a"))  # type: ignore[arg-type]  # that is the mistake
    with pytest.raises(InvalidArgument, match=r"not timedelta: duly.after\(\) makes one of it$"):
        await client.reschedule("a", timedelta(hours=1))  # type: ignore[arg-type]  # likewise


def test_an_id_that_duly_made_may_be_long() -> None:
    """The dead letter of an occurrence is named by its delivery id."""
    assert as_id("x" * 255 + ":1234567890123456:0") == "x" * 255 + ":1234567890123456:0"


# --- change


async def test_cancel_in_every_state(client: Client, store: MemoryStore) -> None:
    await client.schedule(message(id="claimed"))
    await claimed(store, "claimed")
    await client.schedule(message(id="waiting"))
    assert await client.cancel("waiting")
    assert await client.cancel("claimed") is Cancellation.TOO_LATE
    assert not Cancellation.TOO_LATE
    with pytest.raises(MessageNotFound, match="'waiting'"):
        await client.cancel("waiting")
    assert await client.cancel("waiting", missing_ok=True) is Cancellation.UNKNOWN
    assert not Cancellation.UNKNOWN
    assert issubclass(MessageNotFound, LookupError)


async def test_cancel_many_cancels_what_matches(client: Client, store: MemoryStore) -> None:
    heard: list[list[str]] = []

    class Plugin:
        @hookimpl
        def duly_cancelled(self, message_ids: Sequence[str]) -> None:
            heard.append(list(message_ids))

    client = Client(store, load_plugins=False, plugins=[Plugin()])
    await client.schedule_many(messages(1200, "a", due=100))
    await client.schedule(message("a", -1, id="claimed"))
    await claimed(store, "claimed")
    await client.schedule(message("b", 100, id="b"))
    assert await client.cancel_many(Filter(event_name="a")) == 1200
    assert [each.id for each in await client.list()] == ["b"]
    assert await client.cancel_many(Filter(event_name="a")) == 0
    assert sum(map(len, heard)) == 1200
    assert "claimed" not in heard[0]
    assert await client.cancel_many(Filter(state=State.CLAIMED)) == 0


async def test_purge_removes_dead_letters_and_nothing_else(
    client: Client, store: MemoryStore
) -> None:
    from duly.store import Bury, Settle

    await client.schedule_many(messages(5))
    batch = await store.claim(limit=3, lease=SECOND, owner="somebody")
    assert batch.token is not None
    await store.settle([Settle(batch.token, {each.key: Bury("x") for each in batch.claims})])
    assert (await client.stats()).dead == 3
    assert await client.purge(Filter(before=at(-1))) == 1
    for empty in (Filter(), Filter(state=State.DEAD)):
        with pytest.raises(InvalidArgument, match="everything=True"):
            await client.purge(empty)
    with pytest.raises(InvalidArgument, match="everything=True"):
        await client.purge()
    assert await client.purge(everything=True) == 2
    assert await client.purge(everything=True) == 0
    assert (await client.stats()).scheduled == 2


async def test_reschedule_and_replay_need_the_right_state(
    client: Client, store: MemoryStore
) -> None:
    await client.schedule(message(id="claimed"))
    await claimed(store, "claimed")
    await client.schedule(message(id="waiting", due=5))
    await client.reschedule("waiting", at(7))
    assert (await client.get("waiting")).scheduled_at == at(7)
    with pytest.raises(WrongState, match="claimed, not scheduled"):
        await client.reschedule("claimed", at(7))
    with pytest.raises(WrongState, match="scheduled, not dead"):
        await client.replay("waiting")
    for call in (client.reschedule("unknown", at(7)), client.replay("unknown")):
        with pytest.raises(MessageNotFound, match="'unknown'"):
            await call


async def test_what_cannot_be_read_cannot_be_replayed(client: Client, store: MemoryStore) -> None:
    found = unreadable("x", b"?", "damaged")

    async def get(id: str) -> Message:
        return found

    store.get = get  # type: ignore[method-assign]  # a memory store has no records to damage
    with pytest.raises(WrongState, match="cannot be read"):
        await client.replay("x")


async def test_a_transaction_is_refused_where_there_are_none(client: Client) -> None:
    for call in (
        client.schedule(message(), within=object()),
        client.schedule_many([message()], within=object()),
        client.schedule_many([message()], atomic=False, within=object()),
        client.cancel("x", within=object()),
        client.reschedule("x", at(0), within=object()),
        client.get("x", within=object()),
        client.list(within=object()),
        anext(client.iterate(within=object())),
    ):
        with pytest.raises(
            Unsupported, match="cannot act within a caller's transaction.* PostgreSQL.*FakeStore"
        ):
            await call


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            duly.Event("paid", bytes),
            r"not Event: that of paid is event\.message\(payload, scheduled",
        ),
        (Backoff(), r"not Backoff: event\.message\(.* of a duly\.Event makes one of a payload"),
        ({"order_id": 17}, "not dict$"),
    ],
)
async def test_what_is_no_message_is_told_how_to_become_one(
    client: Client, given: Any, told: str
) -> None:
    with pytest.raises(InvalidMessage, match=told):
        await client.schedule(given)


class Transactional(WatchedStore):
    """Acts within a list, by noting that it did."""

    def accepts(self, within: object) -> bool:
        return isinstance(within, list)

    async def put(self, groups: Any, *, within: Any = None) -> Any:
        if within is not None:
            within.append("put")
        return await super().put(groups)

    async def cancel(self, ids: Any, *, within: Any = None, **more: Any) -> Any:
        if within is not None:
            within.append("cancel")
        return await super().cancel(ids, **more)

    async def get(self, id: str, **more: Any) -> Any:
        more.get("within", []).append("get")
        return await super().get(id)

    async def list(self, filter: Filter, *, from_key: Any = None, **more: Any) -> Any:
        more.get("within", []).append("list")
        return await super().list(filter, from_key=from_key)


@run_virtually
async def test_a_transaction_of_the_right_kind_is_handed_on() -> None:
    client, within = Client(Transactional(), load_plugins=False), list[str]()
    await client.schedule(message(id="x"), within=within)
    await client.schedule_many(messages(2), within=within)
    await client.schedule_many(messages(2), replace=True, atomic=False, within=within)
    await client.get("x", within=within)
    await client.list(payload=False, within=within)
    assert len([each async for each in client.iterate(within=within)]) == 3
    await client.cancel("x", within=within)
    assert within == ["put", "put", "put", "get", "list", "list", "cancel"]
    for call in (
        client.schedule(message(), within={}),
        client.get("x", within={}),
        client.list(within={}),
        anext(client.iterate(within={})),
    ):
        with pytest.raises(InvalidArgument, match="cannot act within this dict$"):
            await call


@run_virtually
async def test_a_move_is_checked_by_what_the_transaction_sees() -> None:
    class Seeing(Transactional):
        async def get(self, id: str, **more: Any) -> Any:
            return message(id="x", expires_at=at(60)) if "within" in more else None

    client, within = Client(Seeing(), load_plugins=False), list[str]()
    with pytest.raises(InvalidArgument, match="expires at"):
        await client.reschedule("x", at(61), within=within)
    assert within == []


@run_virtually
async def test_a_store_is_told_of_no_transaction_where_there_is_none() -> None:
    """Its ``get`` and ``list`` need not know the word."""
    client = Client(WatchedStore(), load_plugins=False)
    await client.schedule(message(id="x"))
    assert (await client.get("x")).id == "x"
    assert len(await client.list()) == 1


@run_virtually
async def test_what_it_may_be_is_told_where_the_store_knows() -> None:
    class Telling(Transactional):
        transactions = "a list"

    client = Client(Telling(), load_plugins=False)
    with pytest.raises(
        InvalidArgument, match="Telling cannot act within this dict: it takes a list"
    ):
        await client.schedule(message(), within={})


# --- look


async def test_list_and_iterate_give_the_same(client: Client) -> None:
    some = messages(1234)
    await client.schedule_many(reversed(some))
    assert [each.id for each in await client.list()] == [each.id for each in some]
    for filter in (
        Filter(),
        Filter(limit=1000),
        Filter(limit=3, offset=5),
        Filter(offset=700),
        Filter(limit=500),
        Filter(event_name="none"),
    ):
        assert [each async for each in client.iterate(filter)] == list(await client.list(filter))


async def test_messages_listed_without_their_payloads(client: Client) -> None:
    await client.schedule(message(id="a", payload=b"secret", metadata={"k": "v"}))
    (found,) = await client.list(payload=False)
    assert [each.id async for each in client.iterate(payload=False)] == ["a"]
    assert (found.id, found.metadata, found.state) == ("a", {"k": "v"}, State.SCHEDULED)
    assert found.delivery_id == (await client.get("a")).delivery_id
    assert "secret" not in repr(found)
    for each in (found, copy.copy(found), pickle.loads(pickle.dumps(found))):
        with pytest.raises(
            InvalidMessage, match="'a' was listed without its payload: get\\('a'\\)"
        ):
            _ = each.payload


@pytest.mark.parametrize(
    "use",
    [
        lambda client, found: client.schedule(found, replace=True),
        lambda client, found: client.schedule_many([found]),
        lambda client, found: client.schedule_many([found], atomic=False),
        lambda client, found: client.schedule(attrs.evolve(found, id="b")),
        lambda client, found: asyncio.to_thread(to_record, found),
        lambda client, found: asyncio.to_thread(lambda: found == found_again(found)),
    ],
    ids=["schedule", "many", "each", "evolve", "record", "compare"],
)
async def test_what_was_listed_without_its_payload_cannot_be_used(client: Client, use: Any) -> None:
    await client.schedule(message(id="a", payload=b"x"))
    (found,) = await client.list(payload=False)
    with pytest.raises(duly.DulyError, match="listed without its payload"):
        await use(client, found)
    assert [each.payload for each in await client.list()] == [b"x"]


def found_again(found: Message) -> Message:
    return with_changes(found)


class Lean(MemoryStore):
    """Can leave payloads where they are, and notes when it was asked to."""

    lists_without_payloads = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bool] = []

    async def list(self, filter: Filter, *, payload: bool = True, **more: Any) -> Any:
        self.asked.append(payload)
        found = await super().list(filter, **more)
        return found if payload else [with_changes(each, payload=b"") for each in found]


async def test_a_store_that_can_leave_payloads_is_asked_to() -> None:
    store = Lean()
    async with Client(store, load_plugins=False) as client:
        for id in "abc":
            await client.schedule(message(id=id, payload=b"x"))
        await client.list()
        assert store.asked == [True]
        (*found, _) = await client.list(payload=False)
        with pytest.raises(InvalidMessage):
            _ = found[0].payload
        assert await client.cancel_many(Filter(event_name="event")) == 3
        assert await client.purge(everything=True) == 0
        assert set(store.asked[1:]) == {False}


@pytest.mark.parametrize("payload", [None, 1, "no"])
async def test_with_or_without_payloads_is_true_or_false(client: Client, payload: Any) -> None:
    with pytest.raises(InvalidArgument, match="payload must be True or False"):
        await client.list(payload=payload)
    with pytest.raises(InvalidArgument, match="payload must be True or False"):
        async for _ in client.iterate(payload=payload):
            pass


async def test_pages_of_large_messages_are_small() -> None:
    store = WatchedStore()
    async with Client(store, load_plugins=False) as client:
        await client.schedule_many(
            (message(id=f"{n:03}", payload=b"x" * 500_000) for n in range(130)), atomic=False
        )
        assert [each.id async for each in client.iterate()] == [f"{n:03}" for n in range(130)]
    sizes = [limit for limit in store.pages if limit is not None]
    assert max(sizes) * 500_000 <= 32 * 1024 * 1024


async def test_pages_grow_so_slowly_that_large_messages_are_found_in_time() -> None:
    store = WatchedStore()
    async with Client(store, load_plugins=False) as client:
        await client.schedule_many(
            (message(id=f"{n:03}", payload=b"x" * (1 if n < 40 else 500_000)) for n in range(160)),
            atomic=False,
        )
        assert len([each async for each in client.iterate()]) == 160
    assert store.pages[:2] == [32, 64]
    assert max(size for size in store.pages[2:] if size is not None) <= 68


@run_virtually
async def test_iterating_reads_a_page_at_a_time() -> None:
    store = WatchedStore()
    client = Client(store, load_plugins=False)
    await client.schedule_many(messages(2000))
    seen = 0
    async for _ in client.iterate():
        seen += 1
        if seen == 600:
            break
    assert store.pages == [32, 64, 128, 256, 500]
    gc.collect()  # lets go of the iterator that was left behind


async def test_migrate_is_for_stores_with_a_schema(client: Client, store: MemoryStore) -> None:
    assert await client.migrate() == []

    class WithSchema(MemoryStore):
        async def migrate(self, *, dry_run: bool = False) -> Sequence[str]:
            return ["CREATE"] if dry_run else []

    assert await Client(WithSchema(), load_plugins=False).migrate(dry_run=True) == ["CREATE"]


# --- opening and closing


@run_virtually
async def test_a_store_that_was_passed_in_is_opened_once_and_left_open() -> None:
    store = WatchedStore()
    client = Client(store, load_plugins=False)
    await asyncio.gather(*(client.stats() for _ in range(5)))
    await client.open()
    assert store.count("open") == 1
    await client.close()
    await client.close()
    assert store.count("close") == 0
    with pytest.raises(SchedulerStateError, match="closed"):
        await client.stats()
    await client.open()
    await client.stats()
    assert store.count("open") == 2


@run_virtually
async def test_a_store_made_from_a_url_is_closed() -> None:
    store = WatchedStore()

    class Plugin:
        @hookimpl
        def duly_stores(self) -> dict[str, Any]:
            return {"watched": lambda url: store}

    client = Client("watched://", load_plugins=False, plugins=[Plugin()])
    await client.close()
    assert store.count() == 0
    async with client:
        await client.stats()
    assert store.count("close") == 1


def test_a_client_is_of_one_event_loop_until_it_is_closed() -> None:
    """Calls from another one are refused before anything is stored, unless any will do."""

    class Connected(MemoryStore):
        any_loop = False

    client = Client(Connected(), load_plugins=False)

    with asyncio.Runner() as first:
        first.run(client.schedule(message(id="a")))
        with asyncio.Runner() as second:
            for call in (client.schedule(message(id="b")), client.open(), client.close()):
                with pytest.raises(SchedulerStateError, match="another event loop"):
                    second.run(call)
        assert [each.id for each in first.run(client.list())] == ["a"]
        first.run(client.close())
    with asyncio.Runner() as third:
        third.run(client.open())
        assert [each.id for each in third.run(client.list())] == ["a"]
        third.run(client.close())


@run_virtually
async def test_a_store_that_could_not_be_opened_is_opened_by_the_next_call() -> None:
    store = WatchedStore()
    store.faults.append(down("open"))
    client = Client(store, load_plugins=False)
    with pytest.raises(StoreUnavailable):
        await client.open()
    with pytest.raises(StoreUnavailable):
        await client.stats()
    store.faults.clear()
    await client.stats()


@run_virtually
async def test_closing_waits_for_calls_under_way() -> None:
    store = WatchedStore()

    async def slow(verb: str, done: bool) -> None:
        if verb == "put":
            await asyncio.sleep(1)

    store.faults.append(slow)
    client = Client(store, load_plugins=False)
    calls = [asyncio.create_task(client.schedule(message(id=str(n)))) for n in range(3)]
    await asyncio.sleep(0.5)
    await client.close()
    assert [each.result() for each in calls] == ["0", "1", "2"]


@run_virtually
async def test_a_killed_scheduler_can_be_started_again() -> None:
    running = scheduler(WatchedStore(), print)
    start = asyncio.create_task(running.start())
    await asyncio.sleep(0.1)
    await kill(running)
    with pytest.raises(SchedulerStateError, match="somebody has cancelled its task"):
        await start
    async with running.running():
        assert (await running.health()).details["running"]


def test_broken_plugins_are_told_by_health(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(MemoryStore(), load_plugins=False)
    client._plugins.broken = {"sqlite": "ImportError: no"}
    health = asyncio.run(client.health())
    assert health.status is duly.Status.DEGRADED
    assert health.reason == "plugin sqlite is broken: ImportError: no"


async def test_what_makes_the_messages_may_fail_in_the_middle(client: Client) -> None:
    def source() -> Iterator[Message]:
        for number in range(600):
            yield message(id=str(number))
        raise KeyError("no more")

    with pytest.raises(PartlyScheduled) as caught:
        await client.schedule_many(source(), atomic=False)
    assert len(caught.value.stored_ids) == 500
    assert isinstance(caught.value.__cause__, KeyError)


async def test_a_message_is_not_moved_beyond_its_end(client: Client) -> None:
    every = Every(SECOND, until=at(20))
    await client.schedule(message(id="series", due=5, recurrence=every))
    await client.schedule(message(id="expires", due=5, expires_at=at(20)))
    await client.reschedule("series", at(20))
    with pytest.raises(InvalidArgument, match="ends at"):
        await client.reschedule("series", at(21))
    with pytest.raises(InvalidArgument, match="expires at"):
        await client.reschedule("expires", at(20))
    assert (await client.get("series")).scheduled_at == at(20)
    assert (await client.get("expires")).scheduled_at == at(5)
    await client.reschedule("expires", at(19))
    assert (await client.get("expires")).expires_at == at(20)


async def test_run_is_refused_where_an_event_loop_runs() -> None:
    with pytest.raises(SchedulerStateError, match="running"):
        scheduler(MemoryStore(), print).run()


async def test_what_a_plugin_makes_must_be_what_it_says() -> None:
    class Odd:
        @hookimpl
        def duly_stores(self) -> Any:
            return {"odd": lambda _: 5}

        @hookimpl
        def duly_transports(self) -> Any:
            return {"odd": lambda _: 5}

    with pytest.raises(PluginError, match="made a int, not a store"):
        Client("odd://", plugins=[Odd()], load_plugins=False)
    with pytest.raises(PluginError, match="made a int, not a transport"):
        Scheduler("memory://", "odd://", plugins=[Odd()], load_plugins=False)
