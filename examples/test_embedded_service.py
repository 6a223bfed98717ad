"""The tests of embedded_service.py: no broker, no file, no waiting.

``python -m pytest test_embedded_service.py``; needs pytest and pytest-asyncio too.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import embedded_service as service
import pytest

import duly
from duly.testing import FakeStore, assert_not_scheduled, assert_scheduled, perform

pytestmark = pytest.mark.asyncio

HOUR = timedelta(hours=1)


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def scheduler(store: FakeStore) -> duly.Scheduler:
    return duly.Scheduler(store, service.transport, load_plugins=False)


@pytest.fixture(autouse=True)
def nobody_reminded() -> Iterator[None]:
    service.reminded.clear()
    yield
    service.reminded.clear()


async def test_an_order_is_followed_by_a_reminder(
    store: FakeStore, scheduler: duly.Scheduler
) -> None:
    assert await service.place(scheduler, "17", HOUR)
    message = assert_scheduled(await scheduler.list(), service.reminder, order="17")
    assert message.id == "order-17-reminder"
    await store.advance(minutes=59)
    assert not await scheduler.drain()
    await store.advance(minutes=1)
    assert len(await scheduler.drain()) == 1
    assert service.reminded == {"17"}


async def test_a_request_that_comes_twice_is_harmless(scheduler: duly.Scheduler) -> None:
    assert await service.place(scheduler, "17", HOUR)
    assert not await service.place(scheduler, "17", HOUR)
    assert_scheduled(await scheduler.list(), service.reminder)


async def test_an_order_that_was_taken_back_is_not_reminded_of(
    store: FakeStore, scheduler: duly.Scheduler
) -> None:
    await service.place(scheduler, "17", HOUR)
    assert await service.take_back(scheduler, "17") is duly.Cancellation.CANCELLED
    assert_not_scheduled(await scheduler.list(), service.reminder, order="17")
    assert await service.take_back(scheduler, "18") is duly.Cancellation.UNKNOWN
    await scheduler.drain(until=store.after(days=1))
    assert not service.reminded


async def test_a_handler_alone() -> None:
    order = service.OrderReminder("17")
    await perform(service.remind, order, attempt=2, transport=service.transport)
    assert service.reminded == {"17"}


async def test_every_night_all_is_forgotten() -> None:
    evening = datetime(2030, 1, 1, 21, tzinfo=UTC)
    scheduler = duly.Scheduler(FakeStore(now=evening), service.transport, load_plugins=False)
    service.reminded.add("17")
    await scheduler.drain(until=evening + timedelta(hours=4))
    assert service.reminded  # it is one o'clock in the night in Greenwich
    await scheduler.drain(until=evening + timedelta(hours=5))
    assert not service.reminded  # and three in Berlin
