"""Figures by the minute, and causes."""

import asyncio
from datetime import timedelta

from tests.history.kit import START, kept, scene

from duly import Delivery, Message
from duly.testing.clock import HandClock
from duly_history import History
from duly_history.buckets import BOUNDS, percentile


async def test_rates_and_lateness(history_url):
    async with scene(history_url) as here:
        for number in range(10):
            await here.schedule(f"order-{number}")
        here.failures = 4
        await here.drain(minutes=2)
        await here.schedule("mail", "mail.sent")
        await here.store.advance(seconds=20)
        await here.drain()
        await here.history.flush()
        all_of_it = await here.history.rates()
        assert (all_of_it.delivered, all_of_it.failed, all_of_it.buried) == (11, 4, 0)
        assert [(each.at, each.delivered) for each in all_of_it.minutes] == [
            (START, 6), (START + timedelta(minutes=1), 4), (START + timedelta(minutes=2), 1),
        ]  # fmt: skip
        assert all_of_it.per_minute == 11 / 60
        orders = await here.history.rates("orders.*", timedelta(minutes=1))
        assert (orders.delivered, orders.failed) == (4, 0)
        late = await here.history.lateness("mail.sent", START)
        assert (late.count, late.buckets[30.0]) == (1, 1)
        assert 5 < late.p50 < late.p99 <= 30
        assert (await here.history.lateness("nobody")).p99 is None
        mail, orders = await here.history.events()
        assert (mail.event_name, mail.delivered) == ("mail.sent", 1)
        assert (orders.event_name, orders.delivered, orders.failed) == ("orders.reminder", 10, 4)
        one = await here.history.rates(look_at=1)
        assert (one.delivered, one.looked_at, one.complete) == (1, 1, False)


async def test_figures_alone(history_url):
    async with scene(history_url, messages=False) as here:
        await here.schedule("order-1")
        await here.drain()
        await here.history.flush()
        assert (await here.history.rates()).delivered == 1
        assert (await here.history.of("order-1")).entries == []


async def test_causes(history_url):
    async with scene(history_url) as here:
        here.failures = 100
        await here.schedule("order-1")
        await here.schedule("mail-1", "mail.sent")
        await here.drain(minutes=10)
        await here.history.flush()
        found = await here.history.causes(since=timedelta(minutes=30))
        (cause,) = found.causes
        assert cause.text == "OSError: mailbox ... of ... is full"
        assert (cause.error_class, cause.number, cause.buried) == ("OSError", 10, 2)
        assert cause.event_names == ["mail.sent", "orders.reminder"]
        assert (cause.first, cause.last) == (START, START + timedelta(minutes=3))
        assert (found.looked_at, found.complete) == (10, True)
        assert (await here.history.causes("orders.*", look_at=3)).complete is False
        assert (await here.history.causes(since=timedelta(minutes=1))).causes == []


async def test_several_add_to_the_same_minute(history_url):
    clock = HandClock()
    histories = [History(history_url, clock=clock) for _ in range(4)]
    messages = [Message(f"event-{n % 7}", id=str(n), scheduled_at=clock()) for n in range(500)]
    told = [Delivery(message=each, lateness=timedelta(0), receipt=None) for each in messages]
    for _ in range(10):
        for number, each in enumerate(histories):
            each.duly_delivered(told[:: 1 if number % 2 else -1], f"host:{number}:x")
            await asyncio.sleep(0)
        await asyncio.gather(*(each.flush() for each in histories))
    async with kept(histories[0]), kept(histories[1]), kept(histories[2]), kept(histories[3]):
        assert (await histories[0].rates()).delivered == 4 * 10 * 500
        figures = await histories[0].events()
        assert sum(each.delivered for each in figures) == 4 * 10 * 500
        assert len(figures) == 7


def test_percentiles():
    none = [0] * len(BOUNDS)
    assert percentile(none, 0.5) is None
    first = [100, *none[1:]]
    assert percentile(first, 0.5) == BOUNDS[0] / 2
    last = [*none[1:], 5]
    assert percentile(last, 0.99) == BOUNDS[-2]
    both = [50, 50, *none[2:]]
    assert percentile(both, 0.5) == BOUNDS[0]
    assert percentile(both, 1.0) == BOUNDS[1]
