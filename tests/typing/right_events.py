"""Uses of typed events that type checkers must take as they are."""

# pyright: strict

import dataclasses
from typing import Annotated, Any, assert_type

import msgspec
import pydantic

import duly

AT = duly.after(hours=1)


class Model(pydantic.BaseModel):
    number: int


class Row(msgspec.Struct):
    number: int


@dataclasses.dataclass
class Order:
    order_id: int


class Words:
    """A codec, by its shape alone."""

    content_type = "text/plain"

    def encode(self, payload: list[str], /) -> bytes:
        return " ".join(payload).encode()

    def decode(self, data: bytes, /) -> list[str]:
        return data.decode().split()


model = duly.Event("model", Model)
row = duly.Event("row", Row, id="row-{number}")
order = duly.Event("order", Order)
either = duly.Event[int | str]("either", int | str)
size: duly.Event[int | str] = duly.Event("size", int | str)
several = duly.Event[Annotated[list[Model], "note"]]("several", Annotated[list[Model], "note"])
plain = duly.Event("plain", dict[str, int])
anything = duly.Event[Any]("anything", object)
words = duly.Event("words", list[str], codec=Words())
codec: duly.Codec[list[str]] = Words()


def read(envelope: duly.Envelope, message: duly.Message) -> None:
    assert_type(model, duly.Event[Model])
    assert_type(model.read(envelope), Model)
    assert_type(row.read(message), Row)
    assert_type(order.read(envelope).order_id, int)
    assert_type(either.read(envelope), int | str)
    assert_type(size.read(envelope), int | str)
    assert_type(several.read(envelope), list[Model])
    assert_type(plain.read(envelope), dict[str, int])
    assert_type(words.read(envelope), list[str])
    assert_type(words.codec, duly.Codec[list[str]])
    assert_type(row.id(number=17), str)
    assert_type(row.name, str)


def write() -> list[duly.Message]:
    return [
        model.message(Model(number=1), scheduled_at=AT),
        row.message(Row(1), scheduled_at=AT, id="a", metadata={"a": "b"}, expires_at=AT),
        order.message(Order(1), recurrence=duly.Cron("@daily")),
        either.message("a", scheduled_at=AT),
        either.message(1, scheduled_at=AT),
        several.message([Model(number=1)], scheduled_at=AT),
        plain.message({"a": 1}, scheduled_at=AT),
        anything.message(None, scheduled_at=AT),
        words.message(["a"], scheduled_at=AT),
    ]
