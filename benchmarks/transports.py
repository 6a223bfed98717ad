"""Publishes per second of the transports, beside the bare client library doing the same.

Both sides are measured in turn, round by round, and medians given, so that what else the machine
does weighs on both alike. ``python benchmarks/transports.py`` measures all that it finds;
``python benchmarks/transports.py webhook jetstream=nats://localhost:4222`` some, at other places.
A transport is one function that yields what is to be measured, and one line of ``TRANSPORTS``.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import platform
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from multiprocessing.connection import Connection
from typing import NamedTuple

import aiohttp
from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

import duly
from duly.transport import Envelope, SupportsBatches, Transport
from duly_kafka.plugin import transport_from_url as kafka_from_url
from duly_webhook.plugin import transport_from_url as webhook_from_url

BATCH = 100  # what a scheduler gives to publish_many at a time
PAYLOAD = bytes(100)

Send = Callable[[Sequence[Envelope]], Awaitable[object]]


class Rivals(NamedTuple):
    """An open transport, and what its client library does for it by hand, headers included."""

    transport: Transport
    one: Callable[[Envelope], Awaitable[object]]
    many: Send


class Missing(Exception):
    """There is nothing to measure at that place."""


# --- the transports


@contextlib.asynccontextmanager
async def webhook(url: str) -> AsyncIterator[Rivals]:
    """A receiver in a process of its own, beside aiohttp with one session."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    receiver = context.Process(target=receive, args=(theirs,), daemon=True)
    receiver.start()
    place = f"http://127.0.0.1:{await asyncio.to_thread(ours.recv)}/"

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=BATCH)) as session:

        async def one(envelope: Envelope) -> None:
            async with session.post(
                place, data=envelope.payload, headers=dict(envelope.headers)
            ) as answer:
                assert answer.status == 204
                await answer.read()

        async def many(envelopes: Sequence[Envelope]) -> None:
            await asyncio.gather(*map(one, envelopes))

        async with opened(webhook_from_url(f"{place}?allow_private=true")) as transport:
            yield Rivals(transport, one, many)
    receiver.terminate()
    receiver.join()


def receive(port: Connection) -> None:
    """Accept all, in a process of its own; tells the port that it listens on."""

    async def serve() -> None:
        async def accept(request: web.Request) -> web.Response:
            await request.read()
            return web.Response(status=204)

        app = web.Application()
        app.router.add_post("/", accept)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(serve())


@contextlib.asynccontextmanager
async def kafka(url: str) -> AsyncIterator[Rivals]:
    """A topic of its own, beside aiokafka's idempotent producer.

    Where there is no Kafka, ``python tests/servers/kafka_mock.py 1`` tells the address of one.
    """
    topic = f"duly-benchmark-{time.time_ns()}"
    servers = url.removeprefix("kafka://")
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=servers)
    try:
        await consumer.start()  # which makes the topic, where topics are made on demand
    except KafkaError as error:
        raise Missing(str(error)) from None
    finally:
        await consumer.stop()
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True)
    await producer.start()

    def sent(envelope: Envelope) -> Awaitable[Awaitable[object]]:
        headers = [(name, text.encode()) for name, text in envelope.headers.items()]
        key = envelope.delivery_id.encode()
        sending: Awaitable[Awaitable[object]] = producer.send(
            topic, envelope.payload, key, headers=headers
        )
        return sending

    async def one(envelope: Envelope) -> None:
        await (await sent(envelope))

    async def many(envelopes: Sequence[Envelope]) -> None:
        await asyncio.gather(*[await sent(envelope) for envelope in envelopes])

    async with opened(kafka_from_url(f"{url}?topic={topic}")) as transport:
        yield Rivals(transport, one, many)
    await producer.stop()


# By name: what yields the rivals, and the place where it is looked for.
TRANSPORTS: dict[str, tuple[Callable[[str], AbstractAsyncContextManager[Rivals]], str]] = {
    "kafka": (kafka, "kafka://localhost:9092"),
    "webhook": (webhook, ""),
}


# --- measuring


@contextlib.asynccontextmanager
async def opened(transport: Transport) -> AsyncIterator[Transport]:
    """A transport while it is open."""
    try:
        await transport.open()
    except duly.TransportUnavailable as error:
        raise Missing(str(error)) from None
    try:
        yield transport
    finally:
        await transport.close()


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
