"""A RabbitMQ that is away, or silent, or lets nobody in."""

import asyncio
from datetime import timedelta

import pytest
from tests.servers.process import free_port
from tests.servers.rabbitmq import at_ports, port_of
from tests.transports.rabbitmq_consumer import Consumer
from tests.transports.rabbitmq_kit import channel, envelope, name, opened, rabbitmq_url

import duly_rabbitmq.connection
from duly import Rejected, Scheduler, TransportError, TransportUnavailable
from duly.testing import Gate
from duly_rabbitmq.plugin import transport_from_url

__all__ = ["channel", "name", "rabbitmq_url"]  # fixtures are found by their names


def gate_to(url: str) -> Gate:
    return Gate(to=port_of(url))


async def test_a_broker_that_falls_silent(rabbitmq_url, name, monkeypatch):
    monkeypatch.setattr(duly_rabbitmq.connection, "_ANSWERING", 0.2)
    monkeypatch.setattr(duly_rabbitmq.connection, "_CLOSING", 0.1)
    async with Consumer(rabbitmq_url, name) as consumer, gate_to(rabbitmq_url) as gate:
        url = at_ports(rabbitmq_url, gate.port)
        async with opened(url, exchange=name, timeout="0.2") as transport:
            await transport.publish(envelope())
            gate.freeze()
            with pytest.raises(TransportUnavailable, match="does not answer in time"):
                await transport.publish(envelope())
            gate.thaw()
            await transport.publish(envelope(payload=b"last"))
            while (await consumer.wait_for(2))[-1].body != b"last":
                await consumer.wait_for(len(consumer.messages) + 1)


async def test_closing_while_the_broker_is_silent(rabbitmq_url, monkeypatch):
    monkeypatch.setattr(duly_rabbitmq.connection, "_CLOSING", 0.1)
    async with gate_to(rabbitmq_url) as gate:
        transport = transport_from_url(at_ports(rabbitmq_url, gate.port))
        await transport.open()
        publish = asyncio.ensure_future(transport.publish(envelope()))
        await asyncio.sleep(0)
        gate.freeze()
        await transport.close()
        publish.cancel()
        await asyncio.gather(publish, return_exceptions=True)


async def test_a_message_that_is_not_confirmed_in_time(rabbitmq_url, name, channel):
    """The broker is there, so it is this message's trouble."""
    await channel.declare_queue(name, exclusive=True)
    async with opened(rabbitmq_url, routing_key=name, timeout="0.000001") as transport:
        with pytest.raises(TransportError, match="has not confirmed it in 1e-06 s") as told:
            await transport.publish(envelope())
        assert type(told.value) is TransportError


async def test_a_return_that_comes_late_is_not_taken_for_the_repeat(rabbitmq_url, name, channel):
    async with gate_to(rabbitmq_url) as gate:
        async with opened(at_ports(rabbitmq_url, gate.port), routing_key=name) as transport:
            gate.delay, passed = timedelta(seconds=0.1), gate.passed
            attempt = asyncio.ensure_future(transport.publish(envelope()))
            while gate.passed == passed:  # noqa: ASYNC110  # the gate tells nobody
                await asyncio.sleep(0.01)
            attempt.cancel()
            await asyncio.wait({attempt})
            queue = await channel.declare_queue(name, exclusive=True)
            await transport.publish(envelope())  # on its way when the first one is returned
            gate.delay = timedelta(0)
            assert (await queue.declare()).message_count == 1


async def test_what_is_on_its_way_beside_one_that_was_given_up_is_confirmed(
    rabbitmq_url, name, channel
):
    queue = await channel.declare_queue(name, exclusive=True)
    async with gate_to(rabbitmq_url) as gate:
        async with opened(at_ports(rabbitmq_url, gate.port), routing_key=name) as transport:
            gate.freeze()
            publishes = [
                asyncio.ensure_future(transport.publish(envelope(delivery_id=f"a:{number}:0")))
                for number in range(20)
            ]
            await asyncio.wait(publishes, timeout=0.1)
            publishes.pop().cancel()
            await asyncio.sleep(0)
            publishes.append(asyncio.ensure_future(transport.publish(envelope())))
            gate.thaw()
            await asyncio.gather(*publishes)
            assert (await queue.declare()).message_count >= 20


async def test_the_next_node_where_the_first_is_away(rabbitmq_url, name):
    url = at_ports(rabbitmq_url, free_port(), port_of(rabbitmq_url))
    async with opened(url) as transport:
        with pytest.raises(Rejected):
            await transport.publish(envelope(name))


async def test_it_connects_by_itself(rabbitmq_url, name):
    async with Consumer(rabbitmq_url, name) as consumer, gate_to(rabbitmq_url) as gate:
        url = at_ports(rabbitmq_url, gate.port)
        async with opened(url, exchange=name) as transport:
            for number in range(3):
                await gate.shut()
                (reason,) = await transport.check()
                assert str(gate.port) in reason
                with pytest.raises(TransportUnavailable):
                    await transport.publish(envelope())
                await gate.open()
                if number:
                    assert await transport.check() == []
                await asyncio.gather(*(transport.publish(envelope()) for _ in range(50)))
            assert len(await consumer.wait_for(150)) == 150


@pytest.mark.parametrize(
    ("login", "path", "said"),
    [
        ("guest:the-wrong-word", "", "refuses the connection: ACCESS_REFUSED.*check the user and"),
        ("guest:the-wrong-word", "/", "refuses the connection"),
        ("nobody:the-wrong-word", "/no-such-host", "refuses the connection"),
        ("guest:guest", "/no-such-host", "the path of the URL, is not there .*no-such-host"),
    ],
)
@pytest.mark.parametrize("others", [0, 1])
async def test_who_is_not_let_in(rabbitmq_url, login, path, said, others):
    """Somebody has to mend it, so that waiting would be of no use; whichever node says so."""
    ports = [port_of(rabbitmq_url)] + [free_port() for _ in range(others)]
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    transport = transport_from_url(f"amqp://{login}@{hosts}{path}")
    for _ in range(2):
        with pytest.raises(TransportError, match=said) as told:
            await transport.open()
        assert type(told.value) is TransportError
        assert "the-wrong-word" not in f"{told.value} {told.value.__cause__} {transport!r}"
    with pytest.raises(TransportUnavailable, match="not open"):
        await transport.publish(envelope())
    await transport.close()


async def test_a_scheduler_of_whom_is_not_let_in_does_not_start(rabbitmq_url):
    url = f"amqp://guest:wrong@127.0.0.1:{port_of(rabbitmq_url)}/"
    async with Scheduler("memory://", url) as scheduler:
        with pytest.raises(TransportError, match="refuses the connection"):
            await scheduler.start()


def test_opened_again_in_another_event_loop(rabbitmq_url, name):
    transport = transport_from_url(rabbitmq_url)

    async def use() -> None:
        await transport.open()
        outcomes = await transport.publish_many(
            [envelope(name, delivery_id=f"a:{number}:0") for number in range(100)]
        )
        assert {type(each) for each in outcomes} == {Rejected}
        await transport.close()

    for _ in range(2):
        asyncio.run(use())


async def test_not_open():
    transport = transport_from_url("amqp://localhost")
    with pytest.raises(TransportUnavailable, match="not open"):
        await transport.publish(envelope())
    (reason,) = await transport.check()
    assert "not open" in reason
    await transport.close()
