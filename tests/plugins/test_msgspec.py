"""duly-msgspec: Struct, attrs, TypedDict and NamedTuple as payloads."""

import dataclasses
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    TypedDict,
    TypeVar,
)
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Meta, Struct, UnsetType
from pydantic.dataclasses import dataclass as pydantic_dataclass

import duly
from duly_msgspec import MsgspecCodec
from duly_msgspec.plugin import duly_codec

T = TypeVar("T")
MARK = "Xyzzy"
AT = datetime(2030, 1, 1, tzinfo=UTC)


class Colour(Enum):
    RED = "red"


class Item(Struct):
    price: Decimal
    colour: Colour = Colour.RED
    tags: set[str] = set()


class Order(Struct, rename="camel", omit_defaults=True):
    order_id: int
    items: list[Item] = []
    by: dict[str, Item] = {}
    at: datetime | None = None
    amount: float = 0
    note: str | UnsetType = UNSET


class Cat(Struct, tag="cat"):
    lives: int


class Dog(Struct, tag="dog"):
    lives: int


class Row(Struct, array_like=True, frozen=True):
    one: int
    two: str


class Box(Struct, Generic[T]):
    content: T


class Node(Struct):
    number: int
    next: "Node | None" = None


@attrs.define
class Parcel:
    weight: int = attrs.field(validator=attrs.validators.gt(0))
    colour: Colour = Colour.RED


@attrs.define
class Private:
    number: int
    _secret: int = 0


@attrs.define
class Inner:
    number: int
    double: int = attrs.field(init=False, default=0)


@attrs.define
class Converting:
    number: int = attrs.field(converter=int)


class Ticket(TypedDict):
    number: int
    note: NotRequired[str]


class Pair(NamedTuple):
    one: int
    two: str = ""


@dataclasses.dataclass
class Holder:
    item: Item


class Model(pydantic.BaseModel):
    number: int


@pydantic_dataclass
class Point:
    x: int


class Unchecked(Struct):
    of: Model


class Bypassing(Struct):
    of: Point


def message(kind: Any, payload: Any) -> duly.Message:
    return duly.Event[Any]("e", kind).message(payload, scheduled_at=AT)


def again(kind: Any, payload: Any) -> Any:
    return duly.Event[Any]("e", kind).read(message(kind, payload))


