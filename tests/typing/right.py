"""Uses of the public API that a type checker must take as they are."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

import duly
import duly.sync
import duly.testing
from duly.store import (
    Batch,
    Bury,
    Claim,
    Counters,
    Group,
    Key,
    Release,
    Reschedule,
    Settle,
    Settlement,
    Stats,
    Store,
    SupportsHealth,
    SupportsWakeups,
)
from duly.transport import SupportsBatches, Transport

AT = datetime(2030, 1, 1, tzinfo=UTC)
END = datetime(2031, 1, 1, tzinfo=UTC)


def messages() -> list[duly.Message]:
    return [
        duly.Message("orders.reminder", scheduled_at=AT),
        duly.Message("orders.reminder", b"{}", scheduled_at=duly.after(hours=1), id="order-1"),
        duly.Message(
            "orders.reminder", payload=b"{}", scheduled_at=None, recurrence=duly.Cron("0 * * * *")
        ),
        duly.Message(
            "tick", recurrence=duly.Every(timedelta(hours=1), max_occurrences=3, missed="all")
        ),
        duly.Message(
            "tick", recurrence=duly.Cron("0 12 * * *", timezone="Europe/Berlin", until=AT)
        ),
        duly.Message(
            "a", scheduled_at=AT, metadata={"key": "value"}, expires_at=END, created_at=AT
        ),
    ]


def fields(message: duly.Message) -> None:
    assert_type(message.id, str)
    assert_type(message.payload, bytes)
    assert_type(message.scheduled_at, datetime)
    assert_type(message.created_at, datetime)
    assert_type(message.next_attempt_at, datetime)
    assert_type(message.expires_at, datetime | None)
    assert_type(message.metadata, Mapping[str, str])
    assert_type(message.state, duly.State)
    assert_type(message.retry_count, int)
    assert_type(message.last_error, str | None)
    assert_type(message.delivery_id, str)


async def verbs(client: duly.Client) -> None:
    assert_type(await client.schedule(messages()[0], replace=True), str)
    assert_type(await client.schedule_many((each for each in messages()), atomic=False), list[str])
    if await client.cancel("a", missing_ok=True):
        pass
    assert_type(await client.cancel("a"), duly.Cancellation)
    assert_type(await client.cancel_many(duly.Filter(event_name="a", before=AT)), int)
    await client.reschedule("a", AT)
    await client.replay("a", at=None)
    assert_type(await client.get("a"), duly.Message)
    assert_type(await client.list(), Sequence[duly.Message])
    assert_type(
        await client.list(duly.Filter(state=duly.State.DEAD, limit=5)), Sequence[duly.Message]
    )
    async for message in client.iterate(duly.Filter(after=AT)):
        assert_type(message, duly.Message)
    assert_type(await client.purge(everything=True), int)
    assert_type(await client.stats(), duly.Stats)
    assert_type(await client.health(), duly.Health)
    assert_type(await client.migrate(dry_run=True), Sequence[str])


def blocking_verbs(client: duly.sync.Client) -> None:
    client.open()
    assert_type(client.schedule(messages()[0], replace=True, within=None), str)
    assert_type(client.schedule_many(messages(), atomic=False), list[str])
    assert_type(client.cancel("a", missing_ok=True), duly.Cancellation)
    assert_type(client.cancel_many(duly.Filter(event_name="a")), int)
    client.reschedule("a", AT)
    client.replay("a", at=None)
    assert_type(client.get("a"), duly.Message)
    assert_type(client.list(payload=False), Sequence[duly.Message])
    for message in client.iterate():
        assert_type(message, duly.Message)
    assert_type(client.purge(everything=True), int)
    assert_type(client.stats(), duly.Stats)
    assert_type(client.health(timeout=timedelta(seconds=1)), duly.Health)
    assert_type(client.migrate(), Sequence[str])
    duly.sync.Client("memory://", max_payload=5, plugins=[])
    duly.sync.Scheduler("memory://", print, batch_size=5, recovery=None, max_payload=5).start()


async def testing(envelope: object) -> None:
    store = duly.testing.FakeStore(now=AT)
    scheduler = duly.Scheduler(store, print)
    assert_type(await store.advance(days=1), datetime)
    assert_type(store.after(hours=1), datetime)
    assert_type(
        await scheduler.drain(store.now, raise_failures=False, limit=5), Sequence[duly.Delivery]
    )
    assert_type(duly.sync.Scheduler(store, print).drain(), Sequence[duly.Delivery])
    found = duly.testing.assert_scheduled(await scheduler.list(within=envelope), "a", order_id=17)
    assert_type(found, duly.Message)


class Recorder:
    """A transport, by its shape alone."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def publish(self, envelope: duly.Envelope) -> str | None:
        return envelope.headers["duly-delivery-id"]

    async def publish_many(
        self, envelopes: Sequence[duly.Envelope]
    ) -> Sequence[str | Exception | None]:
        return [duly.Rejected("never") for _ in envelopes]


