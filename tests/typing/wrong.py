"""Uses of the public API that a type checker must find; each says what is to be reported."""

from datetime import UTC, datetime, timedelta

import duly
import duly.sync

AT = datetime(2030, 1, 1, tzinfo=UTC)

duly.Message()  # error: call-arg
duly.Message(b"name", scheduled_at=AT)  # error: arg-type
duly.Message("name", "payload", scheduled_at=AT)  # error: arg-type
duly.Message("name", b"", AT)  # error: call-arg
duly.Message("name", scheduled_at="tomorrow")  # error: arg-type
duly.Message("name", scheduled_at=AT, metadata={"key": 1})  # error: dict-item
duly.Message("name", scheduled_at=AT, recurrence="0 * * * *")  # error: arg-type
duly.Message("name", scheduled_at=AT, retry_count=3)  # error: call-arg
duly.Message("name", scheduled_at=AT).payload = b""  # error: misc
duly.Every(3600)  # error: arg-type
duly.Every(timedelta(hours=1), missed="never")  # error: arg-type
duly.Cron(5)  # error: arg-type
duly.Filter("name")  # error: call-arg
duly.Filter(state="dead")  # error: arg-type
duly.Retry(5)  # error: arg-type
duly.Backoff(multiplier="2")  # error: arg-type
duly.after(hours="1")  # error: arg-type
duly.after(60)  # error: arg-type
duly.Client()  # error: call-arg
duly.Client(5)  # error: arg-type
duly.Client("memory://", "local://")  # error: call-arg
duly.Client("memory://", load_plugins=5)  # error: arg-type
duly.Scheduler("memory://")  # error: call-arg
duly.Scheduler("memory://", 5)  # error: arg-type
duly.Scheduler("memory://", print, batch_size="10")  # error: arg-type


class Deaf:
    """No transport: it cannot publish."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...


duly.Scheduler("memory://", Deaf())  # error: arg-type


def undecided(failure: duly.Failure) -> str:
    return "retry"


duly.Scheduler("memory://", print, recovery=undecided)  # error: arg-type


duly.Client("memory://", batch_size=5)  # error: call-arg
duly.Scheduler("memory://", print, batch_size="5")  # error: arg-type
duly.sync.Client("memory://", max_payload="5")  # error: arg-type
duly.sync.Scheduler("memory://", print, batchsize=5)  # error: call-arg


def blocking_verbs(client: duly.sync.Client) -> None:
    client.schedule("name")  # error: arg-type
    client.cancel(5)  # error: arg-type
    client.get()  # error: call-arg
    client.health(timeout=3)  # error: arg-type
    client.running()  # error: attr-defined


async def verbs(client: duly.Client) -> None:
    await client.schedule("name")  # error: arg-type
    await client.schedule(duly.Message("name", scheduled_at=AT), True)  # error: call-arg
    await client.cancel(5)  # error: arg-type
    await client.list("name")  # error: arg-type
    await client.reschedule("a", timedelta(hours=1))  # error: arg-type
    await client.running()  # error: attr-defined
    client.schedule(duly.Message("name", scheduled_at=AT))  # error: unused-coroutine


class Order:
    """What the payload is."""


typed = duly.Event("orders.typed", Order)
local = duly.LocalTransport()


@local.on(typed)  # error: arg-type, call-overload
async def another(order: str) -> None: ...


@local.on(typed, max_in_flight="3")  # error: call-overload, arg-type
async def order_alone(order: Order) -> None: ...


@local.on("orders.reminder")  # error: type-var
async def not_the_envelope(order: str) -> None: ...


local.wrap(another)  # error: type-var
local.every(5, id="x")  # error: arg-type
