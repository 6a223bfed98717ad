"""Functions of typed events: what they are called with."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.transports import untold

import duly
from duly import Envelope, Event, InvalidArgument, LocalTransport, Rejected


@dataclass
class Order:
    order_id: int


REMINDER = Event("orders.reminder", Order, id="order-{order_id}")
ORDER = Order(17)
"""The payload of what is published here."""


def envelope(payload: bytes = b'{"order_id":17}') -> Envelope:
    return Envelope(
        message_id="order-17",
        event_name="orders.reminder",
        payload=payload,
        scheduled_at=duly.after(hours=1),
    )


async def called(function: Callable[..., object], told: Envelope) -> Any:
    """What a function of the event returns."""
    transport = LocalTransport()
    transport.on(REMINDER)(function)
    try:
        return await transport.call(told)
    finally:
        await transport.close()


class Kept:
    """Has handlers of many kinds; each returns what it was called with."""

    async def payload(self, order: Order) -> object:
        return (order,)

    def plain(self, order: Order) -> object:
        return (order,)

    def both(self, order: Order, envelope: Envelope) -> object:
        return (order, envelope)

    async def envelope(self, envelope: duly.Envelope) -> object:
        return (envelope,)

    def as_text(self, envelope: "duly.Envelope") -> object:
        return (envelope,)

    async def nothing(self) -> object:
        return ()

    def any_number(self, *given: object) -> object:
        return given

    def with_defaults(self, order: Order, envelope: Envelope, tries: int = 3) -> object:
        return (order, envelope)

    def bare(self, order: Any) -> object:
        return (order,)

    def __call__(self, order: Order) -> object:
        return (order,)


KEPT = Kept()


class TestArguments:
    @pytest.mark.parametrize(
        ("function", "wanted"),
        [
            (KEPT.payload, "p"),
            (KEPT.plain, "p"),
            (KEPT.both, "pe"),
            (KEPT.envelope, "e"),
            (KEPT.as_text, "e"),
            (KEPT.nothing, ""),
            (KEPT.any_number, "pe"),
            (KEPT.with_defaults, "pe"),
            (KEPT.bare, "p"),
            (KEPT, "p"),
            (functools.partial(KEPT.both), "pe"),
            (functools.partial(KEPT.envelope), "e"),
            (untold.by_text, "e"),
            (untold.by_full_text, "e"),
            (untold.payload_by_text, "p"),
            (lambda: (), ""),
            (lambda order: (order,), "p"),
        ],
    )
    async def test_it_gets_what_it_takes(self, function: Any, wanted: str) -> None:
        told = envelope()
        assert await called(function, told) == tuple({"p": ORDER, "e": told}[c] for c in wanted)

    @pytest.mark.parametrize(
        ("function", "why"),
        [
            (lambda a, b, c: None, "<lambda> must take no more than the payload and the envelope"),
            (lambda *, order: None, "must take no more than the payload and the envelope"),
            (untold.envelope_first, "takes the envelope first: the payload comes first, then it"),
            (7, "a handler is a function, not 7"),
            (untold.generator, "is a generator"),
        ],
    )
    def test_what_takes_something_else_is_refused(self, function: Any, why: str) -> None:
        with pytest.raises(InvalidArgument, match=why):
            LocalTransport().on(REMINDER)(function)

    def test_it_stays_the_function_it_was(self) -> None:
        transport = LocalTransport()
        assert transport.on(REMINDER)(untold.by_text) is untold.by_text
        assert transport.registered(untold.by_text) == {"orders.reminder": REMINDER}
        assert transport.registered(called) == {}

    async def test_by_name_it_takes_the_envelope_as_ever(self) -> None:
        transport = LocalTransport()
        transport.on("orders.reminder")(KEPT.bare)
        told = envelope()
        assert await transport.call(told) == (told,)
        with pytest.raises(InvalidArgument, match="must take one argument, the envelope"):
            transport.on("other")(KEPT.nothing)  # type: ignore[type-var]  # that is the point


class TestPayloads:
    @pytest.mark.parametrize("function", [KEPT.payload, KEPT.plain, KEPT.both])
    async def test_what_cannot_be_read_is_rejected(self, function: Any) -> None:
        with pytest.raises(Rejected, match=r"orders\.reminder: .* as Order: order_id must be"):
            await called(function, envelope(b'{"order_id":"secret"}'))

    @pytest.mark.parametrize("function", [KEPT.envelope, KEPT.nothing])
    async def test_who_does_not_ask_for_it_reads_nothing(self, function: Any) -> None:
        await called(function, envelope(b"no JSON"))
