"""``pause``, ``resume`` and ``limit`` as people call them."""

import asyncio
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.core.controls_kit import NotedStore
from tests.core.engine_kit import down, lost_answer

import duly
from duly import (
    Client,
    Control,
    Controlled,
    InvalidArgument,
    Limit,
    MemoryStore,
    Pause,
    StoreError,
    StoreUnavailable,
    Unsupported,
    WrongState,
    hookimpl,
)
from duly._values import controls
from duly._values.controls import Rules
from duly.store import SupportsNotes
from duly.testing import FakeStore
from duly.testing.clock import START, HandClock, run_virtually

MINUTE = timedelta(minutes=1)


class Told:
    """A plugin that notes what was said."""

    def __init__(self) -> None:
        self.all: list[Controlled] = []

    @hookimpl
    def duly_controlled(self, controlled: Controlled) -> None:
        self.all.append(controlled)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def client(clock: HandClock, told: Told) -> Client:
    return Client(MemoryStore(clock=clock), plugins=[told], load_plugins=False)


async def test_what_was_said_can_be_read(client: Client, clock: HandClock) -> None:
    assert await client.controls() == {}
    paused = await client.pause("a.*", reason="it fails", by="kim", until=START + MINUTE)
    pause = Pause(since=START, until=START + MINUTE, reason="it fails", by="kim")
    assert paused == Control(pause=pause)
    clock.advance(seconds=1)
    await client.limit("a.b", rate=0.5, in_flight=3, reason="slow", by="lee")
    since = START + timedelta(seconds=1)
    limit = Limit(since=since, rate=0.5, in_flight=3, reason="slow", by="lee")
    assert await client.controls() == {"a.*": Control(pause=pause), "a.b": Control(limit=limit)}


async def test_pause_and_limit_stand_beside_each_other(client: Client) -> None:
    await client.limit("a", rate=1)
    both = await client.pause("a")
    assert both.limit is not None
    assert await client.resume("a")
    assert not await client.resume("a"), "it was not paused any more"
    assert (await client.limit("a")) == Control()
    assert await client.controls() == {}


async def test_paused_again_it_is_paused_since_the_first_time(
    client: Client, clock: HandClock
) -> None:
    await client.pause("a", reason="one")
    clock.advance(seconds=5)
    again = await client.pause("a", reason="two")
    assert again.pause == Pause(since=START, reason="two")


async def test_a_pause_that_is_over_is_not_told(client: Client, clock: HandClock) -> None:
    await client.pause("a", until=START + MINUTE)
    clock.advance(seconds=60)
    assert await client.controls() == {}
    assert not await client.resume("a")


async def test_resume_names_the_wider_rule(client: Client) -> None:
    await client.pause("a.*")
    await client.pause("a.b")
    for name in ("a.b", "a.b.*", "a.c"):
        with pytest.raises(WrongState, match=r"'a\.\*'"):
            await client.resume(name)
    assert (await client.controls()).keys() == {"a.*", "a.b"}, "nothing is half done"
    await client.pause("*")
    with pytest.raises(WrongState, match=r"'\*'"):
        await client.resume("a.*")
    for name in ("*", "a.*", "a.b"):
        assert await client.resume(name)


async def test_observers_are_told(client: Client, told: Told) -> None:
    await client.pause("a", reason="r", by="b")
    await client.limit("a", rate=2)
    await client.resume("a", reason="done", by="c")
    await client.resume("a")
    assert [(each.name, each.action, each.reason, each.by) for each in told.all] == [
        ("a", "pause", "r", "b"),
        ("a", "limit", "", ""),
        ("a", "resume", "done", "c"),
    ]
    assert told.all[1].before.limit is None
    assert told.all[1].control.limit is not None
    assert told.all[2].control.pause is None


@pytest.mark.parametrize(
    "name", ["", "a" * 256, "a*", "*.a", "a.*.*", "a.*.b", "**", "a\nb", "\ud800", None, 7, b"a"]
)
async def test_names_that_are_none(client: Client, name: Any) -> None:
    for verb in (client.pause, client.resume, client.limit):
        with pytest.raises(InvalidArgument):
            await verb(name)
    assert await client.controls() == {}


