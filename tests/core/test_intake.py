"""Calls of schedule() made at the same time share one statement."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from tests.core.engine_kit import WatchedStore, down, hanging, message, now, scheduler

from duly import (
    Client,
    DuplicateMessage,
    Message,
    StoreUnavailable,
    hookimpl,
)
from duly._caller.intake import Intake
from duly.memory import MemoryStore
from duly.store import Group, HeldUp
from duly.testing.clock import run_virtually


class Statements:
    """Stands for a store: notes what it is given, takes its time, answers as it is told."""

    def __init__(self, takes: float = 1.0) -> None:
        self.takes = takes
        self.flushes: list[list[str]] = []
        self.running = self.most = 0
        self.refused: set[str] = set()
        self.held: set[str] = set()
        self.tries = 1000  # how many are found held up until all others are told to be
        self.error: BaseException | None = None

    async def put(self, groups: Sequence[Group]) -> Sequence[Exception | None]:
        self.flushes.append([each.id for group in groups for each in group.messages])
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.running -= 1
        if self.error is not None:
            raise self.error
        left = self.tries
        outcomes: list[Exception | None] = []
        for group in groups:
            ids = {each.id for each in group.messages}
            if ids & self.held or not left:
                left = max(0, left - 1)
                outcomes.append(HeldUp("by a transaction"))
            else:
                outcomes.append(DuplicateMessage(str(ids)) if ids & self.refused else None)
        return outcomes


def group(*ids: str, size: int = 0) -> list[Group]:
    return [Group([message(id=each, payload=b"x" * size) for each in ids])]


def put(intake: Intake, *ids: str, size: int = 0) -> "asyncio.Task[Any]":
    return asyncio.create_task(intake.put(group(*ids, size=size)))


@run_virtually
async def test_the_first_does_not_wait_and_the_others_share_the_next_flush() -> None:
    statements = Statements()
    intake = Intake(statements.put)
    first = put(intake, "a")
    await asyncio.sleep(0.5)
    others = [put(intake, each) for each in "bcd"]
    await first
    assert now() == 1
    await asyncio.gather(*others)
    assert now() == 2
    assert statements.flushes == [["a"], ["b", "c", "d"]]
    assert statements.most == 1


@run_virtually
async def test_those_of_one_moment_share_the_first() -> None:
    statements = Statements()
    intake = Intake(statements.put)
    await asyncio.gather(*(intake.put(group(each)) for each in "abc"))
    assert statements.flushes == [["a", "b", "c"]]


@run_virtually
async def test_each_hears_of_its_own_and_none_fails_its_neighbours() -> None:
    statements = Statements()
    statements.refused = {"b"}
    intake = Intake(statements.put)
    answers = await asyncio.gather(
        intake.put(group("a")),
        intake.put(group("b")),
        intake.put([*group("c"), *group("d", "e")]),
    )
    assert [len(each) for each in answers] == [1, 1, 2]
    assert isinstance(answers[1][0], DuplicateMessage)
    assert list(answers[0]) == [None]
    assert list(answers[2]) == [None, None]


@run_virtually
async def test_the_same_id_waits_for_the_next_flush_and_keeps_its_order() -> None:
    statements = Statements()
    intake = Intake(statements.put)
    tasks = [put(intake, each) for each in ("a", "b", "a", "c", "a")]
    tasks.append(put(intake, "d", "a"))
    tasks.append(put(intake, "d"))  # not before the one that it came after
    await asyncio.gather(*tasks)
    assert statements.flushes == [["a", "b", "c"], ["a"], ["a"], ["d", "a"], ["d"]]


@run_virtually
async def test_a_flush_is_bounded_in_messages_and_bytes() -> None:
    statements = Statements()
    intake = Intake(statements.put)
    await asyncio.gather(*(intake.put(group(f"{number}")) for number in range(2500)))
    assert [len(each) for each in statements.flushes] == [1000, 1000, 500]
    statements.flushes.clear()
    third = 3 * 1024 * 1024
    await asyncio.gather(*(intake.put(group(each, size=third)) for each in "abcde"))
    assert statements.flushes == [["a", "b"], ["c", "d"], ["e"]]


@run_virtually
async def test_a_group_beyond_the_bounds_goes_alone_in_its_turn() -> None:
    statements = Statements()
    intake = Intake(statements.put)
    many = [f"m{number}" for number in range(1500)]
    await asyncio.gather(put(intake, "a"), put(intake, *many), put(intake, "b"))
    assert [len(each) for each in statements.flushes] == [1, 1500, 1]


@run_virtually
async def test_a_caller_that_is_cancelled_harms_nobody() -> None:
    statements = Statements()
    intake = Intake(statements.put)
    first, second, third = (put(intake, each) for each in "abc")
    await asyncio.sleep(0.5)
    first.cancel()
    await asyncio.gather(second, third)
    assert first.cancelled()
    assert now() == 1
    assert statements.flushes == [["a", "b", "c"]]


@run_virtually
async def test_one_cancelled_while_it_waits_is_left_out() -> None:
    statements = Statements()
    intake = Intake(statements.put)
    first = put(intake, "a")
    await asyncio.sleep(0.5)
    second, third = put(intake, "b"), put(intake, "c")
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(first, third)
    assert statements.flushes == [["a"], ["c"]]


@run_virtually
async def test_when_all_that_wait_are_cancelled_nothing_is_sent() -> None:
    statements = Statements()
    intake = Intake(statements.put)
    first = put(intake, "a")
    await asyncio.sleep(0.5)
    second = put(intake, "b")
    await asyncio.sleep(0)
    second.cancel()
    await first
    await intake.drain()
    assert statements.flushes == [["a"]]


@run_virtually
async def test_an_error_reaches_every_caller_as_its_own() -> None:
    statements = Statements()
    cause = OSError("broken pipe")
    statements.error = StoreUnavailable("gone")
    statements.error.__cause__ = cause
    intake = Intake(statements.put)
    errors = await asyncio.gather(
        *(intake.put(group(each)) for each in "abc"), return_exceptions=True
    )
    assert {type(each) for each in errors} == {StoreUnavailable}
    assert {str(each) for each in errors} == {"gone"}
    assert len({id(each) for each in errors}) == 3
    assert all(isinstance(each, StoreUnavailable) and each.__cause__ is cause for each in errors)
    statements.error = None
    assert list(await intake.put(group("d"))) == [None]


class Peculiar(StoreUnavailable):
    """Cannot be made again from its args."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")