class Cupboard:
    """A store, by its shape alone."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def put(
        self, groups: Sequence[Group], *, within: Any = None
    ) -> Sequence[Exception | None]:
        return [None for group in groups if group.messages]

    async def cancel(
        self, ids: Sequence[str], *, of_state: duly.State | None = None, within: Any = None
    ) -> Sequence[duly.State | None]:
        return [of_state for _ in ids]

    async def reschedule(
        self, id: str, at: datetime | None, *, of_state: duly.State, within: Any = None
    ) -> duly.State | None:
        return of_state

    async def get(self, id: str) -> duly.Message | None:
        return None

    async def list(
        self, filter: duly.Filter, *, from_key: tuple[datetime, str] | None = None
    ) -> Sequence[duly.Message]:
        return []

    async def claim(
        self,
        *,
        limit: int,
        lease: timedelta,
        owner: str,
        suspects: bool = True,
        settle: Sequence[Settle] = (),
    ) -> Batch:
        return Batch(token="t", claims=[Claim(1, messages()[0], lapses=0)], now=AT, settled=[True])

    async def renew(
        self, tokens: Sequence[str], lease: timedelta
    ) -> Sequence[Collection[Key] | None]:
        return [() for _ in tokens]

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool]:
        counters = Counters(AT, retry_count=1)
        outcomes: list[Settlement] = [
            Release(AT),
            Reschedule(AT, counters),
            Bury("no", Reschedule(AT, counters)),
        ]
        return [Settle("t", dict(enumerate(outcomes)), only={1, 2}) in settles]

    async def stats(self) -> Stats:
        return Stats(scheduled=0, claimed=0, dead=0)

    async def wait_for_change(self) -> None: ...

    async def check(self) -> Sequence[str]:
        return ["dusty"]


store: Store = Cupboard()
wakeups: SupportsWakeups = Cupboard()
health: SupportsHealth = Cupboard()
transport: Transport = Recorder()
batches: SupportsBatches = Recorder()


class Plugin:
    @duly.hookimpl
    def duly_stores(self) -> Mapping[str, type[Cupboard]]:
        return {"cupboard": Cupboard}

    @duly.hookimpl
    def duly_recover(self, failure: duly.Failure) -> duly.Verdict | None:
        if isinstance(failure.error, duly.TransportError) and failure.error.retry_after:
            return duly.Retry(failure.error.retry_after)
        return duly.Bury("enough") if failure.attempt > 3 else None

    @duly.hookimpl
    def duly_delivered(self, deliveries: Sequence[duly.Delivery]) -> None:
        for delivery in deliveries:
            assert_type(delivery.lateness, timedelta)
            assert_type(delivery.receipt, str | None)


local = duly.LocalTransport()


@local.on("orders.reminder")
async def remind(envelope: duly.Envelope) -> None:
    assert_type(envelope.attempt, int)


@local.on("orders.paid")
def paid(envelope: duly.Envelope) -> None:
    assert_type(envelope.payload, bytes)


@dataclasses.dataclass
class Order:
    order_id: int


typed = duly.Event("orders.typed", Order)


@local.on(typed, max_in_flight=3, timeout=timedelta(minutes=1), recovery=duly.Backoff())
async def order_alone(order: Order) -> int:
    return order.order_id


@local.on(typed)
async def order_and_envelope(order: Order, envelope: duly.Envelope) -> None: ...


@local.on(typed)
def envelope_alone(envelope: duly.Envelope) -> None: ...


@local.on(typed)
def neither() -> None: ...


@local.cron("30 2 * * *", id="nightly", timezone="Europe/Berlin")
async def nightly() -> None: ...


@local.every(timedelta(hours=1), id="hourly", event=typed, payload=Order(17))
def hourly(order: Order) -> None: ...


@local.wrap
@contextlib.asynccontextmanager
async def around(envelope: duly.Envelope) -> AsyncGenerator[None, None]:
    yield


async def lost(envelope: duly.Envelope) -> None: ...


def decide(failure: duly.Failure) -> duly.Retry | duly.Discard:
    return duly.Retry() if failure.lapses else duly.Discard()


async def main() -> None:
    async with duly.Client("memory://", load_plugins=["duly-sqlite"], plugins=[Plugin()]) as client:
        await verbs(client)
    async with duly.Scheduler("sqlite:///orders.db", local, recovery=duly.Backoff()) as scheduler:
        assert_type(scheduler, duly.Scheduler)
        async with scheduler.running():
            await verbs(scheduler)
        await scheduler.start()
        await scheduler.stop(timedelta(seconds=5))
    duly.Scheduler(duly.MemoryStore(), Recorder(), recovery=decide, batch_size=10)
    duly.Scheduler(Cupboard(), lost, poll_interval=timedelta(seconds=1))
    duly.Scheduler("memory://", "nats://localhost").run()


asyncio.run(main())
