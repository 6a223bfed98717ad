"""Scheduled here, consumed by aio-pika: ``python examples/rabbitmq.py amqp://localhost/``.

It needs duly-rabbitmq, whose client aio-pika is, and a broker; what it makes there it removes.
"""

import asyncio
import logging
import secrets
import sys

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

import duly

NUMBER = 20
NAME = f"duly-example-{secrets.token_hex(4)}"
logging.basicConfig(level=logging.CRITICAL)  # a message that no queue takes is an error


class Consumer:
    """Takes each delivery once, however often it is sent."""

    def __init__(self) -> None:
        self.orders: list[str] = []
        self.seen: set[str | None] = set()
        self.all_came = asyncio.Event()

    async def take(self, message: AbstractIncomingMessage) -> None:
        async with message.process():  # acknowledges at its end
            if message.message_id in self.seen:
                return
            self.seen.add(message.message_id)
            self.orders.append(message.body.decode())
            if len(self.orders) == NUMBER:
                self.all_came.set()


async def main(url: str) -> None:
    consumer = Consumer()
    connection = await aio_pika.connect(url)
    channel = await connection.channel()
    exchange = await channel.declare_exchange(NAME, "topic", durable=True)
    queue = await channel.declare_queue(NAME, durable=True)  # a message in it outlives the broker
    await queue.bind(exchange, "orders.*")
    await queue.consume(consumer.take)

    transport = f"{url}?exchange={NAME}&declare=topic"  # its routing key is the event name
    async with duly.Scheduler("memory://", transport) as scheduler:
        for number in range(NUMBER):
            due = duly.after(seconds=0.2)
            message = duly.Message("orders.reminder", b"order %d" % number, scheduled_at=due)
            await scheduler.schedule(message)
        lost = duly.Message("bills.reminder", b"bill 1", scheduled_at=duly.after(seconds=0))
        await scheduler.schedule(lost)  # no queue is bound for bills
        async with scheduler.running():
            await consumer.all_came.wait()
            dead = duly.Filter(state=duly.State.DEAD)
            while not (letters := await scheduler.list(dead)):  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.05)

    await queue.delete(if_empty=False, if_unused=False)
    await exchange.delete()
    await connection.close()
    assert sorted(consumer.orders) == sorted(f"order {number}" for number in range(NUMBER))
    assert [letter.payload for letter in letters] == [b"bill 1"]
    print(f"{NUMBER} messages, each confirmed by RabbitMQ and consumed by aio-pika")
    print("one kept as a dead letter, because no queue takes it")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "amqp://localhost/"))
