"""However a publish ends, its slot and its message come back, and its end is its answer."""

import asyncio
import contextvars
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    ManyProbed,
    Probed,
    WakingStore,
    Witness,
    delivering,
    emptied,
    message,
    messages,
    now,
    scheduler,
    until,
)

from duly import Delivery, Discard, Envelope, Failure, Message, Scheduler, State, after, hookimpl
from duly.errors import SchedulerStateError
from duly.health import Status
from duly.memory import MemoryStore
from duly.testing.clock import run_virtually

LONG = timedelta(hours=1)


def due(name: str = "event", id: str | None = None) -> Message:
    """A message that is due now, by the clock of this host."""
    return Message(name, id=id, scheduled_at=after())


class Panic(BaseException):
    """No error, as those of libraries in Rust are, or pytest.fail()."""


ODD: list[Callable[[], BaseException]] = [
    lambda: Panic("index out of bounds"),
    lambda: GeneratorExit("closed"),
    lambda: BaseExceptionGroup("several", [Panic()]),
    lambda: asyncio.CancelledError("by nobody"),
]
KINDS: list[Any] = [lambda publish: publish, Probed, ManyProbed]


@pytest.mark.parametrize("kind", KINDS, ids=["function", "transport", "many at a time"])
@pytest.mark.parametrize("odd", ODD, ids=["panic", "exit", "group", "cancelled"])
@run_virtually
async def test_what_is_no_error_is_a_failed_attempt_at_once(
    odd: Callable[[], BaseException], kind: Any
) -> None:
    store, witness = WakingStore(), Witness()

    async def publish(envelope: Envelope) -> None:
        if envelope.event_name == "odd":
            raise odd()

    options = {"publish_timeout": LONG, "max_in_flight": 4, "plugins": [witness]}
    async with delivering(store, kind(publish), recovery=lambda _: Discard(), **options) as running:
        begun = now()
        await running.schedule_many(
            [*(message("odd", id=f"odd-{n}") for n in range(9)), *messages(9)]
        )
        await emptied(store)
        assert now() - begun < 1
    failures = [failure for batch in witness.failed for failure in batch]
    assert {failure.message.id for failure in failures} >= {f"odd-{n}" for n in range(9)}
    itself = "the transport cancelled the publish by itself"
    assert str(failures[0].error).partition(":")[0] in {type(odd()).__name__, itself}


def careless_timer(envelope: Envelope) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_later(0.2, task.cancel)


def left_count(envelope: Envelope) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


@pytest.mark.parametrize(
    ("kind", "leave"),
    [
        (KINDS[0], careless_timer),
        (KINDS[0], left_count),
        (Probed, careless_timer),
        (Probed, left_count),
        (ManyProbed, careless_timer),  # of which each has a task of its own that would end with it
    ],
)
@run_virtually
async def test_a_cancellation_that_is_left_behind_costs_nobody_a_slot(
    leave: Callable[[Envelope], None], kind: Any
) -> None:
    store = WakingStore()

    async def publish(envelope: Envelope) -> None:
        leave(envelope)

    async with delivering(store, kind(publish), publish_timeout=LONG, max_in_flight=4) as running:
        for number in range(12):
            await running.schedule(message(due=now(), id=f"m{number}"))
            await asyncio.sleep(0.4)
        await emptied(store, within=600)
        assert (await running.health()).status is not Status.UNHEALTHY


@run_virtually
async def test_contexts_of_functions_are_their_own() -> None:
    variable = contextvars.ContextVar[str]("variable", default="nothing")
    seen = []

    async def publish(envelope: Envelope) -> None:
        seen.append(variable.get())
        variable.set(envelope.message_id)

    store = WakingStore()
    async with delivering(store, publish) as running:
        await running.schedule_many(messages(9))
        await emptied(store)
    assert seen == ["nothing"] * 9


class Destructive:
    """A plugin of which every hook raises what is no error."""

    def __init__(self, odd: Callable[[], BaseException]) -> None:
        self.odd = odd
        self.asked = 0

    @hookimpl
    def duly_claimed(self, messages: Sequence[Message]) -> None:
        raise self.odd()

    @hookimpl
    def duly_delivered(self, deliveries: Sequence[Delivery]) -> None:
        raise self.odd()

    @hookimpl
    def duly_failed(self, failures: Sequence[Failure]) -> None:
        raise self.odd()

    @hookimpl
    def duly_recover(self, failure: Failure) -> None:
        self.asked += 1
        raise self.odd()


@pytest.mark.parametrize("odd", ODD, ids=["panic", "exit", "group", "cancelled"])
@run_virtually
async def test_whatever_observers_and_deciders_raise_all_is_delivered(
    odd: Callable[[], BaseException],
) -> None:
    store, plugin = WakingStore(), Destructive(odd)

    async def publish(envelope: Envelope) -> None:
        if envelope.attempt == 1:
            raise ValueError("not yet")

    transport = Probed(publish)
    async with delivering(store, transport, plugins=[plugin]) as running:
        await running.schedule_many(messages(9))
        await emptied(store, within=600)
        assert (await running.health()).status is not Status.UNHEALTHY
    assert len(transport.ended) == 9
    assert plugin.asked == 9


