"""From a file to each transport, while the broker is killed in the middle and comes back.

A broker is one small class in tests/journeys/brokers, and one line here.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from tests.journeys.brokers import Broker
from tests.journeys.brokers.kafka import KafkaBroker, MeshBroker
from tests.journeys.brokers.mqtt import (
    CrashingMqttBroker,
    ExactlyOnceMqttBroker,
    MqttBroker,
    UnacknowledgedMqttBroker,
)
from tests.journeys.brokers.nats import JetStreamBroker, NatsBroker
from tests.journeys.brokers.rabbitmq import RabbitMQBroker
from tests.journeys.brokers.redis_streams import (
    ChannelBroker,
    DeduplicatingStreamBroker,
    StreamBroker,
)
from tests.journeys.brokers.webhook import WebhookBroker
from tests.journeys.kit import Journey, Worker, batch, ids_of, until

from duly import Message, after

BROKERS: Final[list[type[Broker]]] = [
    JetStreamBroker,
    NatsBroker,
    StreamBroker,
    ChannelBroker,
    RabbitMQBroker,
    KafkaBroker,
    MqttBroker,
    WebhookBroker,
]
# The same brokers and clients, used in another way.
OTHERS: Final[list[type[Broker]]] = [
    DeduplicatingStreamBroker,
    MeshBroker,
    ExactlyOnceMqttBroker,
    CrashingMqttBroker,
    UnacknowledgedMqttBroker,
]
# Enough where it is the scheduler that is killed.
FEW: Final[list[type[Broker]]] = [JetStreamBroker, StreamBroker, WebhookBroker]


def quick(some: Sequence[type[Broker]]) -> Sequence[Any]:
    """All of them; but for some they run in the soak alone."""
    slow = pytest.mark.slow
    return [each if each in some else pytest.param(each, marks=slow) for each in BROKERS + OTHERS]


MESSAGES: Final = 1000
SLOTS: Final = 20

Tell = Callable[[str, object], None]


@pytest.mark.timeout(150)  # some take long to start, and they start twice
@pytest.mark.parametrize("kind", quick(BROKERS))
async def test_a_broker_killed_in_mid_delivery(
    journey: Journey, kind: type[Broker], tmp_path: Path, record_property: Tell
) -> None:
    messages = made()
    async with kind(tmp_path) as broker:
        worker = await journey.start(transport=broker.url, slots=SLOTS, batch=SLOTS)
        await worker.says("all is well")
        await journey.client.schedule_many(messages[:-20])
        await worker.noted("settled", MESSAGES // 5)
        await broker.kill()
        await journey.client.schedule_many(messages[-20:])  # so that some is left in any case
        await worker.says("the transport is unavailable")
        assert (await worker.health()).status == "degraded"
        before = len(set(worker.ids("settled")))
        assert before < MESSAGES, "it was killed too late to be in mid-delivery"
        await broker.restart()
        stats = await journey.emptied()
        await worker.says("all is well")
        assert stats.dead == 0
        assert set(worker.ids("settled")) == ids_of(messages)
        await all_read(journey, broker)
        await worker.stop()
        arrivals = [each for each in await broker.arrivals() if each.id in ids_of(messages)]

    found = Counter(each.id for each in arrivals)
    lost = ids_of(messages) - found.keys()
    twice = {id for id, number in found.items() if number > 1}
    again = sum(number > 1 for number in Counter(worker.ids("claimed")).values())
    told = f"{before} accepted when it was killed, {again} sent again, {len(lost)} lost"
    told += f", {found.total() - len(found)} duplicates"
    record_property("told", told)
    print(f"{kind.__name__}: {told}")  # noqa: T201  # shown by -rP

    assert {each.id: each.payload for each in arrivals if each.id in found} == {
        each.id: each.payload for each in messages if each.id in found
    }
    assert {each.attempt for each in arrivals} == {1}, "an outage was counted as a failure"
    if kind.acknowledges:
        assert not lost
    explain(worker, twice, {(each.id, each.delivery_id) for each in arrivals})
    if kind.deduplicates:
        assert not twice


@pytest.mark.timeout(150)
@pytest.mark.parametrize("kind", quick(FEW))
async def test_a_scheduler_killed_in_mid_delivery(
    journey: Journey, kind: type[Broker], tmp_path: Path, record_property: Tell
) -> None:
    """What it had published without telling the store comes again, unless the broker drops it."""
    messages = made()
    async with kind(tmp_path) as broker:
        options: dict[str, Any] = {
            "transport": broker.url,
            "slots": SLOTS,
            "batch": SLOTS,
            "lease": 1,
        }
        first = await journey.start(**options)
        await journey.client.schedule_many(messages)
        await first.noted("settled", MESSAGES // 5)
        await first.kill()
        held = set(first.ids("claimed")) - set(first.ids("settled"))
        second = await journey.start(**options)
        stats = await journey.emptied()
        assert stats.dead == 0
        await all_read(journey, broker)
        await second.stop()
        arrivals = [each for each in await broker.arrivals() if each.id in ids_of(messages)]

    found = Counter(each.id for each in arrivals)
    twice = {id for id, number in found.items() if number > 1}
    told = f"{len(held)} held when it was killed, {len(twice)} came twice"
    record_property("told", told)
    print(f"{kind.__name__}: {told}")  # noqa: T201  # shown by -rP
    assert found.keys() == ids_of(messages)
    assert twice <= {id for id, number in journey.count("claimed").items() if number > 1}
    assert len({(each.id, each.delivery_id) for each in arrivals}) == len(found)
    if kind.deduplicates:
        assert not twice


def made() -> list[Message]:
    """Most are due, the rest will be in a moment, so that it cannot be over before it is killed."""
    return [
        Message(each.event_name, f"payload of {each.id}".encode(), id=each.id,
                scheduled_at=each.scheduled_at)
        for due, name, count in ((-1.0, "first", MESSAGES * 9 // 10), (3.0, "then", MESSAGES // 10))
        for each in batch(count, due=due, prefix=name)
    ]  # fmt: skip


def explain(worker: Worker, twice: set[str], deliveries: set[tuple[str, str]]) -> None:
    """What came twice was in flight when the broker was killed, which had it and could not say so.

    So it was claimed once more, and its delivery id is the same each time.
    """
    claimed = Counter(worker.ids("claimed"))
    assert {id for id in twice if claimed[id] == 1} == set()
    assert len(twice) <= SLOTS
    assert len(deliveries) == len({id for id, _ in deliveries})


async def all_read(journey: Journey, broker: Broker) -> None:
    """Wait until the consumer is back and has read all that was sent before."""
    known: set[str] = set()

    async def marker_came() -> bool:
        marker = Message("quick", b"marker", scheduled_at=after(seconds=0))
        known.add(await journey.client.schedule(marker))
        return any(each.id in known for each in await broker.arrivals())

    await until(marker_came)
    await journey.emptied()
