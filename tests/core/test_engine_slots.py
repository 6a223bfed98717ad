"""Slots: who publishes how much, for how long, and that no publish holds up the rest."""

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    SOON,
    ManyProbed,
    Probed,
    WakingStore,
    Witness,
    delivering,
    emptied,
    kill,
    message,
    messages,
    now,
    scheduler,
    sleeping,
    until,
)

from duly import Backoff, Envelope, Every, Message, State, TransportError
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)


@run_virtually
async def test_it_claims_when_slots_are_free_and_not_when_its_batch_is_done() -> None:
    store = WakingStore()

    async def publish(envelope: Envelope) -> None:
        await asyncio.sleep(1000 if envelope.message_id.endswith("-0") else 0.01)

    transport = Probed(publish)
    async with delivering(
        store, transport, batch_size=10, publish_timeout=SECOND * 5000
    ) as running:
        await running.schedule_many(messages(100))
        await until(lambda: len(transport.ended) == 99, within=1)
        await running.stop(timedelta(0))


@pytest.mark.parametrize(("slots", "batch_size"), [(1, 1), (1, 100), (3, 10), (50, 10), (10, 1000)])
@run_virtually
async def test_never_more_in_hand_than_the_free_slots_and_a_batch(
    slots: int, batch_size: int
) -> None:
    store = WakingStore()
    dice = random.Random(slots)
    most = 0

    async def look(verb: str, done: bool) -> None:
        nonlocal most
        engine = running._engine
        if engine is not None:
            lanes = engine.workers.lanes
            assert lanes.waiting <= lanes.slots.free + batch_size
            most = max(most, lanes.waiting + lanes.slots.running)

    async def publish(envelope: Envelope) -> None:
        await asyncio.sleep(dice.uniform(0.001, 0.08))
        await look("", False)

    store.faults.append(look)
    transport = Probed(publish)
    running = scheduler(store, transport, max_in_flight=slots, batch_size=batch_size)
    async with running.running():
        await running.schedule_many(messages(1500))
        await emptied(store, within=600)
    assert most <= slots + batch_size
    assert transport.most == slots
    assert max(store.limits) <= batch_size


@run_virtually
async def test_what_is_done_is_settled_within_100_ms_while_one_publish_hangs() -> None:
    store = WakingStore()
    dice = random.Random(5)
    late: list[str] = []

    async def look(id: str) -> None:
        await asyncio.sleep(0.1 + SOON)
        if await store.inner.get(id) is not None:
            late.append(id)

    async def publish(envelope: Envelope) -> None:
        if envelope.event_name == "hangs":
            await asyncio.Event().wait()
        await asyncio.sleep(dice.uniform(0, 2))
        looks.append(asyncio.create_task(look(envelope.message_id)))

    looks: list[asyncio.Task[None]] = []
    transport = Probed(publish)
    async with delivering(store, transport) as running:
        await running.schedule_many([message("hangs"), *messages(98)])
        await until(lambda: len(transport.ended) == 98, within=3)
        await asyncio.wait(looks)
        assert late == []
        await running.stop(timedelta(0))


@run_virtually
async def test_a_crash_after_an_early_settlement_redelivers_only_the_rest() -> None:
    store = WakingStore()
    go_on = asyncio.Event()

    async def publish(envelope: Envelope) -> None:
        if envelope.event_name == "hangs":
            await go_on.wait()

    first, second = Probed(publish), Probed()
    victim = scheduler(store, first, stuck_duration=SECOND * 3)
    start = asyncio.create_task(victim.start())
    await victim.schedule_many([*messages(40), message("hangs", id="hung"), *messages(40, "b")])
    await until(lambda: len(first.ended) == 80)
    await asyncio.sleep(0.1 + SOON)
    await kill(victim)
    await asyncio.wait([start])
    go_on.set()
    async with delivering(store, second):
        await emptied(store)
    assert second.ids == ["hung"]


@run_virtually
async def test_a_publish_is_cancelled_at_its_timeout_and_counts_as_failed() -> None:
    store, transport, witness = WakingStore(), Probed(sleeping(100)), Witness()
    options = {"publish_timeout": SECOND * 2, "recovery": Backoff(max_retries=1, jitter=0)}
    async with delivering(store, transport, plugins=[witness], **options) as running:
        await running.schedule(message(id="x"))
        await until(lambda: len(witness.failed) == 2)
        dead = await running.get("x")
    assert dead.state is State.DEAD
    assert dead.last_error == "TimedOut: publish took longer than 2 s"
    first, second = transport.times("x")
    assert 3 <= second - first <= 3.2  # two seconds to time out and one to be tried again
    assert transport.running == 0


