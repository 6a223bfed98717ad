"""Random payloads of random types are read as they were written; hostile bytes are rejected."""

import dataclasses
import enum
import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from types import GenericAlias
from typing import Any, Literal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.core.engine_kit import WakingStore, emptied

import duly
from duly.testing.clock import run_virtually

MARK = "Xyzzy"
AT = duly.after(hours=1)
SETTINGS = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)  # fmt: skip


class Colour(enum.Enum):
    RED = "red"
    ONE = 1


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(),
    float: NUMBERS,
    str: TEXTS,
    type(None): st.none(),
    datetime: st.datetimes().map(lambda at: at.replace(fold=0)) | st.datetimes(timezones=OFFSETS),
    date: st.dates(),
    UUID: st.uuids(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    Colour: st.sampled_from(Colour),
    Literal["a", 2, False]: st.sampled_from(["a", 2, False]),
    int | str | None: st.integers() | st.text("abc") | st.none(),
    int | float: st.integers() | NUMBERS,
    Any: JSON,
}

Drawn = tuple[Any, st.SearchStrategy[Any]]


def held(inner: st.SearchStrategy[Drawn]) -> st.SearchStrategy[Drawn]:
    """Types that hold others, each with what draws its values."""

    def of_fields(drawn: list[Drawn]) -> Drawn:
        kind = dataclasses.make_dataclass(
            "Drawn", [(f"field_{place}", each) for place, (each, _) in enumerate(drawn)], slots=True
        )
        return kind, st.builds(kind, *[values for _, values in drawn])

    def alias(kind: type, *arguments: Any) -> Any:
        return GenericAlias(kind, arguments)

    return st.one_of(
        inner.map(lambda drawn: (alias(list, drawn[0]), st.lists(drawn[1], max_size=3))),
        inner.map(
            lambda drawn: (alias(tuple, drawn[0], ...), st.lists(drawn[1], max_size=3).map(tuple))
        ),
        inner.map(
            lambda drawn: (alias(dict, str, drawn[0]), st.dictionaries(TEXTS, drawn[1], max_size=3))
        ),
        st.tuples(inner, inner).map(
            lambda two: (
                alias(tuple, two[0][0], two[1][0]),
                st.tuples(two[0][1], two[1][1]),
            )
        ),
        st.lists(inner, max_size=4).map(of_fields),
    )


KINDS = st.recursive(
    st.sampled_from(list(LEAVES)).map(lambda kind: (kind, LEAVES[kind])), held, max_leaves=5
)