@pytest.mark.parametrize("error", [Peculiar(1, "x"), ValueError("x")])
@run_virtually
async def test_an_error_that_cannot_be_copied_reaches_them_all_the_same(error: Exception) -> None:
    statements = Statements()
    statements.error = error
    intake = Intake(statements.put)
    async with asyncio.timeout(5):
        errors = await asyncio.gather(
            *(intake.put(group(each)) for each in "abc"), return_exceptions=True
        )
    assert errors == [error] * 3


@run_virtually
async def test_a_flush_that_is_cancelled_cancels_its_callers_and_the_next_works() -> None:
    statements = Statements()
    intake = Intake(statements.put)
    first = put(intake, "a")
    await asyncio.sleep(0.5)
    (line,) = intake._lines.values()
    assert line._flushing is not None
    line._flushing.cancel()
    await asyncio.wait([first])
    assert first.cancelled()
    assert list(await intake.put(group("b"))) == [None]


@run_virtually
async def test_one_cancelled_and_one_that_fails() -> None:
    statements = Statements()
    statements.error = StoreUnavailable("gone")
    intake = Intake(statements.put)
    first, second = put(intake, "a"), put(intake, "b")
    await asyncio.sleep(0.5)
    first.cancel()
    with pytest.raises(StoreUnavailable):
        await second


@run_virtually
async def test_drain_waits_for_all_that_was_asked_for() -> None:
    statements = Statements()
    intake = Intake(statements.put)
    await intake.drain()
    tasks = [put(intake, "a"), put(intake, "a")]
    await asyncio.sleep(0)
    await intake.drain()
    assert now() == 2
    await asyncio.gather(*tasks)
    await intake.drain()


# --- while they come one at a time


async def used_to_one(statements: Statements) -> Intake:
    """An intake that was called by one at a time so far."""
    intake = Intake(statements.put)
    await intake.put(group("first"))
    statements.flushes.clear()
    return intake