@run_virtually
async def test_one_that_ignores_its_cancellation_is_abandoned_after_a_second() -> None:
    store, witness = WakingStore(), Witness()
    free = asyncio.Event()

    async def publish(envelope: Envelope) -> None:
        while envelope.event_name == "stubborn" and not free.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await free.wait()

    transport = Probed(publish)
    options = {"max_in_flight": 1, "publish_timeout": SECOND, "plugins": [witness]}
    async with delivering(store, transport, recovery=lambda failure: None, **options) as running:
        await running.schedule_many([message("stubborn", id="s"), *messages(20, due=0.1)])
        await until(lambda: len(transport.ended) == 20, within=2.2)
        assert (await running.get("s")).retry_count == 1
        assert [each.error.__class__.__name__ for each in witness.failed[0]] == ["TimedOut"]
        free.set()
        await emptied(store)
    assert sorted(transport.ids) == sorted([*(f"event-{n}" for n in range(20)), "s", "s"])


@run_virtually
async def test_one_that_survives_its_cancellation_is_delivered() -> None:
    """What the broker accepted is accepted, whenever that was."""
    store = WakingStore()

    async def publish(envelope: Envelope) -> str:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(0.5)
        return "accepted"

    transport, witness = Probed(publish), Witness()
    async with delivering(store, transport, publish_timeout=SECOND, plugins=[witness]) as running:
        await running.schedule(message())
        await emptied(store)
    assert [each.receipt for each in witness.delivered[0]] == ["accepted"]
    assert len(transport.begun) == 1
    assert not witness.failed


@run_virtually
async def test_a_slot_works_on_after_a_cancellation_of_its_publish() -> None:
    store, transport = WakingStore(), Probed()
    options = {"max_in_flight": 1, "publish_timeout": SECOND}

    async def publish(envelope: Envelope) -> None:
        await asyncio.sleep(100 if len(transport.begun) in (1, 2, 3) else 0.5)
        if len(transport.begun) in (4, 5):
            raise asyncio.CancelledError  # would end the worker were an old one still counted

    transport = Probed(publish)
    async with delivering(store, transport, **options) as running:
        await running.schedule_many(messages(10))
        await until(lambda: len(transport.begun) == 6, within=3 * 1.06 + 2 * 0.51)
        await emptied(store)
    assert len(transport.ended) == 10


@run_virtually
async def test_a_transport_that_does_nothing_starves_nobody() -> None:
    store = WakingStore()
    published = most = 0

    async def publish(envelope: Envelope) -> None:
        nonlocal published
        published += 1

    async def others() -> None:
        nonlocal published, most
        while True:
            most, published = max(most, published), 0
            await asyncio.sleep(0)

    watch = asyncio.create_task(others())
    async with delivering(store, publish, batch_size=1000, max_in_flight=1) as running:
        await running.schedule_many(messages(9000))
        await emptied_quickly(store)
    watch.cancel()
    assert 0 < most <= 256


async def emptied_quickly(store: WakingStore) -> None:
    while (await store.inner.stats()).scheduled:  # noqa: ASYNC110  # no time is to pass meanwhile
        await asyncio.sleep(0)


async def test_a_transport_that_blocks_the_loop_is_interrupted_between_messages() -> None:
    """On a loop of real time: 5 ms at a time, of which each publish takes one."""
    from duly.memory import MemoryStore

    store = MemoryStore()
    published = most = 0

    async def publish(envelope: Envelope) -> None:
        nonlocal published
        time.sleep(0.001)  # noqa: ASYNC251  # the very thing one must not do
        published += 1

    async def others() -> None:
        nonlocal published, most
        while True:
            most, published = max(most, published), 0
            await asyncio.sleep(0)

    watch = asyncio.create_task(others())
    async with delivering(store, publish, max_in_flight=1) as running:
        await running.schedule_many(messages(100, due=-1e9))
        while (await store.stats()).scheduled + (await store.stats()).claimed:  # noqa: ASYNC110  # as it runs
            await asyncio.sleep(0)
    watch.cancel()
    assert 0 < most <= 6


@run_virtually
async def test_odd_errors_of_a_transport_are_failed_attempts() -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    async def cancelled() -> None:
        raise asyncio.CancelledError

    odd: dict[str, Any] = {
        "unprintable": Unprintable(),
        "timeout": TimeoutError(),
        "stop": StopAsyncIteration(),
        "nul": TransportError("\0 and \udc80"),
        "group": ExceptionGroup("some", [ValueError("one")]),
        "cancelled": asyncio.CancelledError(),
    }

    async def publish(envelope: Envelope) -> None:
        raise odd[envelope.event_name]

    store, witness = WakingStore(), Witness()
    options = {"plugins": [witness], "recovery": Backoff(max_retries=0), "max_in_flight": 2}
    async with delivering(store, publish, **options) as running:
        await running.schedule_many([message(name, id=name) for name in odd])
        await emptied(store)
        dead = {name: await running.get(name) for name in odd}
    assert {each.state for each in dead.values()} == {State.DEAD}
    assert dead["unprintable"].last_error == "Unprintable"
    assert dead["cancelled"].last_error == (
        "TransportError: the transport cancelled the publish by itself"
    )
    assert len([each for batch in witness.failed for each in batch]) == len(odd)


