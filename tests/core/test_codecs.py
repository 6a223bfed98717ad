"""What core writes and reads of each type, and what it refuses, before anything is stored."""

import dataclasses
import enum
import math
import sys
import typing
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

import duly

T = typing.TypeVar("T")
AT = datetime(2030, 1, 1, tzinfo=UTC)


class Colour(enum.Enum):
    RED = "red"
    TWO = 2


class Level(enum.IntEnum):
    LOW = 1


class Name(enum.StrEnum):
    A = "a"


class Rights(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Odd(enum.Enum):
    PAIR = (1, 2)


class Text(str):
    __slots__ = ()


class Pair(NamedTuple):
    one: int
    two: int


OrderId = NewType("OrderId", int)
Raw = NewType("Raw", bytes)


@dataclasses.dataclass
class Item:
    price: Decimal
    colour: Colour = Colour.RED
    tags: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class SubItem(Item):
    more: int = 0


class Undecorated(Item):
    pass


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    id: OrderId
    items: list[Item]
    at: datetime | None = None
    by: dict[str, "Order"] = dataclasses.field(default_factory=dict)
    size: tuple[int, float] = (1, 1.5)
    rest: Any = None


@dataclasses.dataclass
class Box(typing.Generic[T]):
    content: T
    several: list[T]
    next: Optional["Box[T]"] = None


@dataclasses.dataclass
class One:
    two: "Two | None" = None


@dataclasses.dataclass
class Two:
    one: One | None = None


@dataclasses.dataclass
class Positive:
    """Looks at itself when it is made."""

    amount: int

    def __post_init__(self) -> None:
        if self.amount < 0:
            raise ValueError("negative")


@dataclasses.dataclass
class Doubled:
    """Is another each time it is made."""

    amount: int

    def __post_init__(self) -> None:
        self.amount *= 2


@dataclasses.dataclass
class Handed:
    a: int
    b: dataclasses.InitVar[int] = 0


@dataclasses.dataclass
class Kept:
    a: int
    b: int = dataclasses.field(init=False, default=1)


@dataclasses.dataclass
class Own:
    a: int

    def __init__(self, text: str) -> None:
        self.a = len(text)


def message(kind: Any, payload: Any) -> duly.Message:
    return duly.Event[Any]("e", kind).message(payload, scheduled_at=AT)


def again(kind: Any, payload: Any) -> Any:
    return duly.Event[Any]("e", kind).read(message(kind, payload))


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


WRITTEN: list[tuple[Any, Any, bytes]] = [
    (bytes, b"\0\xff", b"\0\xff"),
    (str, "a\0é\ufeff", "a\0é\ufeff".encode()),
    (Annotated[str, "note"], "a", b"a"),
    (Raw, b"a", b"a"),
    (None, None, b"null"),
    (bool, True, b"true"),
    (int, -(10**30), b"-1000000000000000000000000000000"),
    (float, 0.1, b"0.1"),
    (float, -0.0, b"-0.0"),
    (list, [1, [None, {"a": "é"}]], '[1,[null,{"a":"é"}]]'.encode()),
    (tuple, (1, "a"), b'[1,"a"]'),
    (tuple[()], (), b"[]"),
    (tuple[int, str], (1, "a"), b'[1,"a"]'),
    (tuple[int, ...], (1, 2, 3), b"[1,2,3]"),
    (typing.Tuple, (1,), b"[1]"),  # noqa: UP006  # as older code has it
    (typing.List[int], [1], b"[1]"),  # noqa: UP006  # as above
    (dict[str, bool], {"b": True, "a": False}, b'{"b":true,"a":false}'),
    (dict, {"a": [1.5]}, b'{"a":[1.5]}'),
    (Any, {"a": {"b": []}}, b'{"a":{"b":[]}}'),
    (object, "a", b'"a"'),
    (datetime, AT, b'"2030-01-01T00:00:00+00:00"'),
    (datetime, AT.replace(tzinfo=None), b'"2030-01-01T00:00:00"'),
    (datetime, AT.replace(tzinfo=timezone(timedelta(seconds=-3723))), b'"2030-01-01T00:00:00-01:02:03"'),
    (date, date(2030, 1, 1), b'"2030-01-01"'),
    (UUID, UUID(int=5), b'"00000000-0000-0000-0000-000000000005"'),
    (Decimal, Decimal("-1.10E+3"), b'"-1.10E+3"'),
    (Colour, Colour.TWO, b"2"),
    (Level, Level.LOW, b"1"),
    (Name, Name.A, b'"a"'),
    (Rights, Rights.WRITE, b"2"),
    (Literal["a", 1, None, True], True, b"true"),
    (OrderId, OrderId(5), b"5"),
    (int | str, "5", b'"5"'),
    (int | float, 5, b"5"),
    (int | float, 5.0, b"5.0"),
    (Optional[Item], None, b"null"),  # noqa: UP045  # as above
    (Item | list[int] | Colour, Colour.RED, b'"red"'),
    (bool | int | None, False, b"false"),
    (Item, Item(Decimal("1.10")), b'{"price":"1.10","colour":"red","tags":[]}'),
    (list[Item], [Item(Decimal(1), Colour.TWO, ["a"])], b'[{"price":"1","colour":2,"tags":["a"]}]'),
    (Box[int], Box(1, [2], Box(3, [])), b'{"content":1,"several":[2],"next":{"content":3,"several":[],"next":null}}'),
    (Box[Item | None], Box(None, []), b'{"content":null,"several":[],"next":null}'),
    (One, One(Two(One())), b'{"two":{"one":{"two":null}}}'),
    (Undecorated, Undecorated(Decimal(1)), b'{"price":"1","colour":"red","tags":[]}'),
    (Positive, Positive(1), b'{"amount":1}'),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "payload", "data"), WRITTEN)