class Unspeakable(Exception):
    """An error that cannot be told."""

    def __str__(self) -> str:
        raise Panic

    @property
    def retry_after(self) -> object:
        raise Panic


@run_virtually
async def test_an_error_that_cannot_be_told_is_one_like_any_other() -> None:
    store = WakingStore()

    async def publish(envelope: Envelope) -> None:
        if envelope.attempt < 3:
            raise Unspeakable

    async with delivering(store, publish) as running:
        await running.schedule(message(id="x"))
        await until(lambda: now() > 1.5)
        assert (await running.get("x")).last_error == "Unspeakable"
        await emptied(store)


@run_virtually
async def test_a_logging_handler_that_raises_is_in_nobodys_way() -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise Panic("disk full")

    store, broken = WakingStore(), Broken()

    async def publish(envelope: Envelope) -> None:
        if envelope.attempt == 1:
            raise ValueError("told to the log")

    logging.getLogger("duly").addHandler(broken)
    try:
        async with delivering(store, publish) as running:
            await running.schedule_many(messages(9))
            await emptied(store)
    finally:
        logging.getLogger("duly").removeHandler(broken)


@run_virtually
async def test_a_worker_that_is_gone_is_replaced_and_what_it_held_is_finished() -> None:
    store, witness = WakingStore(), Witness()

    async def publish(envelope: Envelope) -> None:
        if envelope.attempt == 1:
            for task in asyncio.all_tasks():  # as a shutdown handler does that means it too well
                if task.get_name() == "duly-worker":
                    task.cancel()
        await asyncio.sleep(0.01)

    options = {"max_in_flight": 4, "publish_timeout": LONG, "plugins": [witness]}
    async with delivering(store, Probed(publish), **options) as running:
        await running.schedule_many(messages(20))
        await emptied(store)
    assert {str(each.error) for batch in witness.failed for each in batch} == {
        "the transport cancelled the publish by itself"
    }


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("odd", [SystemExit(3), KeyboardInterrupt()])
@pytest.mark.parametrize("way", ["start", "running", "run"])
def test_what_asks_the_process_to_end_drains_and_goes_on_outwards(
    odd: BaseException, is_async: bool, way: str
) -> None:
    store, ended = MemoryStore(), list[str]()

    async def slow() -> None:
        await asyncio.sleep(0.05)
        ended.append("slow")

    async def leave(envelope: Envelope) -> None:
        if envelope.event_name == "slow":
            await slow()
        else:
            raise odd

    def leave_plainly(envelope: Envelope) -> Awaitable[None] | None:
        if envelope.event_name == "slow":
            return slow()
        raise odd

    async def schedule() -> Scheduler:
        running = scheduler(store, leave if is_async else leave_plainly)
        await running.schedule_many([due("slow"), due("leaves", id="leaves")])
        return running

    async def main() -> None:
        running = await schedule()
        async with running:
            if way == "start":
                await running.start()
            else:
                async with running.running():
                    await asyncio.sleep(10)
        ended.append("gone on")

    with pytest.raises((SystemExit, KeyboardInterrupt)) as told:
        if way == "run":
            asyncio.run(schedule()).run()
        else:
            asyncio.run(main())
    assert told.value is odd
    assert ended == ["slow"]
    left = asyncio.run(store.get("leaves"))
    assert left is not None
    assert left.state is State.SCHEDULED
    assert left.retry_count == 1
    assert (left.last_error or "").endswith(f"{type(odd).__name__}: {odd}")


@run_virtually
async def test_a_run_that_ends_unasked_says_so() -> None:
    running = scheduler(WakingStore(), Probed())
    start = asyncio.create_task(running.start())
    await asyncio.sleep(1)
    for task in asyncio.all_tasks() - {asyncio.current_task(), start}:
        task.cancel()
    with pytest.raises(SchedulerStateError, match="somebody has cancelled its task"):
        await start
    health = await running.health()
    assert health.status is Status.UNHEALTHY
    assert "delivery has ended unasked" in health.reason
    async with running.running():
        assert (await running.health()).status is not Status.UNHEALTHY


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
@pytest.mark.parametrize("number", [1, 10, 300])
@pytest.mark.parametrize("kind", KINDS, ids=["function", "transport", "many at a time"])
def test_loops_that_start_tasks_at_once(kind: Any, number: int) -> None:
    ended = []

    async def publish(envelope: Envelope) -> None:
        await asyncio.sleep(0.001)
        ended.append(envelope.message_id)

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory", None))
        store = MemoryStore()
        async with delivering(store, kind(publish)) as running:
            for turn in range(3):
                await running.schedule_many([due(id=f"{turn}-{n}") for n in range(number)])
                async with asyncio.timeout(20):
                    while len(ended) < (turn + 1) * number:  # noqa: ASYNC110  # they are plain
                        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert len(set(ended)) == 3 * number