@pytest.mark.parametrize("name", ["a", "*", "a.*", ".*", "ä 💥.*", "a" * 255, "a.b.c"])
async def test_names_that_are_valid(client: Client, name: str) -> None:
    await client.pause(name)
    assert list(await client.controls()) == [name]
    assert await client.resume(name)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"rate": 0}, "pause"),
        ({"rate": -1}, "above 0"),
        ({"rate": math.inf}, "above 0"),
        ({"rate": math.nan}, "above 0"),
        ({"rate": 1_000_001}, "1,000,000"),
        ({"rate": True}, "above 0"),
        ({"rate": "fast"}, "above 0"),
        ({"in_flight": 0}, "from 1"),
        ({"in_flight": 1.5}, "whole number"),
        ({"rate": 1, "reason": "x" * 256}, "255"),
        ({"rate": 1, "by": "a\x00"}, "control character"),
        ({"rate": 1, "by": None}, "text"),
    ],
)
async def test_limits_that_are_none(client: Client, options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        await client.limit("a", **options)
    assert await client.controls() == {}


@pytest.mark.parametrize("until", [START, START - MINUTE, MINUTE, datetime(2030, 1, 1), "tomorrow"])
async def test_ends_of_a_pause_that_are_none(client: Client, until: Any) -> None:
    with pytest.raises(InvalidArgument):
        await client.pause("a", until=until)
    assert await client.controls() == {}


async def test_there_may_be_so_many_rules(client: Client) -> None:
    since = datetime.now(UTC)
    many = {f"name-{n}": Control(pause=Pause(since=since)) for n in range(949)}
    wide = {f"p{n}.*": Control(pause=Pause(since=since)) for n in range(50)}
    store: SupportsNotes = client._calls.store  # type: ignore[assignment]  # it keeps notes, or is to keep none
    await store.write_note(controls.NOTE, controls.written(many | wide), None)
    with pytest.raises(InvalidArgument, match="50 of them for prefixes"):
        await client.pause("q.*")
    await client.pause("one-more")
    with pytest.raises(InvalidArgument, match="1,000 rules"):
        await client.pause("too-many")
    assert await client.resume("p7.*")
    await client.pause("q.*")
    assert len(await client.controls()) == 1000


async def test_all_rules_together_have_a_size(client: Client) -> None:
    text = "💥" * 255
    since = datetime.now(UTC)
    rules = {f"n{n}": Control(pause=Pause(since=since, reason=text)) for n in range(980)}
    store: SupportsNotes = client._calls.store  # type: ignore[assignment]  # it keeps notes, or is to keep none
    await store.write_note(controls.NOTE, controls.written(rules), None)
    with pytest.raises(InvalidArgument, match="1 MiB"):
        for n in range(20):
            await client.pause(f"m{n}", reason=text, by=text)


async def test_many_say_something_at_once(client: Client) -> None:
    others = [Client(client._calls.store, load_plugins=False) for _ in range(30)]
    await asyncio.gather(*(other.pause(f"n{n}") for n, other in enumerate(others)))
    assert len(await client.controls()) == 30


@run_virtually
async def test_a_lost_answer_is_an_error_and_again_is_safe() -> None:
    store = NotedStore()
    client = Client(store, load_plugins=False)
    store.faults.append(lost_answer("write_note"))
    with pytest.raises(StoreUnavailable):
        await client.pause("a")
    assert await client.pause("a") == (await client.controls())["a"]
    store.faults.append(down())
    for call in (client.pause("b"), client.resume("a"), client.limit("a", rate=1)):
        with pytest.raises(StoreUnavailable):
            await call


async def test_a_store_without_notes_says_so() -> None:
    class Plain(MemoryStore):
        read_note = write_note = notes = None  # type: ignore[assignment]  # it keeps notes, or is to keep none

    client = Client(Plain(), load_plugins=False)
    for call in (client.pause("a"), client.resume("a"), client.limit("a"), client.controls()):
        with pytest.raises(Unsupported, match="Plain keeps no notes"):
            await call


async def test_a_note_that_cannot_be_read_is_told(client: Client) -> None:
    store: SupportsNotes = client._calls.store  # type: ignore[assignment]  # it keeps notes, or is to keep none
    await store.write_note(controls.NOTE, b"nonsense", None)
    with pytest.raises(StoreError, match="cannot be read"):
        await client.controls()
    note = await store.read_note(controls.NOTE)
    assert note is not None
    await store.write_note(controls.NOTE, b'{"format": 9}', note.revision)
    with pytest.raises(StoreError, match="upgrade this host"):
        await client.pause("a")


async def test_taking_a_limit_off_forgets_its_permits(client: Client) -> None:
    store: Any = client._calls.store
    await client.limit("a", rate=1, in_flight=1)
    for kind in ("rate", "in_flight"):
        await store.write_note(controls.permit_note(kind, "a"), b"{}", None)
    await client.limit("a")
    assert await store.notes("permits/") == {}


def test_names_of_notes_are_short_enough() -> None:
    names = {controls.permit_note("in_flight", "a" * 254 + each) for each in "bc"}
    assert len(names) == 2
    assert all(len(name) <= 255 for name in names)
    assert controls.permit_note("rate", "a.*") == "permits/rate/a.*"


def test_what_a_later_version_adds_is_ignored() -> None:
    value = b'{"format":1,"rules":{"a":{"pause":{"since":0,"colour":"red"},"mood":{}}},"x":1}'
    (control,) = controls.read(value, START).values()
    assert control.pause is not None
    assert control.limit is None


def test_any_rule_pauses_and_the_widest_is_named() -> None:
    pause = Control(pause=Pause(since=START))
    rules = Rules({"a.b": pause, "a.*": pause, "c": pause, "d.*": Control()})
    assert rules.paused_by("a.b") == "a.*"
    assert rules.paused_by("a.b.c") == "a.*"
    assert rules.paused_by("a.b.*") == "a.*"
    assert rules.paused_by("c") == "c"
    assert rules.paused_by("a") is None
    assert rules.paused_by("d.e") is None
    assert list(rules.paused) == ["a.*", "c", "a.b"]
    assert rules.touch("d.x")
    assert not rules.touch("e")


def test_blocking_code_has_it_too() -> None:
    with duly.sync.Client(MemoryStore(), load_plugins=False) as client:
        client.pause("a", by="kim")
        client.limit("b", rate=1)
        assert client.resume("a")
        assert list(client.controls()) == ["b"]


async def test_in_a_test_with_a_fake_store_nobody_waits_for_a_rate() -> None:
    store = FakeStore()
    delivered: list[str] = []

    async def handler(envelope: duly.Envelope) -> None:
        delivered.append(envelope.event_name)

    async with duly.Scheduler(store, handler, load_plugins=False) as scheduler:
        await scheduler.limit("a", rate=0.001)
        await scheduler.pause("b")
        for name in ("a", "a", "b"):
            await scheduler.schedule(duly.Message(name, scheduled_at=store.now))
        await scheduler.drain()
        assert delivered == ["a", "a"]
        await scheduler.resume("b")
        await scheduler.drain()
        assert delivered == ["a", "a", "b"]
