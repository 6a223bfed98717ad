"""Calling a handler as a scheduler would, in a test of the handler."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import duly
from duly import Envelope, Event, InvalidArgument, InvalidMessage, LocalTransport
from duly.testing.performing import perform


@dataclass
class Order:
    order_id: int


REMINDER = Event("orders.reminder", Order, id="order-{order_id}")
AT = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
async def transport() -> Any:
    transport = LocalTransport()
    yield transport
    await transport.close()


async def remind(order: Order, envelope: Envelope) -> tuple[Order, Envelope]:
    return order, envelope


def bare(envelope: Envelope) -> Envelope:
    return envelope


async def test_it_is_called_as_in_a_delivery(transport: LocalTransport) -> None:
    transport.on(REMINDER)(remind)
    given = Order(17)
    order, envelope = await perform(
        remind, given, attempt=2, occurrence=3, metadata={"a": "b"}, scheduled_at=AT,
        transport=transport,
    )  # fmt: skip
    assert order == given
    assert order is not given  # written and read
    assert (envelope.message_id, envelope.event_name) == ("order-17", "orders.reminder")
    assert (envelope.attempt, envelope.occurrence, envelope.scheduled_at) == (2, 3, AT)
    assert envelope.metadata == {"a": "b", "content-type": "application/json"}
    assert envelope.delivery_id.startswith("order-17:")


async def test_within_all_that_is_entered_round_it(transport: LocalTransport) -> None:
    entered: list[str] = []

    @transport.wrap
    @contextlib.asynccontextmanager
    async def around(envelope: Envelope) -> AsyncIterator[None]:
        entered.append(envelope.message_id)
        yield

    transport.on("plain")(bare)
    envelope = await perform(bare, b"payload", id="m", transport=transport)
    assert (entered, envelope.payload, envelope.attempt) == (["m"], b"payload", 1)


async def test_what_it_raises_is_raised(transport: LocalTransport) -> None:
    @transport.on("event")
    async def failing(envelope: Envelope) -> None:
        raise duly.Postpone(timedelta(0))

    with pytest.raises(duly.Postpone):
        await perform(failing, transport=transport)
    transport.on(REMINDER)(remind)
    with pytest.raises(InvalidMessage, match="the payload does not fit Order, as it is a dict: "):
        await perform(remind, {"order_id": 17}, transport=transport)


async def test_what_is_called_again_and_again_needs_no_payload(transport: LocalTransport) -> None:
    @transport.cron("30 2 * * *", id="nightly")
    async def nightly() -> str:
        return "done"

    assert await perform(nightly, transport=transport) == "done"


async def test_of_several_names_one_is_given(transport: LocalTransport) -> None:
    transport.on("orders.*")(bare)
    transport.on("mail")(bare)
    transport.on("post")(bare)
    with pytest.raises(
        InvalidArgument, match=r"registered under orders\.\*, mail, post: give event="
    ):
        await perform(bare, transport=transport)
    for name in ("mail", "orders.paid"):
        assert (await perform(bare, event=name, transport=transport)).event_name == name
    with pytest.raises(InvalidArgument, match="registered under .*, not 'other'"):
        await perform(bare, event="other", transport=transport)


async def test_what_is_not_registered_there_is_refused(transport: LocalTransport) -> None:
    with pytest.raises(
        InvalidArgument, match="remind is not registered in <LocalTransport without"
    ):
        await perform(remind, Order(17), transport=transport)
    with pytest.raises(InvalidArgument, match="must be a LocalTransport, not str"):
        await perform(remind, Order(17), transport="local://")  # type: ignore[arg-type]  # as tried


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duly.local._shared, "_handlers", LocalTransport()._handlers)


async def test_by_default_it_is_looked_for_where_the_url_does(shared: None) -> None:
    duly.local.on("event")(bare)
    assert (await perform(bare, b"x")).payload == b"x"
