"""Ids made of payloads: what a template may be, and that two payloads never have one by accident."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any, TypedDict
from uuid import UUID

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import duly

AT = duly.after(hours=1)
SHOP = UUID(int=5)


class Kind(enum.Enum):
    FIRST = "first"
    SECOND = 2
    THIRD = (1, 2)


class Level(enum.IntEnum):
    LOW = 1


class Name(enum.StrEnum):
    A = "a"


@dataclasses.dataclass
class Order:
    order_id: Any = None
    tenant: Any = None

    @property
    def both(self) -> str:
        return f"{self.tenant}{self.order_id}"

    @property
    def broken(self) -> str:
        raise ZeroDivisionError("no such thing")


class Ticket(TypedDict):
    ticket_id: int


def id_of(template: str, **fields: Any) -> str:
    return duly.Event("e", dict[str, Any], id=template).id(**fields)


class TestMaking:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (17, "17"), (-1, "-1"), ("a", "a"), ("a b/é", "a b/é"), ("%", "%"), (SHOP, str(SHOP)), (Kind.FIRST, "first"),
            (Kind.SECOND, "2"), (Level.LOW, "1"), (Name.A, "a"), ("", ""),
        ],
    )  # fmt: skip
    def test_a_field_is_written_as_text(self, value, text):
        event = duly.Event("e", Order, id="order-{order_id}")
        assert event.id(order_id=value) == f"order-{text}"

    @pytest.mark.parametrize(
        "value", [None, True, 1.5, b"a", [], Kind.THIRD, object(), "\ud800", Order]
    )
    def test_any_other_value_is_refused(self, value):
        event = duly.Event("e", Order, id="order-{order_id}")
        with pytest.raises(duly.InvalidMessage, match="order_id, which its id needs, must be"):
            event.id(order_id=value)

    @pytest.mark.parametrize(
        ("template", "fields", "id"),
        [
            ("{a}-{b}", {"a": "1-2", "b": "3"}, "1%2D2-3"),
            ("{a}-{b}", {"a": "1", "b": "2-3"}, "1-2%2D3"),
            ("{a}-{b}", {"a": "1%2D2", "b": "3"}, "1%252D2-3"),
            ("{a}/{b}-{c}", {"a": "/", "b": "-", "c": "x"}, "%2F/%2D-x"),
            ("{a} § {b}", {"a": "§", "b": "1"}, "%C2%A7 § 1"),
            ("x-{a}", {"a": "-%"}, "x--%"),  # with one field nothing can be mistaken
            ("{a}{{x{b}", {"a": "{x", "b": "1"}, "%7Bx{x1"),
            ("{a}{{{b}}}", {"a": "1", "b": "}"}, "1{}}"),
            ("{größe}-{b}", {"größe": 1, "b": 2}, "1-2"),
            ("always", {}, "always"),
        ],
    )
    def test_separators_within_a_value_are_written_as_in_urls(self, template, fields, id):
        assert id_of(template, **fields) == id

    def test_it_is_made_of_the_payload(self):
        event = duly.Event("e", Order, id="{tenant}/order-{order_id}")
        assert event.message(Order(17, "a"), scheduled_at=AT).id == "a/order-17"
        assert event.id(order_id=17, tenant="a") == "a/order-17"

    def test_an_id_that_is_given_wins(self):
        event = duly.Event("e", Order, id="order-{order_id}")
        assert event.message(Order(17), scheduled_at=AT, id="mine").id == "mine"

    def test_keys_and_properties_count_as_fields(self):
        assert duly.Event("e", dict, id="{a}").message({"a": 1}, scheduled_at=AT).id == "1"
        assert (
            duly.Event[Any]("e", Order, id="{both}").message(Order(1, 2), scheduled_at=AT).id
            == "21"
        )

    def test_a_field_may_be_called_self(self):
        assert duly.Event("e", dict, id="{self}").id(self=1) == "1"

    @pytest.mark.parametrize("size", [256, 5000])
    def test_a_long_one_is_no_id(self, size):
        event = duly.Event("e", Order, id="{order_id}")
        assert len(event.id(order_id="a" * 255)) == 255
        for make in (
            lambda: event.id(order_id="a" * size),
            lambda: event.message(Order("a" * size), scheduled_at=AT),
        ):
            with pytest.raises(duly.InvalidMessage, match="id must have 1 to 255 characters"):
                make()

    def test_a_number_of_thousands_of_digits_is_none_either(self):
        with pytest.raises(duly.InvalidMessage, match="too large for an id"):
            id_of("{a}", a=10**5000)

    @pytest.mark.parametrize(("value", "told"), [("", "1 to 255"), ("a\nb", "control character")])
    def test_what_is_no_id_is_refused(self, value, told):
        event = duly.Event("e", Order, id="{order_id}")
        with pytest.raises(duly.InvalidMessage, match=told):
            event.message(Order(value), scheduled_at=AT)


class TestMissing:
    def test_a_key_that_is_not_there(self):
        event = duly.Event("e", dict, id="{a}")
        with pytest.raises(duly.InvalidMessage, match="the payload has no 'a', which its id needs"):
            event.message({}, scheduled_at=AT)

    def test_a_property_that_fails(self):
        event = duly.Event[Any]("e", Order, id="{broken}")
        with pytest.raises(duly.InvalidMessage, match="'broken', which the id needs, fails: Zero"):
            event.message(Order(), scheduled_at=AT)

    @pytest.mark.parametrize("fields", [{}, {"tenant": 1}, {"order_id": 1, "tenant": 1}])
    def test_fields_that_are_not_those_of_the_template(self, fields):
        event = duly.Event("e", Order, id="order-{order_id}")
        with pytest.raises(duly.InvalidArgument, match="the id of e is made of order_id, given:"):
            event.id(**fields)

    def test_an_event_without_a_template_makes_none(self):
        event = duly.Event("e", Order)
        with pytest.raises(duly.InvalidArgument, match="e makes no ids"):
            event.id(order_id=1)
        assert len(event.message(Order(), scheduled_at=AT).id) == 36

    @pytest.mark.parametrize(
        "kind", [Order, Ticket, bytes, str, int, list, list[int], tuple, type(None)]
    )
    def test_a_field_that_the_type_has_not_is_told_when_the_event_is_made(self, kind):
        with pytest.raises(duly.InvalidArgument, match="its id names {missing}, which .* has not"):
            duly.Event[Any]("e", kind, id="{missing}")

    @pytest.mark.parametrize("kind", [dict, dict[str, int], Mapping, Any, object, Order | None])
    def test_where_the_type_does_not_tell_it_is_seen_later(self, kind):
        assert duly.Event[Any]("e", kind, id="{missing}").name == "e"

    def test_the_keys_of_a_typed_dict_are_known(self):
        assert duly.Event("e", Ticket, id="{ticket_id}").id(ticket_id=1) == "1"


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{a.b}", "takes names of fields alone"),
        ("{a[0]}", "takes names of fields alone"),
        ("{a.__class__.__mro__}", "takes names of fields alone"),
        ("{a!r}", "takes names of fields alone"),
        ("{a:>9}", "takes names of fields alone"),
        ("{a:{b}}", "takes names of fields alone"),
        ("{}", "takes names of fields alone"),
        ("{0}", "takes names of fields alone"),
        ("{a b}", "takes names of fields alone"),
        ("{a", "cannot be read"),
        ("a}", "cannot be read"),
        ("{a!}", "cannot be read"),
        ("{a}{b}", "no separator between them"),
        ("{a}x{b}", "no separator between them"),
        ("{a}_{b}", "no separator between them"),
        ("{a}%{b}", "no separator between them"),
        ("{{-{a}x{b}", "no separator between them"),
        ("{a}-{b}é{c}", "no separator between them"),
        ("{a}-{a}", "names a field twice"),
        (5, "is a template, not 5"),
        (b"{a}", "is a template"),
    ],
)
def test_what_is_no_template_is_refused(template, told):
    with pytest.raises(duly.InvalidArgument, match=told):
        duly.Event("e", dict, id=template)


LITERALS = st.text("-/:.% a_1é{}", min_size=1, max_size=3)
VALUES = st.text("-/:.%2DF a_1é{}", max_size=4) | st.integers(-12, 12)


@settings(max_examples=500, deadline=None)
@given(st.data(), st.integers(1, 4))
def test_two_payloads_that_differ_never_have_one_id(data, fields):
    literals = [data.draw(LITERALS) for _ in range(fields)]
    names = [f"f{place}" for place in range(fields)]
    template = "".join(
        literal.replace("{", "{{").replace("}", "}}") + f"{{{name}}}"
        for literal, name in zip(literals, names, strict=True)
    )
    try:
        event = duly.Event("e", dict[str, Any], id=template)
    except duly.InvalidArgument as error:
        assume("no separator" not in str(error))
        raise
    one, other = ({name: data.draw(VALUES) for name in names} for _ in range(2))
    same = [str(each) for each in one.values()] == [str(each) for each in other.values()]
    assert (event.id(**one) == event.id(**other)) is same