@run_virtually
async def test_one_by_one_each_goes_by_itself_and_raises_what_its_store_did() -> None:
    statements = Statements()
    intake = await used_to_one(statements)
    assert list(await intake.put(group("a"))) == [None]
    statements.error = gone = StoreUnavailable("gone")
    with pytest.raises(StoreUnavailable) as told:
        await intake.put(group("b"))
    assert told.value is gone  # nobody else raises it
    statements.error = None
    statements.refused = {"a"}
    (answer,) = await intake.put(group("a"))
    assert isinstance(answer, DuplicateMessage)
    assert statements.flushes == [["a"], ["b"], ["a"]]


@run_virtually
async def test_who_comes_meanwhile_goes_with_the_next() -> None:
    statements = Statements()
    intake = await used_to_one(statements)
    await asyncio.gather(*(intake.put(group(each)) for each in ("a", "b", "c", "a")))
    assert statements.flushes == [["a"], ["b", "c", "a"]]
    assert statements.most == 1
    await asyncio.gather(*(intake.put(group(each)) for each in "de"))  # they come together by now
    assert statements.flushes[2:] == [["d", "e"]]


@pytest.mark.parametrize("ends", ["cancelled", "failed"])
@run_virtually
async def test_however_one_ends_the_next_go_on(ends: str) -> None:
    statements = Statements()
    intake = await used_to_one(statements)
    first = put(intake, "a")
    await asyncio.sleep(0.5)
    others = [put(intake, each) for each in "bc"]
    await asyncio.sleep(0)
    if ends == "cancelled":
        first.cancel()
    else:
        statements.error = StoreUnavailable("gone")
    await asyncio.wait([first])
    statements.error = None
    await asyncio.gather(*others)
    assert statements.flushes == [["a"], ["b", "c"]]


@run_virtually
async def test_drain_waits_for_one_alone_and_for_those_behind_it() -> None:
    statements = Statements()
    intake = await used_to_one(statements)
    start = now()
    tasks = [put(intake, each) for each in "ab"]
    await asyncio.sleep(0)
    await intake.drain()
    assert now() == start + 2
    await asyncio.gather(*tasks)


# --- what an open transaction holds up


@run_virtually
async def test_what_is_held_up_is_asked_for_again_apart_and_delays_no_other() -> None:
    statements = Statements(0.01)
    intake = Intake(statements.put)
    statements.held = {"a"}
    tasks = [put(intake, each) for each in "abc"]
    await asyncio.gather(*tasks[1:])
    assert now() < 0.1
    again = put(intake, "a", "d")  # known to be held up: it takes no other along
    for _ in range(20):
        await intake.put(group("e"))
    assert not tasks[0].done()
    statements.held = set()
    await asyncio.gather(tasks[0], again)
    together = [flush for flush in statements.flushes if "a" in flush]
    assert together[0] == ["a", "b", "c"]
    assert all(flush in (["a"], ["a", "d"]) for flush in together[1:])
    await intake.put(group("a"))
    assert statements.flushes[-1] == ["a"]


@run_virtually
async def test_all_that_is_held_up_is_asked_for_together_and_each_in_the_end() -> None:
    """By a store that waits for a few of many, and tells of the rest that they are held up too."""
    statements = Statements(0.2)
    statements.held = {f"held {number}" for number in range(60)}
    statements.tries = 20
    intake = Intake(statements.put, patience=10)
    free = [f"free {number}" for number in range(40)]
    groups = [one for id in [*statements.held, *free] for one in group(id)]
    outcomes = await intake.put(groups)
    assert [type(each) for each in outcomes] == [HeldUp] * 60 + [type(None)] * 40
    assert 10 <= now() < 10.5
    assert statements.most == 1
    many = [put(intake, id) for id in statements.held]
    await asyncio.sleep(1)
    began = now()
    await intake.put(group("another"))
    assert now() - began < 0.5  # but for the flush before it
    await asyncio.gather(*many)
    assert now() - began < 10


