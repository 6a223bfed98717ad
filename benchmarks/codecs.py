"""What a typed event costs: microseconds a message, beside bare ``json.dumps`` and ``json.loads``.

``python -m benchmarks.codecs`` measures each in turn, round by round, and gives medians, so that
what else the machine does weighs on all alike. The payload is the same everywhere: an order of
five items. ``duly.Message`` is what a message costs whose bytes are there already.
"""

import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pydantic

import duly

AT = duly.after(hours=1)
ROUNDS = 15
TIMES = 500
PLAIN: dict[str, Any] = {
    "order_id": 17,
    "customer": "Zoë Example",
    "items": [{"name": f"item {each}", "price": 9.5 + each, "count": each} for each in range(5)],
}


@dataclasses.dataclass
class Item:
    name: str
    price: float
    count: int


@dataclasses.dataclass
class Order:
    order_id: int
    customer: str
    items: list[Item]


class ItemModel(pydantic.BaseModel):
    name: str
    price: float
    count: int


class OrderModel(pydantic.BaseModel):
    order_id: int
    customer: str
    items: list[ItemModel]


class ItemStruct(msgspec.Struct):
    name: str
    price: float
    count: int


class OrderStruct(msgspec.Struct):
    order_id: int
    customer: str
    items: list[ItemStruct]


ITEMS = [Item(**each) for each in PLAIN["items"]]
PAYLOADS: Mapping[str, Any] = {
    "dict": PLAIN,
    "dataclass": Order(17, PLAIN["customer"], ITEMS),
    "pydantic": OrderModel.model_validate(PLAIN),
    "msgspec": msgspec.convert(PLAIN, OrderStruct),
}


def pairs() -> Mapping[str, tuple[Callable[[], object], Callable[[], object]]]:
    """By name, what writes and what reads."""
    data = json.dumps(PLAIN).encode()
    found: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "json alone": (lambda: json.dumps(PLAIN).encode(), lambda: json.loads(data)),
        "duly.Message": (lambda: duly.Message("e", data, scheduled_at=AT), lambda: None),
    }
    for name, payload in PAYLOADS.items():
        event = duly.Event[Any]("e", type(payload))
        message = event.message(payload, scheduled_at=AT)
        assert event.read(message) == payload
        found[name] = (
            lambda event=event, payload=payload: event.message(payload, scheduled_at=AT),  # type: ignore[misc]  # lambda of a loop
            lambda event=event, message=message: event.read(message),  # type: ignore[misc]  # as above
        )
    return found


def timed(call: Callable[[], object]) -> float:
    """Microseconds a call."""
    start = time.perf_counter()
    for _ in range(TIMES):
        call()
    return (time.perf_counter() - start) / TIMES * 1e6


def main() -> None:
    several = pairs()
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in several}
    for _ in range(ROUNDS):
        for name, (write, read) in several.items():
            spent[name].append((timed(write), timed(read)))
    print(f"{'payload':<14}{'write, us':>12}{'read, us':>12}")
    for name, rounds in spent.items():
        write, read = (statistics.median(each) for each in zip(*rounds, strict=True))
        print(f"{name:<14}{write:>12.1f}{read:>12.1f}")


if __name__ == "__main__":
    main()
