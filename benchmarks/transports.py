"""Publishes per second of the transports, beside the bare client library doing the same.

Both sides are measured in turn, round by round, and medians given, so that what else the machine
does weighs on both alike. ``python -m benchmarks.transports`` measures all that it finds;
``python -m benchmarks.transports webhook jetstream=nats://localhost:4222`` some, at other places.
A transport is one function in :mod:`benchmarks.rivals` and one line of ``TRANSPORTS``.
"""

import argparse
import asyncio
import platform
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

import duly
from benchmarks.rivals import BATCH, Missing, Rivals, Send
from benchmarks.rivals.kafka import kafka
from benchmarks.rivals.mqtt import mqtt
from benchmarks.rivals.nats import core_nats, jetstream
from benchmarks.rivals.rabbitmq import rabbitmq
from benchmarks.rivals.redis import redis_deduplicated, redis_pubsub, redis_streams
from benchmarks.rivals.webhook import webhook
from duly.transport import Envelope, SupportsBatches, Transport

PAYLOAD = bytes(100)

# By name: what yields the rivals, and the place where it is looked for.
TRANSPORTS: dict[str, tuple[Callable[[str], AbstractAsyncContextManager[Rivals]], str]] = {
    "jetstream": (jetstream, "nats://127.0.0.1:4222"),
    "kafka": (kafka, "kafka://localhost:9092"),
    "mqtt": (mqtt, "mqtt://127.0.0.1:1883"),
    "nats": (core_nats, "nats://127.0.0.1:4222"),
    "rabbitmq": (rabbitmq, "amqp://guest:guest@127.0.0.1:5672/"),
    "redis-pubsub": (redis_pubsub, "redis://127.0.0.1:6379"),
    "redis-streams": (redis_streams, "redis://127.0.0.1:6379"),
    "redis-streams, deduplicated": (redis_deduplicated, "redis://127.0.0.1:6379"),
    "webhook": (webhook, ""),
}


def envelopes(count: int) -> Sequence[Envelope]:
    """Due messages, each with a delivery id of its own and a header of its user's."""
    at = duly.after(seconds=0)
    return [
        Envelope(message_id=message.id, event_name=message.event_name, payload=message.payload,
                 metadata=message.metadata, scheduled_at=at, delivery_id=message.delivery_id)
        for message in (
            duly.Message("orders.reminder", PAYLOAD, scheduled_at=at, metadata={"tenant": "7"})
            for _ in range(count)
        )
    ]  # fmt: skip


async def one_by_one(send: Callable[[Envelope], Awaitable[object]], count: int) -> float:
    """Messages per second, each sent when the one before was accepted."""
    made = envelopes(count)
    start = time.perf_counter()
    for envelope in made:
        await send(envelope)
    return count / (time.perf_counter() - start)


async def batched(send: Send, count: int) -> float:
    """Messages per second, so many at a time."""
    made = envelopes(count)
    start = time.perf_counter()
    for first in range(0, count, BATCH):
        await send(made[first : first + BATCH])
    return count / (time.perf_counter() - start)


def at_once(transport: Transport) -> Send:
    """Many at a time, as a scheduler does it."""

    async def many(envelopes: Sequence[Envelope]) -> None:
        if isinstance(transport, SupportsBatches):
            outcomes = await transport.publish_many(envelopes)
            assert all(each is None or isinstance(each, str) for each in outcomes)
        else:
            await asyncio.gather(*map(transport.publish, envelopes))

    return many


async def measure(name: str, place: str, count: int, rounds: int) -> None:
    """Print two rows of the table."""
    make, standard = TRANSPORTS[name]
    async with make(place or standard) as rivals:
        ours = at_once(rivals.transport)
        rates: dict[str, list[float]] = {}
        for number in range(rounds + 1):
            for what, rate in (
                ("one", await one_by_one(rivals.transport.publish, count // 4)),
                ("one, bare", await one_by_one(rivals.one, count // 4)),
                ("many", await batched(ours, count)),
                ("many, bare", await batched(rivals.many, count)),
            ):
                if number:  # the first round warms up
                    rates.setdefault(what, []).append(rate)
    found = {what: statistics.median(each) for what, each in rates.items()}
    for what, text in (("one", "one by one"), ("many", f"{BATCH} at a time")):
        rate, bare = found[what], found[f"{what}, bare"]
        print(f"| {name}: {text} | {rate:,.0f} | {bare:,.0f} | {rate / bare:.0%} |", flush=True)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("transports", nargs="*", default=list(TRANSPORTS), help="name or name=url")
    parser.add_argument("--messages", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    print(
        f"Python {platform.python_version()}; {wanted.messages} messages of {len(PAYLOAD)} bytes, "
        f"a quarter of them one by one; {wanted.rounds} rounds, medians\n"
    )
    print("| what | messages/s | bare client | share |")
    print("|---|---|---|---|")
    for each in wanted.transports:
        name, _, place = each.partition("=")
        try:
            asyncio.run(measure(name, place, wanted.messages, wanted.rounds))
        except Missing as error:
            print(f"| {name}: nothing there ({error}) | | | |", flush=True)


if __name__ == "__main__":
    main()