@run_virtually
async def test_those_of_one_id_keep_their_order() -> None:
    statements = Statements(0.01)
    statements.held = {"a", "b"}
    intake = Intake(statements.put)
    answered: list[int] = []

    async def ask(number: int) -> None:
        await intake.put(group("a"))
        answered.append(number)

    asking = [asyncio.create_task(ask(number)) for number in range(5)]
    asking.append(put(intake, "b"))
    await asyncio.sleep(1)
    statements.held.clear()
    await asyncio.gather(*asking)
    assert answered == [0, 1, 2, 3, 4]


@run_virtually
async def test_it_is_given_up_when_its_time_is_over() -> None:
    statements = Statements(0.01)
    intake = Intake(statements.put, patience=5)
    statements.held = {"a"}
    outcomes = await intake.put([*group("a"), *group("b")])
    assert isinstance(outcomes[0], HeldUp)
    assert outcomes[1] is None
    assert 5 <= now() < 6


@run_virtually
async def test_a_store_that_fails_meanwhile_fails_only_what_was_held_up() -> None:
    statements = Statements(0.01)
    intake = Intake(statements.put)
    statements.held = {"a"}
    both = asyncio.create_task(intake.put([*group("a"), *group("b")]))
    await asyncio.sleep(0.05)
    statements.error = StoreUnavailable("gone")
    outcomes = await both
    assert type(outcomes[0]) is StoreUnavailable
    assert outcomes[1] is None


@run_virtually
async def test_drain_waits_for_what_is_held_up() -> None:
    statements = Statements(0.01)
    intake = Intake(statements.put)
    statements.held = {"a"}
    task = put(intake, "a")
    await asyncio.sleep(0.05)
    asyncio.get_running_loop().call_later(1, statements.held.clear)
    await intake.drain()
    assert now() > 1
    assert list(await task) == [None]


# --- through the client


@run_virtually
async def test_many_callers_of_schedule_share_statements() -> None:
    store = WatchedStore()
    client = Client(store, load_plugins=False)

    async def slow(verb: str, done: bool) -> None:
        await asyncio.sleep(0.01)

    store.faults.append(slow)
    ids = await asyncio.gather(*(client.schedule(message(id=str(n))) for n in range(900)))
    assert ids == [str(number) for number in range(900)]
    assert store.count("put") <= 2
    assert (await client.stats()).scheduled == 900


@run_virtually
async def test_a_duplicate_among_them_is_the_error_of_one() -> None:
    client = Client(WatchedStore(), load_plugins=False)
    await client.schedule(message(id="b"))
    other = Message("x", id="b", scheduled_at=message().scheduled_at)
    answers = await asyncio.gather(
        client.schedule(message(id="a")),
        client.schedule(other),
        client.schedule_many([message(id="c"), other]),
        client.schedule(message(id="d")),
        return_exceptions=True,
    )
    assert [type(each) for each in answers] == [str, DuplicateMessage, DuplicateMessage, str]
    assert {each.id for each in await client.list()} == {"a", "b", "d"}


@run_virtually
async def test_a_repeat_after_a_lost_answer_is_no_duplicate() -> None:
    store = WatchedStore()
    client = Client(store, load_plugins=False)
    store.faults.append(hanging("put"))
    with pytest.raises(StoreUnavailable):
        await client.schedule(message(id="a"))
    store.faults[:] = [down("put")]
    with pytest.raises(StoreUnavailable):
        await client.schedule(message(id="a"))
    store.faults.clear()
    again = message(id="a")
    assert await client.schedule(again) == await client.schedule(again) == "a"


@run_virtually
async def test_observers_hear_of_what_was_stored_and_nothing_else() -> None:
    heard: list[str] = []

    class Plugin:
        @hookimpl
        def duly_scheduled(self, messages: Sequence[Message]) -> None:
            heard.extend(each.id for each in messages)

    store = WatchedStore()
    client = Client(store, load_plugins=False, plugins=[Plugin()])
    await client.schedule(message(id="a"))
    store.faults.append(down("put"))
    with pytest.raises(StoreUnavailable):
        await client.schedule(message(id="b"))
    store.faults.clear()
    assert heard == ["a"]


def test_a_client_serves_one_event_loop_after_another() -> None:
    client = scheduler(MemoryStore(), print)
    for number in range(3):
        asyncio.run(client.schedule(message(id=str(number))))
        asyncio.run(client.close())
        asyncio.run(client.open())
    assert asyncio.run(client.stats()).scheduled == 3
