"""A message on its way: never early, in order of due time, once."""

import asyncio
import logging
import random
from datetime import timedelta

import pytest
from tests.core.engine_kit import (
    MICROSECOND,
    ManyProbed,
    Probed,
    WakingStore,
    WatchedStore,
    Witness,
    at,
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

from duly import Envelope, Message
from duly.memory import MemoryStore
from duly.testing.clock import START, HandClock, run_virtually


@run_virtually
async def test_a_message_is_published_at_its_microsecond() -> None:
    store, transport = WakingStore(), Probed()
    due = [1.5, 1.500001, 2.0, 7.25, 59.999999]
    async with delivering(store, transport) as running:
        for each in random.Random(1).sample(due, len(due)):
            await running.schedule(message(due=each))
        await emptied(store, within=61)
    assert [time for time, _ in transport.begun] == due


@run_virtually
async def test_what_is_past_due_is_published_at_once() -> None:
    store, transport = WakingStore(), Probed()
    async with delivering(store, transport) as running:
        await asyncio.sleep(3)
        await running.schedule(message(due=-86_400))
        await running.schedule(message(due=0))
        await emptied(store)
    assert [time for time, _ in transport.begun] == [3, 3]


@run_virtually
async def test_the_stores_clock_decides_and_not_this_hosts() -> None:
    clock, transport, store = HandClock(), Probed(), WakingStore()
    store.inner = MemoryStore(clock=clock)
    async with delivering(store, transport) as running:
        await running.schedule(message(due=1))
        await asyncio.sleep(3600)
        asked = store.count("claim")
        clock.set(at(1) - MICROSECOND)
        await running.schedule(message(due=2))  # makes it look
        await asyncio.sleep(0.0001)
        assert store.count("claim") > asked
        assert not transport.begun
        clock.advance(MICROSECOND)
        await until(lambda: transport.ended, within=5)


@pytest.mark.parametrize("rate", [0.5, 0.999, 1.001, 2.0])
@run_virtually
async def test_never_early_though_the_stores_clock_runs_at_another_pace(rate: float) -> None:
    loop = asyncio.get_running_loop()
    early: list[Envelope] = []

    def store_time() -> float:
        return loop.time() * rate

    async def publish(envelope: Envelope) -> None:
        if at(store_time()) < envelope.scheduled_at:
            early.append(envelope)

    store = WakingStore()
    store.inner = MemoryStore(clock=lambda: at(store_time()))
    transport = Probed(publish)
    async with delivering(store, transport) as running:
        await running.schedule_many([message(due=number * 0.37) for number in range(100)])
        await emptied(store, within=100)
    assert len(transport.begun) == 100
    assert not early


@run_virtually
async def test_lateness_is_never_negative_though_the_stores_clock_is_put_back() -> None:
    clock, witness, go_on = HandClock(), Witness(), asyncio.Event()

    async def publish(envelope: Envelope) -> None:
        await go_on.wait()

    async with delivering(MemoryStore(clock=clock), publish, plugins=[witness]) as running:
        clock.advance(seconds=10)
        await running.schedule(message("first", due=10))
        await asyncio.sleep(1)
        clock.set(START)
        await running.schedule(message("second"))
        await asyncio.sleep(6)
        go_on.set()
        await until(lambda: len(witness.delivered) == 2)
    latest = [each.lateness for batch in witness.delivered for each in batch]
    assert min(latest) == timedelta(0)


@run_virtually
async def test_lateness_is_published_minus_scheduled() -> None:
    store, witness = WakingStore(), Witness()
    async with delivering(store, sleeping(0.25), plugins=[witness]) as running:
        await running.schedule(message(due=1))
        await asyncio.sleep(2)
        await running.schedule(message(due=0.5))
        await emptied(store)
    latest = [each.lateness for batch in witness.delivered for each in batch]
    assert latest == [timedelta(seconds=0.25), timedelta(seconds=1.75)]


@pytest.mark.parametrize("batch_size", [1, 7, 100])
@run_virtually
async def test_with_one_slot_publishes_follow_the_due_times(batch_size: int) -> None:
    store = WakingStore()
    pauses = random.Random(2)

    async def publish(envelope: Envelope) -> None:
        await asyncio.sleep(pauses.choice([0, 0.0001, 0.003, 0.07, 0.3]))

    transport = Probed(publish)
    due = random.Random(3)
    some = [message(due=due.choice([0, 0.001, 0.002, 1, 1.001, 5, 20])) for _ in range(200)]
    async with delivering(store, transport, max_in_flight=1, batch_size=batch_size) as running:
        await running.schedule_many(some)
        await emptied(store, within=200)
    expected = sorted(some, key=lambda each: each.scheduled_at)  # equal ones as they were stored
    assert transport.ids == [each.id for each in expected]
    assert transport.most == 1


@run_virtually
async def test_from_claim_to_claim_order_is_due_time() -> None:
    store, witness = WakingStore(), Witness()
    async with delivering(store, Probed(), plugins=[witness], batch_size=3) as running:
        await running.schedule_many([message(due=number / 1000) for number in range(10, 0, -1)])
        await emptied(store)
    claimed = [each.scheduled_at for batch in witness.claimed for each in batch]
    assert claimed == sorted(claimed)
    assert len(claimed) == 10


@run_virtually
async def test_one_that_comes_in_earlier_wakes_the_scheduler() -> None:
    store, transport = WakingStore(), Probed()
    async with delivering(store, transport) as running:
        await running.schedule(message("late", due=4.9))
        await asyncio.sleep(0.1)
        await running.schedule(message("early", due=0.5))
        await emptied(store)
    assert [time for time, _ in transport.begun] == [0.5, 4.9]


@run_virtually
async def test_its_own_schedule_wakes_it_where_the_store_cannot() -> None:
    store, transport = WatchedStore(), Probed()
    day = timedelta(days=1)
    async with delivering(store, transport, poll_interval=day) as running:
        await asyncio.sleep(60)
        claims = store.count("claim")
        await running.schedule(message(due=3600))
        await asyncio.sleep(60)
        assert store.count("claim") == claims + 1
        await running.schedule(message(due=130))
        await running.schedule(message(due=200_000))  # after the nap: nothing to wake for
        await emptied_of(store, transport, 2)
    assert [time for time, _ in transport.begun] == [130, 3600]


async def emptied_of(store: WatchedStore, transport: Probed, count: int) -> None:
    await until(lambda: len(transport.ended) == count, within=4000)
    await until(lambda: store.settles)


@run_virtually
async def test_one_that_is_stored_while_it_claims_is_seen() -> None:
    """The claim may have been carried out just before; without wake-ups nothing else would tell."""
    store, transport = WatchedStore(), Probed()

    async def slow_claim(verb: str, done: bool) -> None:
        if verb == "claim" and done:
            await asyncio.sleep(0.5)

    store.faults.append(slow_claim)
    async with delivering(store, transport, poll_interval=timedelta(days=1)) as running:
        await asyncio.sleep(0.25)
        await running.schedule(message(due=2))
        await until(lambda: transport.ended, within=3)
        await running.schedule(message(due=6))  # while it settles that one and claims in vain
        await until(lambda: len(transport.ended) == 2, within=5)
    assert [time for time, _ in transport.begun] == [2 + 0.5, 6 + 0.5]


@run_virtually
async def test_another_clients_message_is_seen_within_the_poll_interval() -> None:
    store, transport = WatchedStore(), Probed()
    async with delivering(store, transport, poll_interval=timedelta(seconds=2)):
        await asyncio.sleep(1)
        async with scheduler(store, transport) as other:
            await other.schedule(message())
        await until(lambda: transport.ended, within=2)


class PeekingStore(WatchedStore):
    """Cannot wake anybody but tells cheaply whether something changed."""

    def __init__(self) -> None:
        super().__init__()
        self.puts = 0

    async def changed(self) -> bool:
        self.calls.append((now(), "changed"))
        puts, self.puts = self.puts, self.count("put")
        return puts != self.puts


@run_virtually
async def test_a_store_that_can_be_asked_for_changes_is_asked_instead_of_claimed() -> None:
    store, transport = PeekingStore(), Probed()
    options = {"poll_interval": timedelta(seconds=0.1)}
    # As SQLite: wakes what is in the same process, knows of changes by others.
    store.wait_for_change = asyncio.Event().wait  # type: ignore[attr-defined]  # makes it SupportsWakeups
    async with delivering(store, transport, **options):
        await asyncio.sleep(20)
        assert store.count("claim") <= 5
        assert store.count("changed") == pytest.approx(200, abs=5)
        async with scheduler(store, transport) as other:
            await other.schedule(message(due=20))
        await until(lambda: transport.ended, within=0.2)


@run_virtually
async def test_the_envelope_tells_all_there_is() -> None:
    store = WakingStore()

    async def publish(envelope: Envelope) -> str:
        if envelope.attempt == 1:
            raise ValueError("once")
        return "receipt-1"

    transport, witness = Probed(publish), Witness()
    stored = message("orders", due=1, payload=b"\0\xff", metadata={"a": "b"}, id="x")
    async with delivering(store, transport, plugins=[witness]) as running:
        await running.schedule(stored)
        await emptied(store)
    (_, first), (_, second) = transport.begun
    assert (first.message_id, first.event_name, first.payload) == ("x", "orders", b"\0\xff")
    assert (first.scheduled_at, first.occurrence, first.attempt) == (at(1), 0, 1)
    assert dict(first.metadata) == {"a": "b"}
    assert second.attempt == 2
    assert first.delivery_id == second.delivery_id == stored.delivery_id
    assert first.headers["duly-attempt"] == "1"
    (delivery,) = witness.delivered[0]
    assert delivery.receipt == "receipt-1"


@run_virtually
async def test_two_schedulers_share_a_store_and_deliver_each_message_once() -> None:
    store = WakingStore()
    first, second = Probed(sleeping(0.01)), Probed(sleeping(0.01))
    async with delivering(store, first, max_in_flight=5, batch_size=7):
        async with delivering(store, second, max_in_flight=5, batch_size=7) as running:
            some = messages(500)
            await running.schedule_many(some)
            await emptied(store)
    assert sorted(first.ids + second.ids) == sorted(each.id for each in some)
    assert len(first.ids) > 100
    assert len(second.ids) > 100


@run_virtually
async def test_whatever_dies_whenever_nothing_is_lost() -> None:
    """Schedulers are killed at random moments; every message is delivered in the end."""
    store, transport = WakingStore(), Probed(sleeping(0.02))
    dice = random.Random(4)
    some = messages(300)
    async with scheduler(store, transport) as client:
        await client.schedule_many(some)
    lease = timedelta(seconds=1)
    for _ in range(20):
        victim = scheduler(store, transport, stuck_duration=lease, max_in_flight=8, batch_size=9)
        start = asyncio.create_task(victim.start())
        await asyncio.sleep(dice.uniform(0, 0.3))
        await kill(victim)
        await asyncio.wait([start])
    async with delivering(store, transport, stuck_duration=lease):
        await emptied(store)
    assert {*transport.ids} == {each.id for each in some}


@pytest.mark.parametrize("kind", [Probed, ManyProbed])
@run_virtually
async def test_a_drain_delivers_each_once(kind: type[Probed]) -> None:
    store, transport = WakingStore(), kind()
    some = [*messages(2000, "a"), *messages(2000, "b"), *messages(3, "c")]
    async with delivering(store, transport) as running:
        await running.schedule_many(some)
        await emptied(store)
    assert sorted(transport.ids) == sorted(each.id for each in some)


@run_virtually
async def test_a_plain_function_will_do_as_a_transport() -> None:
    seen: list[Message | Envelope] = []

    async def handler(envelope: Envelope) -> None:
        seen.append(envelope)

    store = WakingStore()
    async with delivering(store, handler) as running:
        await running.schedule(message())
        await emptied(store)
    assert len(seen) == 1


@run_virtually
async def test_a_logging_handler_that_raises_keeps_no_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(record: logging.LogRecord) -> None:
        lost.append(record.getMessage().partition(" ")[0])
        raise OSError("the log server is gone")

    lost: list[str] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", fail)
    monkeypatch.setattr(logging.getLogger("duly"), "handlers", [handler])
    monkeypatch.setattr(logging, "raiseExceptions", False)
    store, transport = WatchedStore(), Probed()
    running = scheduler(store, transport)
    await running.schedule_many([message(due=0) for _ in range(9)])
    await running.schedule(message("late", due=0, expires_at=at(1)))
    await asyncio.sleep(2)
    async with running.running():
        await until(lambda: len(transport.begun) == 9)
    stats = await running.stats()  # after draining, which settles what was delivered
    assert lost == ["delivery_failed"]
    assert (stats.scheduled, stats.claimed, stats.dead) == (0, 0, 1)
