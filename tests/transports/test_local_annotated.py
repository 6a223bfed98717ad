"""Functions whose annotations contradict what they would be given; and all that might be right."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Generic, Literal, NewType, Protocol, TypedDict, TypeVar
from unittest.mock import AsyncMock, create_autospec

import pydantic
import pytest
from tests.transports import untold

import duly
from duly import Envelope, Event, InvalidArgument, LocalTransport

T = TypeVar("T")


@dataclass
class Order:
    order_id: int


class Special(Order):
    """One of many."""


@dataclass
class Invoice:
    number: int


@dataclass
class Page(Generic[T]):
    items: list[T]


class Box(pydantic.BaseModel, Generic[T]):
    item: T


class Ticket(TypedDict):
    number: int


class Numbered(Protocol):
    order_id: int


class HasPayload(ABC):
    @property
    @abstractmethod
    def payload(self) -> bytes: ...


HasPayload.register(Envelope)
OrderId = NewType("OrderId", int)


class Odd(type):
    def __subclasscheck__(cls, other: type) -> bool:
        raise ValueError("it does not tell")


class Unasked(metaclass=Odd):
    """Nobody knows what is an instance of it."""


def taking(kind: Any) -> Callable[..., object]:
    """A function of one argument that is annotated so."""

    def function(told: Any) -> object:
        return told

    function.__annotations__["told"] = kind
    return function


def decorated(function: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(function)
    def parsing(envelope: Envelope) -> object:
        return function(Order(1))

    return parsing


class Handlers:
    def by_text(self, order: "Order") -> None: ...

    def __call__(self, order: Order) -> None: ...


def two(order: Order, envelope: Envelope) -> None: ...


def second_is_none(order: Order, invoice: Invoice) -> None: ...


NEVER_ENVELOPES = [
    Order, Box[int], Ticket, bytes, dict[str, Any], Page[int], Mapping[str, Any],
    Annotated[Order, "note"],
]  # fmt: skip


@pytest.mark.parametrize("kind", NEVER_ENVELOPES)
def test_a_name_takes_no_function_of_a_payload(kind: Any) -> None:
    transport = LocalTransport()
    with pytest.raises(InvalidArgument, match=r"did you mean transport\.on\(Event\(\.\.\.\)\)\?"):
        transport.on("orders.reminder")(taking(kind))
    with pytest.raises(InvalidArgument, match="would be given an Envelope: did you mean event=Ev"):
        transport.cron("@daily", id="daily")(taking(kind))
    assert repr(transport) == "<LocalTransport without handlers>"


@pytest.mark.parametrize(
    "function",
    [Handlers().by_text, Handlers(), functools.partial(taking(Order))],
)
def test_of_any_kind(function: Any) -> None:
    with pytest.raises(InvalidArgument, match="takes an Order, and would be given an Envelope"):
        LocalTransport().on("orders.reminder")(function)
    with pytest.raises(InvalidArgument, match="takes an Order, and would be given an Envelope"):
        duly.Scheduler("memory://", function)


@pytest.mark.parametrize(
    "kind",
    [
        Envelope, "Envelope", Any, object, Envelope | Order, Order | None, T, Numbered, HasPayload,
        "Nowhere", "Order |", Literal[1], OrderId, Unasked, None, 7, Annotated[Envelope, "note"],
    ],
)  # fmt: skip
def test_a_name_takes_what_may_be_an_envelope(kind: Any) -> None:
    LocalTransport().on("orders.reminder")(taking(kind))


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (Order, Invoice), (Order, str), (Order, dict), (Order, Mapping[str, Any]), (str, bytes),
        (list[Order], Order), (Page[int], Order), (Ticket, Order), (Box[int], Order),
        (Annotated[list[int], "note"], dict[str, int]),
    ],
)  # fmt: skip
def test_an_event_takes_no_function_of_another_payload(given: Any, kind: Any) -> None:
    event: Event[Any] = Event("orders.reminder", given)
    with pytest.raises(InvalidArgument, match=r"and the payload of orders\.reminder is an? "):
        LocalTransport().on(event)(taking(kind))


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (Order, Order), (Order, "Order"), (Order, Special), (Special, Order), (Order, Any),
        (Order, object), (Order, Order | None), (Order, Invoice | str), (Order, Numbered),
        (Order, T), (Order, "Nowhere"), (Order, Unasked), (Unasked, Order), (int, float),
        (int, OrderId), (dict[str, int], Mapping[str, int]), (dict, Ticket), (Ticket, dict),
        (list[int], Sequence[int]), (list[int], list), (Page[int], Page), (Page[int], Page[str]),
        (Box[int], Box), (Box[int], Box[Any]), (datetime, date), (int | str, Order),
        (Any, Order), (object, Order), (Literal[1], int), (Annotated[Order, "note"], Order),
    ],
)  # fmt: skip
def test_an_event_takes_what_may_be_its_payload(given: Any, kind: Any) -> None:
    event: Event[Any] = Event("orders.reminder", given)
    LocalTransport().on(event)(taking(kind))


def test_a_class_of_the_same_name_may_be_the_right_one() -> None:
    """As of a function that is defined in another, whose annotations are looked up outside."""

    @dataclass
    class Order:
        order_id: int

    LocalTransport().on(Event("orders.reminder", Order))(taking("Order"))


def test_one_that_decorates_another_may_make_the_payload_itself() -> None:
    transport = LocalTransport()
    transport.on("orders.reminder")(decorated(taking(Order)))
    transport.on("orders.partial")(functools.partial(decorated(taking(Order))))
    transport.on(Event("orders.paid", Invoice))(decorated(taking(Order)))


def test_what_stands_in_for_a_function_in_a_test() -> None:
    transport = LocalTransport()
    transport.on("orders.reminder")(AsyncMock())
    transport.on("orders.paid")(create_autospec(taking(Envelope)))


def test_of_two_arguments() -> None:
    transport = LocalTransport()
    with pytest.raises(
        InvalidArgument,
        match="one argument, the envelope: one with transport.on.* takes the payload, then the env",
    ):
        transport.on("orders.reminder")(two)  # type: ignore[type-var]  # that is the point
    with pytest.raises(InvalidArgument, match="must take the envelope or nothing: .* event=Event"):
        transport.every(timedelta(hours=1), id="hourly")(two)
    with pytest.raises(InvalidArgument, match="takes an Invoice as its second argument, which is"):
        transport.on(Event("orders.reminder", Order))(second_is_none)  # type: ignore[arg-type]  # as above
    transport.on(Event("orders.reminder", Order))(two)


def test_what_is_imported_for_type_checkers_alone_is_taken() -> None:
    LocalTransport().on("orders.reminder")(untold.payload_by_text)