class TestItsOwn:
    @pytest.mark.parametrize(
        "kind",
        [
            Item, Order, Row, Box[int], Box, Parcel, Ticket, Pair, list[Item], Item | None, Cat | Dog, dict[str, list[Ticket]],
            Annotated[Item, "note"], NewType("Named", Item), tuple[int, Pair], Item | int, list[Parcel | None],
        ],
        ids=str,
    )  # fmt: skip
    def test_what_is_or_is_made_of_one_has_a_codec(self, kind):
        assert isinstance(duly_codec(kind), MsgspecCodec)
        assert isinstance(duly.Event[Any]("e", kind).codec, MsgspecCodec)

    @pytest.mark.parametrize(
        "kind",
        [
            int, bytes, str, dict, dict[str, Any], list[int], tuple[int, str], Any, None, Colour, Decimal, Holder,
            list[Holder], Model, Point, list[Model], Item | Model, Ticket | Point, Annotated[int, Item], Literal["a"],
            int | None, T, "Item", 5, NewType("Id", int),
        ],
        ids=str,
    )  # fmt: skip
    def test_nothing_else_has_one(self, kind):
        assert duly_codec(kind) is None

    def test_a_plain_class_that_holds_a_struct_takes_the_codec_by_hand(self):
        with pytest.raises(duly.PluginError, match="there is no codec for Holder"):
            message(Holder, Holder(Item(Decimal(1))))
        event = duly.Event("e", Holder, codec=MsgspecCodec(Holder))
        made = event.message(Holder(Item(Decimal(1))), scheduled_at=AT)
        assert event.read(made) == Holder(Item(Decimal(1)))

    @pytest.mark.parametrize(
        ("kind", "why"),
        [
            (Unchecked, "msgspec cannot check values of Model"),
            (Bypassing, "msgspec cannot check values of Point"),
            (Item | Order, "TypeError: If a type union contains multiple Struct types, all"),
            (list[Item] | set[Item], "TypeError: Type unions may not contain more than one"),
        ],
    )
    def test_what_msgspec_cannot_do_says_why(self, kind, why):
        with pytest.raises(duly.PluginError, match=r"msgspec \(duly-msgspec .*failed: ") as caught:
            message(kind, None)
        assert why in str(caught.value)

    def test_it_is_imported_when_it_is_needed_and_no_sooner(self):
        code = """
            import sys
            import duly
            event = duly.Event("e", dict)
            with duly.sync.Scheduler("memory://", print) as scheduler:
                assert "plugin" not in scheduler.health().reason
                scheduler.schedule(event.message({}, scheduled_at=duly.after(hours=1)))
            assert not {"msgspec", "duly_msgspec"} & set(sys.modules)
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


class TestWriting:
    @pytest.mark.parametrize(
        ("kind", "payload", "data"),
        [
            (Item, Item(Decimal("1.10")), b'{"price":"1.10","colour":"red","tags":[]}'),
            (Order, Order(1), b'{"orderId":1}'),
            (Order, Order(1, amount=5, note=""), b'{"orderId":1,"amount":5,"note":""}'),
            (Cat | Dog, Dog(1), b'{"type":"dog","lives":1}'),
            (Row, Row(1, "a"), b'[1,"a"]'),
            (Box[int], Box(1), b'{"content":1}'),
            (Node, Node(1, Node(2)), b'{"number":1,"next":{"number":2,"next":null}}'),
            (list[Item], [], b"[]"),
            (Item | None, None, b"null"),
            (Parcel, Parcel(1), b'{"weight":1,"colour":"red"}'),
            (Ticket, {"number": 1}, b'{"number":1}'),
            (Ticket, {"number": 1, "note": "a"}, b'{"note":"a","number":1}'),
            (Pair, Pair(1), b'[1,""]'),
            (Inner, Inner(1), b'{"number":1,"double":0}'),
            (Private, Private(1), b'{"number":1}'),
        ],
    )  # fmt: skip
    def test_what_is_written_is_read_as_it_was(self, kind, payload, data):
        made = message(kind, payload)
        assert msgspec.json.decode(made.payload) == msgspec.json.decode(data)
        assert made.metadata == {"content-type": "application/json"}
        read = again(kind, payload)
        assert read == payload
        assert type(read) is type(payload)

    @settings(max_examples=100, deadline=None)
    @given(
        st.builds(
            Order,
            order_id=st.integers(-(2**63), 2**64 - 1),
            items=st.lists(st.builds(Item, price=st.decimals(allow_nan=False, allow_infinity=False),
                                     tags=st.sets(st.text(st.characters(exclude_categories=["Cs"]), max_size=3)))),
            by=st.dictionaries(st.text("ab\""), st.builds(Item, price=st.decimals(-9, 9))),
            at=st.none() | st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC)),
            amount=st.floats(allow_nan=False, allow_infinity=False),
        )
    )  # fmt: skip
    def test_random_ones_too(self, payload):
        made = message(Order, payload)
        assert duly.Event("e", Order).read(made) == payload

    def test_sets_and_dictionaries_are_written_in_one_order_in_every_process(self):
        words = ["zeta", "alpha", "mid"]
        one = Order(
            1, [Item(Decimal(1), tags=set(words))], {"b": Item(Decimal(2)), "a": Item(Decimal(3))}
        )
        other = Order(
            1,
            [Item(Decimal(1), tags={*reversed(words)})],
            {"a": Item(Decimal(3)), "b": Item(Decimal(2))},
        )
        assert b'["alpha","mid","zeta"]' in message(Order, one).payload
        assert message(Order, one).payload == message(Order, other).payload

    def test_moments_when_clocks_are_put_back(self):
        late = datetime(2030, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
        assert again(Order, Order(1, at=late)).at.utcoffset() == timedelta(hours=1)


class Sub(Item):
    more: int = 0


class Checked(Struct):
    number: int

    def __post_init__(self) -> None:
        if self.number > 5:
            raise ValueError(f"{MARK} {self.number}")
        if self.number == 5:
            raise LookupError(MARK)


class Doubling(Struct):
    number: int

    def __post_init__(self) -> None:
        self.number *= 2


class Skipping(Struct):
    number: Annotated[int, Meta(ge=0)] = 0
    any: Any = None


def changed(value: Any, **fields: Any) -> Any:
    for name, each in fields.items():
        setattr(value, name, each)
    return value


def odd(kind: Any, **fields: Any) -> Any:
    """An object that no __init__ has seen."""
    made = kind.__new__(kind)
    for name, each in fields.items():
        object.__setattr__(made, name, each)
    return made


MISFITS = [
    (Item, Item("cheap"), "price.*not valid|not valid: Invalid decimal"),  # type: ignore[arg-type]  # on purpose
    (Item, Item("1"), "price would not be read again as it is"),  # type: ignore[arg-type]  # on purpose
    (Item, {"price": "1"}, "does not fit Item, as it is a dict: it would not be read again as it is"),
    (Item, {}, "does not fit Item, as it is a dict: .* missing required field `price`"),
    (Item, Sub(Decimal(1)), "it would not be read again as it is"),
    (Item, None, "Expected `object`, got `null`"),
    (Item, Item(Decimal(1), tags=["a"]), "tags would not be read again"),  # type: ignore[arg-type]  # on purpose
    (Item, Item(Decimal("NaN")), "price would not be read again"),
    (list[Item], (Item(Decimal(1)),), "it would not be read again as it is"),
    (Order, Order("1"), r"Expected `int`, got `str` - at `\$.orderId`"),  # type: ignore[arg-type]  # on purpose
    (Order, Order(True), r"Expected `int`, got `bool` - at `\$.orderId`"),
    (Order, Order(1, [Sub(Decimal(1))]), r"items\[...\] would not be read again"),
    (Order, Order(1, by={"a": Item("1")}), r"by\[...\].price would not"),  # type: ignore[arg-type]  # on purpose
    (Order, Order(1, amount=float("nan")), r"Expected `float`, got `null`"),
    (Order, Order(1, amount=2**60 + 1), "amount would not be read again"),
    (Order, Order(1, note="\ud800"), "UnicodeEncodeError"),
    (Cat | Dog, Item(Decimal(1)), "missing required field `type`"),
    (Parcel, changed(odd(Parcel, colour=Colour.RED, weight=-1)), "a check of its class failed: ValueError"),
    (Private, Private(1, 5), "_secret would not be read again"),
    (Converting, odd(Converting, number="1"), "Expected `int`, got `str`"),
    (Ticket, {}, "missing required field `number`"),
    (Ticket, {"number": 1, "more": 2}, "it would not be read again"),
    (Pair, (1, "a"), "it would not be read again"),
    (Checked, changed(Checked(1), number=9), "a check of its class failed: ValueError"),
    (Doubling, Doubling(1), "number would not be read again"),
    (Skipping, Skipping(-1), "Expected `int` >= 0"),
    (Skipping, Skipping(any=(1,)), "any would not be read again"),
    (Skipping, Skipping(any=object()), "TypeError: Encoding objects of type object"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "payload", "told"), MISFITS)
def test_what_would_not_be_read_as_it_was_is_no_message(kind, payload, told):
    with pytest.raises(duly.InvalidMessage, match=told):
        message(kind, payload)


def test_validators_of_attrs_run_and_converters_do_not():
    event = duly.Event("e", Parcel)
    with pytest.raises(duly.Rejected, match="a check of its class failed: ValueError"):
        event.read(duly.Message("e", b'{"weight":-987654}', scheduled_at=AT))
    with pytest.raises(duly.Rejected, match="Expected `int`, got `str`"):
        duly.Event("e", Converting).read(duly.Message("e", b'{"number":"1"}', scheduled_at=AT))


class Strict(Struct, forbid_unknown_fields=True):
    number: int = 0
    word: Annotated[str, Meta(max_length=2, pattern="^a")] = ""
    by: dict[str, dict[int, int]] = {}
    pets: list[Cat | Dog] = []
    colour: Colour | None = None
    kind: Literal["a"] = "a"
    keys: dict[Colour, int] = {}
    at: datetime | None = None
    checked: Checked | None = None
    data: bytes = b""
    pair: tuple[int, int] = (0, 0)
    price: Decimal = Decimal(0)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ('{"number":"Xyzzy"}', "Expected `int`, got `str` - at `$.number`"),
        ('{"number":1e400}', "Number out of range - at `$.number`"),
        ('{"number":' + "9" * 5000 + "}", "Integer value out of range - at `$.number`"),
        ('{"word":"Xyzzy"}', "Expected `str` of length <= 2 - at `$.word`"),
        ('{"Xyzzy":1}', "an object has a field that is unknown"),
        ('{"x` - at `$.Xyzzy`":1}', "an object has a field that is unknown"),
        ('{"by":{"Xyzzy":1}}', "Expected `object`, got `int` - at `$.by[...]`"),
        ('{"by":{"Xyzzy":{"Xyzzy":1}}}', "Expected `int`, got `str` - at `key` in `$.by[...]`"),
        ('{"by":{"Xyzzy":{"987654":"a"}}}', "Expected `int`, got `str` - at `$.by[...][...]`"),
        ('{"pets":[{"type":"Xyzzy"}]}', "a tag is none of those allowed"),
        ('{"pets":[{"type":"cat"}]}', "Object missing required field `lives` - at `$.pets[0]`"),
        ('{"colour":"Xyzzy"}', "a value is none of those allowed"),
        ('{"kind":"Xyzzy - at `$`"}', "a value is none of those allowed"),
        ('{"keys":{"Xyzzy":1}}', "a value is none of those allowed"),
        ('{"at":"Xyzzy"}', "Invalid RFC3339 encoded datetime - at `$.at`"),
        ('{"checked":{"number":987654}}', "a check of its class failed: ValueError"),
        ('{"checked":{"number":5}}', "LookupError"),
        ('{"data":"Xyzzy"}', "Invalid base64 encoded string - at `$.data`"),
        ('{"pair":[1]}', "Expected `array` of length 2 - at `$.pair`"),
        ('{"price":"Xyzzy"}', "Invalid decimal string - at `$.price`"),
        ("[1]", "Expected `object`, got `array`"),
        ("Xyzzy", "it is not JSON"),
        ("", "it is not JSON"),
        ('{"number":NaN}', "it is not JSON"),
        ('{"word":"\\ud800Xyzzy"}', "it is not JSON"),
        ('\ufeff{"number":1}', "it is not JSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_rejected_and_not_quoted(data, told):
    event = duly.Event("e", Strict)
    with pytest.raises(duly.Rejected) as caught:
        event.read(duly.Message("e", data.encode(), scheduled_at=AT))
    text = str(caught.value)
    assert text == f"e: the payload cannot be read as Strict: {told}"
    assert MARK not in text
    assert "987654" not in text
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize(
    "data", [b"\xff", '{"number":1}'.encode("utf-16"), b'{"word":"\xed\xa0\x80"}']
)
def test_bytes_that_are_no_text_are_rejected(data):
    with pytest.raises(duly.Rejected, match="it is not JSON"):
        duly.Event("e", Strict).read(duly.Message("e", data, scheduled_at=AT))


def test_what_is_nested_deeply_is_rejected():
    with pytest.raises(duly.Rejected, match="it is nested too deeply"):
        duly.Event("e", Skipping).read(
            duly.Message("e", b'{"any":' + b"[" * 100_000, scheduled_at=AT)
        )


@settings(max_examples=200, deadline=None)
@given(st.binary() | st.text(st.characters(exclude_categories=["Cs"])).map(str.encode))
def test_random_bytes_are_rejected(data):
    with pytest.raises(duly.Rejected):
        duly.Event("e", Order).read(duly.Message("e", data, scheduled_at=AT))