def test_what_is_written_is_read_as_it_was(kind, payload, data):
    written = message(kind, payload)
    assert written.payload == data
    read = duly.Event[Any]("e", kind).read(written)
    assert read == payload
    assert type(read) is type(payload)
    assert repr(read).replace("datetime.timezone.utc", "UTC") == repr(payload).replace(
        "datetime.timezone.utc", "UTC"
    )


def test_a_large_dataclass_is_read_as_it_was():
    order = Order(id=OrderId(1), items=[Item(Decimal(1))], at=AT, rest={"a": [1.5, None]})
    whole = Order(id=OrderId(2), items=[], by={"a": order}, size=(2, 2.5))
    assert again(Order, whole) == whole


def test_a_moment_keeps_its_offset_and_not_the_name_of_its_zone():
    moment = datetime(2030, 7, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    assert again(datetime, moment) == moment
    assert again(datetime, moment).utcoffset() == timedelta(hours=2)


def test_a_whole_number_that_a_float_holds_is_written_as_one():
    assert message(float, 5).payload == b"5.0"
    assert message(float | Level, 1).payload == b"1.0"  # else it would be read as a Level


def test_the_content_type_says_what_it_is():
    assert message(bytes, b"").metadata == {"content-type": "application/octet-stream"}
    assert message(str, "").metadata == {"content-type": "text/plain; charset=utf-8"}
    assert message(int, 1).metadata == {"content-type": "application/json"}


MISFITS = [
    (bytes, "a", "must be bytes, not str"),
    (str, b"a", "must be text"),
    (str, Text("a"), "must be text"),
    (str, "\ud800", "must be text"),
    (Annotated[str, 1], 1, "must be text"),
    (bool, 1, "must be true or false"),
    (int, True, "must be a whole number"),
    (int, Level.LOW, "must be a whole number"),
    (int, 1.0, "must be a whole number"),
    pytest.param(int, 10**5000, "digits", id="digits"),
    (float, math.nan, "must be a finite number"),
    (float, -math.inf, "must be a finite number"),
    pytest.param(float, 10**400, "must be a finite number", id="large"),
    (float, 2**60 + 1, "a number that a float holds exactly"),
    (float, "1", "must be a finite number"),
    (float, True, "must be a finite number"),
    (list[str], ["a", "\udfff"], r"\[1\] must be text"),
    (list[int], (1,), "must be a list"),
    (list, deep(101), "more than 100 deep"),
    (list, deep(5000), "more than 100 deep"),
    (tuple[int, int], (1, 2, 3), "must be a tuple of 2"),
    (tuple[int, int], Pair(1, 2), "must be a tuple of 2"),
    (tuple[()], (1,), "must be a tuple of 0"),
    (dict, {1: "a"}, "keys are text"),
    (dict, {Name.A: 1}, "keys are text"),
    (dict, {"\ud800": 1}, "keys are text"),
    (dict, OrderedDict(a=1), "must be a dictionary"),
    (dict, {"a": (1,)}, "a value that JSON has"),  # it would be read as a list
    (dict, {"a": {"b": {1}}}, r"\[...\]\[...\] must be a value that JSON has"),
    (dict[str, int], {"a": "b"}, r"\[...\] must be a whole number"),
    (Any, Text("a"), "a value that JSON has"),
    (Any, b"a", "a value that JSON has"),
    (Any, AT, "a value that JSON has"),
    (datetime, date(2030, 1, 1), "must be a moment"),
    (datetime, datetime(2030, 1, 1, fold=1), "must be a moment with a time zone"),
    (date, AT, "must be a date"),
    (UUID, str(UUID(int=5)), "must be a UUID"),
    (Decimal, 1, "must be a finite decimal"),
    (Decimal, Decimal("NaN"), "must be a finite decimal"),
    (Decimal, Decimal("-Infinity"), "must be a finite decimal"),
    (Colour, "red", "must be one of Colour"),
    (Rights, Rights.READ | Rights.WRITE, "must be one of Rights"),
    (Literal["a", 1], True, "must be one of 'a', 1"),
    (Literal["a", 1], "b", "must be one of 'a', 1"),
    (int | None, "a", "must be a whole number or null"),
    (Item | None, Item("1"), "price must be a finite decimal"),  # type: ignore[arg-type]  # wrong on purpose
    (Item, SubItem(Decimal(1)), "must be a Item"),
    (SubItem, Item(Decimal(1)), "must be a SubItem"),
    (Item, {"price": Decimal(1)}, "must be a Item"),
    (Item, Item(Decimal(1), tags=["a", None]), r"tags\[1\] must be text"),  # type: ignore[list-item]  # wrong on purpose
    (list[Item], [Item(Decimal(1), colour="red")], r"\[0\].colour must be one of Colour"),  # type: ignore[arg-type]  # wrong on purpose
    (Box[str], Box(1, [], None), "content must be text"),
    (Positive, Positive.__new__(Positive), "amount"),
    (Doubled, Doubled(1), "would not be read again as it is"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "payload", "told"), MISFITS)
def test_what_does_not_fit_is_no_message(kind, payload, told):
    with pytest.raises(duly.InvalidMessage, match=told) as caught:
        message(kind, payload)
    assert "the payload does not fit" in str(caught.value) or kind is bytes


def test_what_holds_itself_is_no_message():
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(duly.InvalidMessage, match="holds itself"):
        message(list, circle)
    ring = Box(1, [])
    ring.next = ring
    with pytest.raises(duly.InvalidMessage, match="holds itself"):
        message(Box[int], ring)


def test_an_object_that_its_class_would_not_take_is_no_message():
    changed = Positive(1)
    changed.amount = -1
    with pytest.raises(duly.InvalidMessage, match="could not be read again: ValueError: negative"):
        message(Positive, changed)
    with pytest.raises(duly.InvalidMessage, match="ValueError: negative"):
        message(list[Positive | None], [changed])


def test_the_deepest_that_is_written_is_read():
    assert again(list, deep(100)) == deep(100)
    assert again(list, [["[" * 200, '\\"{' * 200]]) == [["[" * 200, '\\"{' * 200]]
    wide: list[Any] = [[{}] for _ in range(1000)]
    assert again(list, wide) == wide


NONE = [
    complex, set[int], frozenset, bytearray, time, timedelta, type, int | datetime | str, Name | str,
    list | tuple[int, ...], Item | Order, Item | dict, float | Level | int, dict[int, str], dict[Name, int],
    Mapping[str, int], Odd, Pair, T, Box, Box[set[int]], list[bytes], tuple[int, *tuple[str, ...]],
    Literal[b"a"], Literal[Colour.RED], list["Item"], "Item", 5, typing.Callable, Any | None,
]  # fmt: skip


@pytest.mark.parametrize("kind", NONE, ids=str)
def test_what_core_cannot_write_has_no_codec(install, kind):
    with pytest.raises(duly.PluginError, match="there is no codec for .*pip install duly-pydantic"):
        message(kind, None)


@pytest.mark.parametrize("kind", [Handed, Kept, Own, list[Own | None]])
def test_a_dataclass_that_is_not_made_of_its_fields_has_no_codec(install, kind):
    with pytest.raises(
        duly.PluginError, match="not made of its fields alone.*give the event codec="
    ):
        message(kind, None)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.12 brought aliases of types")
def test_an_alias_means_what_it_stands_for(install):
    make: Any = typing.TypeAliasType  # type: ignore[attr-defined]  # in Python 3.12
    assert message(make("Words", str), "a").payload == b"a"
    assert again(list[make("Number", int | None)], [1, None]) == [1, None]
    space: dict[str, Any] = {"TypeAliasType": make}
    exec("type Tree = dict[str, Tree] | int", space)
    with pytest.raises(duly.PluginError, match="there is no codec for .*RecursionError"):
        message(space["Tree"], 1)