def exact(value: Any) -> Any:
    """A value with the types of all its parts."""
    if dataclasses.is_dataclass(value):
        value = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if isinstance(value, dict):
        return dict, [(key, exact(each)) for key, each in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [exact(each) for each in value]
    return type(value), value.isoformat() if isinstance(value, datetime) else repr(value)


@SETTINGS
@given(st.data())
def test_a_payload_is_read_as_it_was_written(data):
    kind, values = data.draw(KINDS)
    payload = data.draw(values)
    event = duly.Event[Any]("e", kind)
    message = event.message(payload, scheduled_at=AT)
    read = event.read(message)
    assert read == payload
    assert type(read) is type(payload)
    assert exact(read) == exact(payload)
    assert event.message(payload, scheduled_at=AT).payload == message.payload
    if kind not in (str, bytes):
        json.loads(message.payload.decode(), parse_constant=pytest.fail)


@SETTINGS
@given(st.data())
def test_a_payload_of_another_type_is_no_message_or_is_read_as_it_was(data):
    kind, _ = data.draw(KINDS)
    _, others = data.draw(KINDS)
    payload = data.draw(others)
    event = duly.Event[Any]("e", kind)
    try:
        message = event.message(payload, scheduled_at=AT)
    except duly.InvalidMessage:
        return
    assert event.read(message) == payload


def rejected(kind: Any, data: bytes) -> str:
    """What is told of bytes that cannot be read: by the error, and by all that hangs on it."""
    with pytest.raises(duly.Rejected) as caught:
        duly.Event[Any]("e", kind).read(duly.Message("e", data, scheduled_at=AT))
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    return str(error)


@dataclasses.dataclass
class Order:
    id: int
    name: str = ""
    tags: list[str] = dataclasses.field(default_factory=list)
    more: dict[str, int] = dataclasses.field(default_factory=dict)
    colour: Colour | None = None
    at: datetime | None = None
    by: UUID | None = None
    price: Decimal | None = None
    rest: Any = None


@dataclasses.dataclass
class Strict:
    id: int

    def __post_init__(self) -> None:
        raise LookupError(f"no order {MARK} {self.id}")


@SETTINGS
@given(st.binary(), st.sampled_from([str, int, list, dict[str, int], Order, Order | None]))
def test_random_bytes_are_read_or_rejected(data, kind):
    event = duly.Event[Any]("e", kind)
    message = duly.Message("e", data, scheduled_at=AT)
    try:
        read = event.read(message)
    except duly.Rejected:
        return
    assert event.message(read, scheduled_at=AT) is not None


@SETTINGS
@given(JSON, st.text("Xyz"))
def test_json_of_another_form_is_rejected_and_not_quoted(value, text):
    assume(not (isinstance(value, dict) and type(value.get("id")) is int))
    data = json.dumps({MARK + text: value, "tags": [MARK + text], "at": MARK + text}).encode()
    assert MARK not in rejected(Order, data)


def one(**fields: Any) -> bytes:
    return json.dumps({"id": 1, **fields}).encode()


@pytest.mark.parametrize(
    ("kind", "data", "told"),
    [
        (str, MARK.encode() + b"\xff", "it is not text in UTF-8"),
        (str, MARK.encode("utf-16"), "it is not text in UTF-8"),
        (Order, MARK.encode(), "it is not JSON"),
        (Order, b"", "it is not JSON"),
        (Order, b'{"id":1}{"id":2}', "it is not JSON"),
        (Order, b'\xef\xbb\xbf{"id":1}', "it is not JSON"),
        (Order, '{"id":1}'.encode("utf-16"), "it is not JSON"),
        (Order, '{"id":1}'.encode("utf-16-le"), "it is not JSON"),
        (Order, '{"id":1}'.encode("utf-32"), "it is not JSON"),
        (Order, b'{"id":1,"id":2}', "it is not JSON"),
        (Order, b'{"id":1,"rest":{"%s":1,"%s":1}}' % ((MARK.encode(),) * 2), "it is not JSON"),
        (Order, b'{"id":NaN}', "it is not JSON"),
        (Order, b'{"id":-Infinity}', "it is not JSON"),
        (Order, b'{"id":' + b"9" * 5000 + b"}", "it is not JSON"),
        (Order, b'{"id":1,"name":"\xed\xa0\x80"}', "it is not JSON"),
        (Order, b'{"id":1,"name":"\\ud800' + MARK.encode() + b'"}', "name must be text"),
        (Order, b'{"id":1,"rest":["\\udfff"]}', "rest[0] must be text"),
        (Order, b'{"id":1,"rest":{"\\udfff":1}}', "rest must be a dictionary whose keys are text"),
        (Order, b'{"id":1,"rest":1e999}', "rest must be a finite number"),
        (Order, b"[" * 100_000, "nested more than 100 deep"),
        (Order, b'{"rest":' * 100_000, "nested more than 100 deep"),
        (Order, b'"' + b"\\" * 100_001 + b"[" * 200, "it is not JSON"),
        (Order, b'"\\' * 100_000 + b"[" * 200, "it is not JSON"),
        (Order, b"[]", "must be a Order"),
        (Order, b"{}", "id must be there"),
        (Order, b'{"id":1.0}', "id must be a whole number"),
        (Order, b'{"id":true}', "id must be a whole number"),
        (Order, one(name=None), "name must be text"),
        (Order, one(tags=[MARK, 1]), "tags[1] must be text"),
        (Order, one(more={MARK: MARK}), "more[...] must be a whole number"),
        (Order, one(colour=MARK), "colour must be one of Colour or null"),
        (Order, one(at=MARK), "at must be a moment or null"),
        (Order, one(by=MARK), "by must be a UUID or null"),
        (Order, one(price=MARK), "price must be a finite decimal number or null"),
        (Order, one(price="NaN"), "price must be a finite decimal number or null"),
        (Literal["a"], b'"%s"' % MARK.encode(), "must be one of 'a'"),
        (float, b"9" * 400, "must be a finite number"),
        (dict[str, Order], json.dumps({MARK: {MARK: 1}}).encode(), "[...].id must be there"),
        (Strict, b'{"id":12345}', "LookupError"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_rejected_and_not_quoted(kind, data, told):
    text = rejected(kind, data)
    assert text.startswith("e: the payload cannot be read as ")
    assert text.endswith(told)
    assert MARK not in text
    assert "12345" not in text


def test_fields_that_a_reader_does_not_know_are_passed_over():
    event = duly.Event("e", Order)
    assert event.read(duly.Message("e", b'{"id":1,"new":{}}', scheduled_at=AT)) == Order(1)


@run_virtually
async def test_what_cannot_be_read_is_buried_at_once():
    event = duly.Event("orders.reminder", Order)
    transport = duly.LocalTransport()
    read: list[Order] = []
    attempts: list[int] = []

    @transport.on("orders.reminder")
    async def remind(envelope: duly.Envelope) -> None:
        attempts.append(envelope.attempt)
        read.append(event.read(envelope))

    store = WakingStore()
    async with duly.Scheduler(store, transport, load_plugins=False) as scheduler:
        await scheduler.schedule(event.message(Order(17), scheduled_at=duly.after(), id="good"))
        bad = b'{"id":"%s"}' % MARK.encode()
        await scheduler.schedule(
            duly.Message("orders.reminder", bad, scheduled_at=duly.after(), id="bad")
        )
        async with scheduler.running():
            await emptied(store)
        (dead,) = await scheduler.list(duly.Filter(state=duly.State.DEAD))
    assert read == [Order(17)]
    assert attempts == [1, 1]
    assert dead.id == "bad"
    assert dead.error_class == "Rejected"
    assert dead.last_error is not None
    assert "id must be a whole number" in dead.last_error
    assert MARK not in dead.last_error
