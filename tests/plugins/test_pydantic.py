"""duly-pydantic: models of pydantic as payloads."""

import dataclasses
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, Literal, NewType, TypeVar
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    RootModel,
    SecretStr,
    computed_field,
    field_serializer,
    field_validator,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

import duly
from duly_pydantic import PydanticCodec
from duly_pydantic.plugin import duly_codec

T = TypeVar("T")
MARK = "Xyzzy"
ONE = Decimal(1)
AT = datetime(2030, 1, 1, tzinfo=UTC)


class Colour(Enum):
    RED = "red"


class Item(BaseModel):
    price: Decimal
    colour: Colour = Colour.RED
    tags: set[str] = set()


class Order(BaseModel):
    order_id: int = Field(alias="orderId")
    items: list[Item] = []
    by: dict[str, Item] = {}
    at: datetime | None = None
    amount: float = 0  # a default that is not validated, and no float


class Numbers(RootModel[list[int]]):
    pass


@pydantic_dataclass
class Point:
    x: int
    item: Item | None = None


class Box(BaseModel, Generic[T]):
    content: T


@pydantic_dataclass
class Case(Generic[T]):
    content: T


class Node(BaseModel):
    number: int
    next: "Node | None" = None


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    lives: int


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]
PetId = NewType("PetId", Cat)


class Typed(TypedDict):
    item: Item


@dataclasses.dataclass
class Holder:
    item: Item


def message(kind: Any, payload: Any) -> duly.Message:
    return duly.Event[Any]("e", kind).message(payload, scheduled_at=AT)


def again(kind: Any, payload: Any) -> Any:
    return duly.Event[Any]("e", kind).read(message(kind, payload))


