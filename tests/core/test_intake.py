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
from duly._intake import Intake
from duly.memory import MemoryStore
from duly.store import Group
from duly.testing.clock import run_virtually


class Statements:
    """Stands for a store: notes what it is given, takes its time, answers as it is told."""

    def __init__(self, takes: float = 1.0) -> None:
        self.takes = takes
        self.flushes: list[list[str]] = []
        self.running = self.most = 0
        self.refused: set[str] = set()
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
        return [
            DuplicateMessage(group.messages[0].id)
            if any(each.id in self.refused for each in group.messages)
            else None
            for group in groups
        ]


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
    assert intake._flushing is not None
    intake._flushing.cancel()
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