@run_virtually
async def test_when_the_outcome_cannot_be_decided_the_message_is_put_back_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, transport, witness = WakingStore(), Probed(), Witness()

    def broken(message: Message) -> None:
        raise ZeroDivisionError

    async with delivering(store, transport, plugins=[witness]) as running:
        with monkeypatch.context() as patch:
            patch.setattr("duly._engine.delivery.next_fire", broken)
            await running.schedule(message(recurrence=Every(SECOND, max_occurrences=1)))
            await running.schedule(message())
            await asyncio.sleep(5)
            assert len(transport.begun) == 2
            assert (await running.stats()).claimed == 0
        await emptied(store)
    assert [time for time, _ in transport.begun] == pytest.approx([0, 0, 10], abs=0.01)
    assert sum(map(len, witness.delivered)) == 2
    assert not witness.failed


class Fatal(BaseException):
    """As a KeyboardInterrupt raised by a handler, that does not stop the loop."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@run_virtually
async def test_a_worker_that_dies_is_replaced_after_the_publish_timeout() -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    store = WakingStore()

    async def publish(envelope: Envelope) -> None:
        if len(transport.begun) == 1:
            raise Fatal

    transport = Probed(publish)
    async with delivering(store, transport, max_in_flight=1, publish_timeout=SECOND) as running:
        await running.schedule_many(messages(3))
        await emptied(store)
    assert sorted(transport.ids) == ["event-0", "event-1", "event-2"]


class Choosy(ManyProbed):
    """Answers as it is told."""

    def __init__(self, answers: list[Any]) -> None:
        super().__init__()
        self.answers = answers
        self.sizes: list[int] = []

    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        self.sizes.append(len(envelopes))
        self.begun += [(now(), envelope) for envelope in envelopes]
        answer = self.answers.pop(0) if self.answers else [None] * len(envelopes)
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[no-any-return]  # whatever it is told


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ([TransportError("one"), None, None], "TransportError: one"),
        ([asyncio.CancelledError(), "a", "b"], "TransportError: the transport cancelled"),
        ([None, None], "TransportError: publish_many gave 2 outcomes for 3 messages"),
        (None, "TransportError: publish_many returned NoneType, not a sequence of outcomes"),
        (ValueError("all"), "ValueError: all"),
        (asyncio.CancelledError(), "TransportError: the transport cancelled"),
    ],
)
@run_virtually
async def test_many_at_a_time_each_has_its_outcome(answer: Any, error: str) -> None:
    store, transport, witness = WakingStore(), Choosy([answer]), Witness()
    async with delivering(store, transport, plugins=[witness], max_in_flight=3) as running:
        await running.schedule_many(messages(3))
        await emptied(store)
    failed = [each for batch in witness.failed for each in batch]
    one = isinstance(answer, list) and len(answer) == 3
    assert len(failed) == (1 if one else 3)
    delivered = [each.message.id for batch in witness.delivered for each in batch]
    assert sorted(delivered) == ["event-0", "event-1", "event-2"]
    # The retries remember why.
    retried = [each.message for batch in witness.delivered for each in batch]
    assert {each.last_error for each in retried if each.retry_count} == {
        each.last_error for each in retried if (each.last_error or "").startswith(error)
    }


@run_virtually
async def test_many_at_a_time_are_at_most_a_hundred_and_no_more_than_the_slots() -> None:
    store, transport = WakingStore(), Choosy([])
    async with delivering(store, transport, batch_size=1000, max_in_flight=2000) as running:
        await running.schedule_many([*messages(500, "a"), *messages(500, "b")])
        await emptied(store)
    assert max(transport.sizes) == 100
    store, transport = WakingStore(), Choosy([])
    async with delivering(store, transport, max_in_flight=7) as running:
        await running.schedule_many(messages(50))
        await emptied(store)
    assert max(transport.sizes) <= 7


@run_virtually
async def test_many_at_a_time_are_cancelled_and_abandoned_like_one() -> None:
    store, witness = WakingStore(), Witness()

    class Stubborn(ManyProbed):
        async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
            self.begun += [(now(), envelope) for envelope in envelopes]
            try:
                await asyncio.sleep(30 if len(self.begun) <= 4 else 0)
            except asyncio.CancelledError:
                if len(self.begun) == 2:
                    await asyncio.sleep(30)
                raise
            return [None] * len(envelopes)

    transport = Stubborn()
    options = {"max_in_flight": 2, "publish_timeout": SECOND, "plugins": [witness]}
    async with delivering(store, transport, recovery=Backoff(jitter=0), **options) as running:
        await running.schedule_many(messages(2))
        await emptied(store)
    errors = {str(each.error) for batch in witness.failed for each in batch}
    assert errors == {"publish took longer than 1 s"}
    times = [time for time, _ in transport.begun]
    assert times == pytest.approx([0, 0, 3, 3, 6, 6], abs=0.25)


@run_virtually
async def test_many_at_a_time_those_not_wanted_any_more_are_left_out() -> None:
    store, transport = WakingStore(), ManyProbed(sleeping(1))
    witness = Witness()
    async with delivering(store, transport, max_in_flight=1, plugins=[witness]) as running:
        await running.schedule_many(
            [message(id="a"), message(id="b", due=0.1, expires_at=message(due=0.5).scheduled_at)]
        )
        await emptied(store)
        assert (await running.get("b")).state is State.DEAD
    assert transport.ids == ["a"]