class TestItsOwn:
    @pytest.mark.parametrize(
        "kind",
        [
            Item, Numbers, Point, Box[int], Box, Case[int], list[Item], Item | None, dict[str, Sequence[Item]], Pet,
            list[Pet], PetId, tuple[int, Item], Item | dict[str, int], Item | Holder,
        ],
        ids=str,
    )  # fmt: skip
    def test_what_is_or_is_made_of_a_model_has_a_codec(self, kind):
        assert isinstance(duly_codec(kind), PydanticCodec)
        assert isinstance(duly.Event[Any]("e", kind).codec, PydanticCodec)

    @pytest.mark.parametrize(
        "kind",
        [
            int, bytes, str, dict, dict[str, Any], list[int], Any, None, Colour, Decimal, Holder, list[Holder], type,
            type("Struct", (msgspec.Struct,), {}), attrs.make_class("Attrs", ["a"]), Typed,
            Annotated[int, Item], Literal["a"], int | None, T, "Item", 5, NewType("Id", int),
        ],
        ids=str,
    )  # fmt: skip
    def test_nothing_else_has_one(self, kind):
        assert duly_codec(kind) is None

    def test_a_plain_class_that_holds_a_model_takes_the_codec_by_hand(self):
        with pytest.raises(duly.PluginError, match="there is no codec for Holder"):
            message(Holder, Holder(Item(price=1)))
        event = duly.Event("e", Holder, codec=PydanticCodec(Holder))
        made = event.message(Holder(Item(price=1)), scheduled_at=AT)
        assert event.read(made) == Holder(Item(price=1))

    def test_a_type_that_pydantic_cannot_do_says_why(self):
        struct = type("Struct", (msgspec.Struct,), {})
        with pytest.raises(duly.PluginError, match=r"pydantic \(duly-pydantic .*failed: Pydantic"):
            message(Item | struct, None)

    def test_it_is_imported_when_it_is_needed_and_no_sooner(self):
        code = """
            import sys
            import duly
            event = duly.Event("e", dict)
            with duly.sync.Scheduler("memory://", print) as scheduler:
                assert "plugin" not in scheduler.health().reason
                scheduler.schedule(event.message({}, scheduled_at=duly.after(hours=1)))
            assert not {"pydantic", "duly_pydantic"} & set(sys.modules)
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


class TestWriting:
    @pytest.mark.parametrize(
        ("kind", "payload", "data"),
        [
            (Item, Item(price=Decimal("1.10")), b'{"price":"1.10","colour":"red","tags":[]}'),
            (Order, Order(orderId=1), b'{"orderId":1,"items":[],"by":{},"at":null,"amount":0.0}'),
            (Numbers, Numbers([1]), b"[1]"),
            (Point, Point(1), b'{"x":1,"item":null}'),
            (Box[int], Box[int](content=1), b'{"content":1}'),
            (Case[int], Case(content=1), b'{"content":1}'),
            (list[Item], [], b"[]"),
            (Item | None, None, b"null"),
            (Pet, Dog(lives=1), b'{"kind":"dog","lives":1}'),
            (Node, Node(number=1, next=Node(number=2)), b'{"number":1,"next":{"number":2,"next":null}}'),
        ],
    )  # fmt: skip
    def test_what_is_written_is_read_as_it_was(self, kind, payload, data):
        assert message(kind, payload).payload == data
        read = again(kind, payload)
        assert read == payload
        assert type(read) is type(payload)

    @settings(max_examples=100, deadline=None)
    @given(
        st.builds(
            Order,
            orderId=st.integers(),
            items=st.lists(st.builds(Item, price=st.decimals(allow_nan=False, allow_infinity=False),
                                     tags=st.sets(st.text(st.characters(exclude_categories=["Cs"]), max_size=3)))),
            by=st.dictionaries(st.text("ab\""), st.builds(Item, price=st.integers(-9, 9))),
            at=st.none() | st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC)),
            amount=st.floats(allow_nan=False, allow_infinity=False),
        )
    )  # fmt: skip
    def test_random_ones_too(self, payload):
        made = message(Order, payload)
        assert duly.Event("e", Order).read(made) == payload
        assert message(Order, payload.model_copy(deep=True)).payload == made.payload

    def test_sets_are_written_in_one_order_in_every_process(self):
        class Sets(BaseModel):
            some: set[str]
            pairs: frozenset[frozenset[str]]
            more: dict[str, list[set[int]]]

        words = ["zeta", "alpha", "mid", "beta", "omega"]
        payload = Sets(
            some=set(words), pairs=[frozenset(words), frozenset("a")], more={"a": [{9, 1, 5}]}
        )
        data = message(Sets, payload).payload
        assert data == (
            b'{"some":["alpha","beta","mid","omega","zeta"],'
            b'"pairs":[["a"],["alpha","beta","mid","omega","zeta"]],"more":{"a":[[1,5,9]]}}'
        )
        assert again(Sets, payload) == payload

    def test_moments_when_clocks_are_put_back(self):
        late = datetime(2030, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
        read = again(Order, Order(orderId=1, at=late))
        assert read.at.utcoffset() == timedelta(hours=1)

    def test_private_attributes_and_computed_fields_are_no_part_of_it(self):
        class Counted(BaseModel):
            number: int
            _seen: int = PrivateAttr(0)

            @computed_field  # type: ignore[prop-decorator]  # as pydantic documents it
            @property
            def double(self) -> int:
                return 2 * self.number

        payload = Counted(number=2)
        payload._seen = 5
        assert message(Counted, payload).payload == b'{"number":2}'
        assert again(Counted, payload).double == 4

    def test_extra_fields_are_kept_where_they_are_allowed(self):
        class Open(BaseModel):
            model_config = ConfigDict(extra="allow")

        assert again(Open, Open(a=1)) == Open(a=1)
        with pytest.raises(duly.InvalidMessage, match="a would not be read again as it is"):
            message(Open, Open(a=AT))

    def test_a_serializer_whose_opposite_is_a_validator_will_do(self):
        class Wait(BaseModel):
            wait: timedelta

            @field_serializer("wait")
            def write(self, wait: timedelta) -> int:
                return round(wait.total_seconds())

        assert message(Wait, Wait(wait=timedelta(seconds=5))).payload == b'{"wait":5}'
        with pytest.raises(duly.InvalidMessage, match="wait would not be read again as it is"):
            message(Wait, Wait(wait=timedelta(seconds=5.5)))


class Login(BaseModel):
    user: str = ""
    password: SecretStr = SecretStr("")
    session: str = Field(default="", exclude=True)


class Renamed(BaseModel):
    number: int = Field(validation_alias="in", serialization_alias="out")


class Chosen(BaseModel):
    number: int = Field(validation_alias=AliasChoices("one", "other"), serialization_alias="one")


class Doubling(BaseModel):
    number: Annotated[int, BeforeValidator(lambda number: number * 2)]


class Either(BaseModel):
    of: Cat | Item


class Sub(Item):
    more: int = 0


def changed(model: Any, **fields: Any) -> Any:
    for name, value in fields.items():
        setattr(model, name, value)
    return model


MISFITS = [
    (Item, {"price": 1}, "does not fit Item, as it is a dict: it would not be read again as it is"),
    (Item, {}, r"does not fit Item, as it is a dict: .* price \(missing\)"),
    (Item, Sub(price=ONE), "it would not be read again as it is"),
    (Item, Cat(lives=1), "what it would be written as is not valid"),
    (Item, None, "not valid: model_"),
    (list[Item], (Item(price=ONE),), "it would not be read again as it is"),
    (Item, changed(Item(price=ONE), price="cheap"), r"not valid: price \(decimal_parsing\)"),
    (Item, changed(Item(price=ONE), price="1"), "price would not be read again"),
    (Item, changed(Item(price=ONE), tags=["a"]), "tags would not be read again"),
    (Order, Order.model_construct(), r"not valid: orderId \(missing\)"),
    (Order, Order.model_construct(order_id="1"), "order_id would not be read again"),
    (Order, Order.model_construct(order_id=True), "order_id would not be read again"),
    (Order, Order(orderId=1, items=[Sub(price=ONE)]), r"items\[...\] would not be read again"),
    (Order, Order(orderId=1, by={"a": changed(Item(price=ONE), price="2")}), r"by\[...\].price would not"),
    (Order, Order(orderId=1, amount=float("nan")), r"amount"),
    (Login, Login(password=SecretStr(MARK)), "password would not be read again"),
    (Login, Login(session="a"), "session would not be read again"),
    (Renamed, Renamed.model_validate({"in": 1}), r"not valid: in \(missing\)"),
    (Doubling, Doubling(number=1), "number would not be read again"),
    (Point, Point(1, Sub(price=ONE)), "item would not be read again"),
    (Pet, Item(price=ONE), "not valid: union_tag_not_found"),
    (Box[Any], Box[Any](content=(1,)), "content would not be read again"),
    (Box[Any], Box[Any](content=object()), "PydanticSerializationError"),
    (Numbers, changed(Numbers([]), root=["a"]), r"not valid: \[...\] \(int_parsing\)"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "payload", "told"), MISFITS)
@pytest.mark.filterwarnings("error")
def test_what_would_not_be_read_as_it_was_is_no_message(kind, payload, told):
    with pytest.raises(duly.InvalidMessage, match=told):
        message(kind, payload)


def test_what_can_be_written_without_loss_is_written():
    assert again(Item, changed(Item(price=1), price=2)) == Item(price=2)  # as a default may be
    assert again(Login, Login(user="a")) == Login(user="a")
    assert again(Chosen, Chosen(one=1)) == Chosen(other=1)
    assert again(Either, Either(of=Item(price=1))) == Either(of=Item(price=1))


class Refusing(BaseModel):
    number: int = 0
    word: str = ""
    tag: Annotated[str, AfterValidator(lambda text: text if not text else 1 / 0)] = ""
    by: dict[str, dict[int, int]] = {}
    pets: list[Pet] = []
    colour: Colour | None = None
    kind: Literal["a"] = "a"
    model_config = ConfigDict(extra="forbid")

    @field_validator("number")
    @classmethod
    def small(cls, number: int) -> int:
        if number > 5:
            raise ValueError(f"{MARK} {number}")
        return number

    @field_validator("word")
    @classmethod
    def short(cls, word: str) -> str:
        if word:
            raise PydanticCustomError(f"bad_{word}", "no {word}", {"word": word})  # type: ignore[arg-type]  # on purpose
        return word


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ('{"number":"Xyzzy"}', "number (int_parsing)"),
        ('{"number":9}', "number (value_error)"),
        ('{"word":"Xyzzy"}', "word (custom error)"),
        ('{"tag":"Xyzzy"}', "ZeroDivisionError"),
        ('{"Xyzzy":1}', "[...] (extra_forbidden)"),
        ('{"by":{"Xyzzy":1}}', "by[...] (dict_type)"),
        ('{"by":{"Xyzzy":{"Xyzzy":1}}}', "by[...][...][...] (int_parsing)"),
        ('{"by":{"Xyzzy":{"987654":"a"}}}', "by[...][...] (int_parsing)"),
        ('{"pets":[{"kind":"Xyzzy"}]}', "pets[...] (union_tag_invalid)"),
        ('{"pets":[{"kind":"cat","lives":"Xyzzy"}]}', "pets[...][...].lives (int_parsing)"),
        ('{"colour":"Xyzzy"}', "colour (enum)"),
        ('{"kind":"Xyzzy"}', "kind (literal_error)"),
        ('{"number":"a","word":1,"by":1,"kind":1,"colour":1}', "number (int_parsing), word (string_type), by (dict_type), and 2 more"),
        ("[1]", "model_type"),
        ("Xyzzy", "json_invalid"),
        ("", "json_invalid"),
        ("[" * 100_000, "json_invalid"),
        ('{"number":' + "9" * 5000 + "}", ""),
        ('{"word":"\\ud800Xyzzy"}', "json_invalid"),
        ('\ufeff{"number":1}', "json_invalid"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_rejected_and_not_quoted(data, told):
    event = duly.Event("e", Refusing)
    with pytest.raises(duly.Rejected) as caught:
        event.read(duly.Message("e", data.encode(), scheduled_at=AT))
    text = str(caught.value)
    assert text.startswith("e: the payload cannot be read as Refusing: ")
    assert text.endswith(told)
    assert MARK not in text
    assert "987654" not in text
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize(
    "data", [b"\xff", '{"number":1}'.encode("utf-16"), b'{"word":"\xed\xa0\x80"}']
)
def test_bytes_that_are_no_text_are_rejected(data):
    with pytest.raises(duly.Rejected, match="json_invalid"):
        duly.Event("e", Refusing).read(duly.Message("e", data, scheduled_at=AT))


@settings(max_examples=200, deadline=None)
@given(st.binary() | st.text(st.characters(exclude_categories=["Cs"])).map(str.encode))
def test_random_bytes_are_rejected(data):
    with pytest.raises(duly.Rejected):
        duly.Event("e", Order).read(duly.Message("e", data, scheduled_at=AT))
