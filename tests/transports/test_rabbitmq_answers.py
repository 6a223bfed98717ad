"""What becomes of a message by what RabbitMQ answers."""

import asyncio
from typing import Any

import pytest
from tests.transports.rabbitmq_consumer import Consumer
from tests.transports.rabbitmq_kit import channel, envelope, name, opened, rabbitmq_url

from duly import Rejected, TransportError

__all__ = ["channel", "name", "rabbitmq_url"]  # fixtures are found by their names


async def test_a_queue_by_its_name(rabbitmq_url, name, channel):
    queue = await channel.declare_queue(f"{name}.orders", exclusive=True)
    async with opened(rabbitmq_url, routing_key=f"{name}.{{event_name}}") as transport:
        await transport.publish(envelope("orders"))
        assert (await queue.get(no_ack=True)).body == b"{}"
        with pytest.raises(Rejected, match="no queue takes it.*NO_ROUTE"):
            await transport.publish(envelope("bills"))
        await transport.publish(envelope("orders"))
        assert (await queue.get(no_ack=True)).body == b"{}"


async def test_unroutable_ones_among_others(rabbitmq_url, name, channel):
    queue = await channel.declare_queue(f"{name}.1", exclusive=True)
    async with opened(rabbitmq_url, routing_key=f"{name}.{{event_name}}") as transport:
        envelopes = [
            envelope(str(number % 2), delivery_id=f"a:{number}:0") for number in range(100)
        ]
        outcomes = await transport.publish_many(envelopes)
        assert [type(each) for each in outcomes] == [Rejected, type(None)] * 50
        assert (await queue.declare()).message_count == 50


async def test_the_same_delivery_many_times_at_once(rabbitmq_url, name, channel):
    """As by a scheduler whose lease has lapsed: none is taken for another."""
    async with opened(rabbitmq_url, routing_key=name) as transport:
        outcomes = await transport.publish_many([envelope()] * 20)
        assert {type(each) for each in outcomes} == {Rejected}
        queue = await channel.declare_queue(name, exclusive=True)
        assert not any(await transport.publish_many([envelope()] * 20))
        assert (await queue.declare()).message_count == 20


async def test_an_exchange_is_declared_where_that_is_asked_for(rabbitmq_url, name, channel):
    async with opened(rabbitmq_url, exchange=name, declare="topic") as transport:
        exchange = await channel.declare_exchange(name, "topic", durable=True)  # it is the same
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchange, "orders.#")
        await transport.publish(envelope())
        assert (await queue.get(no_ack=True)).routing_key == "orders.reminder"
        with pytest.raises(Rejected):
            await transport.publish(envelope("bills"))
        await exchange.delete()


async def test_an_exchange_that_is_another(rabbitmq_url, name, channel):
    await channel.declare_exchange(name, "fanout")
    with pytest.raises(TransportError, match="inequivalent arg") as told:
        async with opened(rabbitmq_url, exchange=name, declare="topic"):
            pass
    assert type(told.value) is TransportError
    await channel.exchange_delete(name)


async def test_an_exchange_that_does_not_exist_yet(rabbitmq_url, name):
    """The broker closes the channel each time; it is opened again, and the message passes."""
    async with opened(rabbitmq_url, exchange=name) as transport:
        for _ in range(2):
            with pytest.raises(TransportError, match="no exchange") as told:
                await transport.publish(envelope())
            assert type(told.value) is TransportError
        (reason,) = await transport.check()
        assert name in reason
        outcomes = await transport.publish_many([envelope() for _ in range(100)])
        assert {type(each) for each in outcomes} == {TransportError}
        async with Consumer(rabbitmq_url, name) as consumer:
            await transport.publish(envelope())
            assert await transport.check() == []
            assert len(await consumer.wait_for(1)) == 1


async def test_an_exchange_that_goes_and_comes_in_mid_run(rabbitmq_url, name, channel):
    """The channel is closed with much in flight; the connection stays, and nothing is lost."""
    queue = await channel.declare_queue(name, exclusive=True)

    async def declare() -> None:
        await queue.bind(await channel.declare_exchange(name, "fanout"))

    await declare()
    waiting = {b"%d" % number for number in range(2000)}
    kinds: set[type] = set()
    async with opened(rabbitmq_url, exchange=name) as transport:

        async def publish() -> None:
            while waiting:
                taken = [waiting.pop() for _ in range(min(50, len(waiting)))]
                outcomes = await transport.publish_many(
                    [envelope(payload=each, delivery_id=f"{each.decode()}:1:0") for each in taken]
                )
                kinds.update(map(type, outcomes))
                waiting.update(
                    each for each, outcome in zip(taken, outcomes, strict=True) if outcome
                )
                await asyncio.sleep(0.01 if any(outcomes) else 0)

        publishers = asyncio.gather(*(publish() for _ in range(4)))
        for _ in range(5):
            await channel.exchange_delete(name)
            await asyncio.sleep(0.02)
            await declare()
        await publishers
    assert kinds <= {type(None), TransportError, Rejected}  # between exchange and binding it is
    found = set()
    for _ in range((await queue.declare()).message_count):
        found.add((await queue.get(no_ack=True)).body)
    assert len(found) == 2000
    await channel.exchange_delete(name)


async def test_a_full_queue_refuses_for_now(rabbitmq_url, name, channel):
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    queue = await channel.declare_queue(name, exclusive=True, arguments=full)
    async with opened(rabbitmq_url, routing_key=name) as transport:
        outcomes: list[Any] = []
        while None in outcomes[-1:] or not outcomes:  # how many it takes is up to the queue
            outcomes += await transport.publish_many([envelope()])
            assert len(outcomes) < 10
        assert type(outcomes[-1]) is TransportError
        assert "refused" in str(outcomes[-1])
        await queue.purge()
        await transport.publish(envelope())
