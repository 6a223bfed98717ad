"""``duly.Event``: messages of it, how its codec is found, and what is said when there is none."""

import dataclasses
import logging
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import attrs
import pydantic
import pytest
from tests.core.fuzzing import Hostile, HostileMapping

import duly

if TYPE_CHECKING:
    from decimal import Decimal

AT = duly.after(hours=1)


@dataclasses.dataclass
class Order:
    order_id: int


@dataclasses.dataclass
class Unknown:
    price: "Decimal"


@dataclasses.dataclass
class Misspelt:
    price: "sys.no_such_class"  # type: ignore[name-defined]  # on purpose


class Money:
    """A class that nobody knows."""


class Ticket(TypedDict):
    ticket_id: int


@attrs.define
class Parcel:
    weight: int


class Model(pydantic.BaseModel):
    number: int


class Coins:
    """A codec of one's own."""

    content_type = "application/x-coins"

    def encode(self, payload: Any) -> bytes:
        return b"m"

    def decode(self, data: bytes) -> Any:
        return Money


def message(kind: Any, payload: Any = None, **arguments: Any) -> duly.Message:
    arguments = {"scheduled_at": AT, **arguments}
    return duly.Event[Any]("e", kind).message(payload, **arguments)


class TestMessage:
    def test_it_has_all_that_a_message_has(self):
        event = duly.Event("orders.reminder", Order, id="order-{order_id}")
        daily = duly.Every(timedelta(days=1))
        made = event.message(Order(17), scheduled_at=AT, metadata={"a": "b"}, recurrence=daily)
        assert made.event_name == event.name == "orders.reminder"
        assert event.type is Order
        assert made.id == "order-17"
        assert made.payload == b'{"order_id":17}'
        assert made.metadata == {"a": "b", "content-type": "application/json"}
        assert made.recurrence == daily
        end = duly.after(days=9)
        assert event.message(Order(17), scheduled_at=AT, expires_at=end).expires_at == end
        assert event.read(made) == Order(17)
        assert repr(event) == "Event('orders.reminder', Order)"

    def test_it_is_stored_and_delivered_as_any_other(self):
        event = duly.Event("e", Order)
        with duly.sync.Client("memory://", load_plugins=False) as client:
            id = client.schedule(event.message(Order(1), scheduled_at=AT))
            assert event.read(client.get(id)) == Order(1)

    @pytest.mark.parametrize("key", ["content-type", "Content-Type", "CONTENT-TYPE"])
    def test_the_content_type_of_the_caller_wins(self, key):
        assert message(int, 1, metadata={key: "a/b"}).metadata == {key: "a/b"}

    @pytest.mark.parametrize("metadata", [None, 5, "ab", {1: "a"}, {"a": 1}, HostileMapping()])
    def test_what_is_no_metadata_is_told_as_by_a_message(self, metadata):
        with pytest.raises(duly.InvalidMessage, match="metadata"):
            message(int, 1, metadata=metadata)

    def test_the_metadata_of_the_caller_is_left_alone(self):
        metadata = {"a": "b"}
        message(int, 1, metadata=metadata)
        assert metadata == {"a": "b"}

    @pytest.mark.parametrize("name", ["", "a\n", "orders.*", "a" * 256, None])
    def test_a_name_that_is_none_is_told_when_the_event_is_made(self, name):
        with pytest.raises(duly.InvalidMessage, match="event"):
            duly.Event(name, int)

    def test_a_payload_that_does_not_fit_is_told_before_anything_is_stored(self):
        with duly.sync.Client("memory://", load_plugins=False) as client:
            with pytest.raises(
                duly.InvalidMessage, match="e: the payload does not fit Order: order"
            ):
                client.schedule(message(Order, Order("17")))  # type: ignore[arg-type]  # on purpose
            assert client.stats().scheduled == 0

    def test_only_an_envelope_or_a_message_can_be_read(self):
        for each in (b"1", None, Hostile()):
            with pytest.raises(duly.InvalidArgument, match="read takes an Envelope or a Message"):
                duly.Event("e", int).read(each)  # type: ignore[arg-type]  # on purpose

    def test_a_message_without_its_payload_cannot_be_read(self):
        with duly.sync.Client("memory://", load_plugins=False) as client:
            client.schedule(message(int, 1))
            (listed,) = client.list(payload=False)
            with pytest.raises(duly.InvalidMessage, match="payload"):
                duly.Event("e", int).read(listed)


class TestOwnCodec:
    def test_it_is_asked_and_no_installed_code_runs(self, install):
        module = install("raise SystemExit('imported')", entry="shop", hooks=["duly_codec"])
        event = duly.Event("e", Money, codec=Coins())
        made = event.message(Money(), scheduled_at=AT)
        assert made.payload == b"m"
        assert made.metadata == {"content-type": "application/x-coins"}
        assert event.read(made) is Money  # type: ignore[comparison-overlap]  # what this codec does
        assert module not in sys.modules

    def test_it_goes_before_that_of_core(self):
        assert duly.Event("e", int, codec=Coins()).message(1, scheduled_at=AT).payload == b"m"

    @pytest.mark.parametrize("codec", [5, "a", object(), Coins, Hostile(), print])
    def test_what_is_no_codec_is_told_when_the_event_is_made(self, codec):
        with pytest.raises(duly.InvalidArgument, match="e: codec must be one, not"):
            duly.Event("e", Money, codec=codec)

    @pytest.mark.parametrize("written", ["text", None, 5])
    def test_what_it_writes_must_be_bytes(self, written):
        class Wrong(Coins):
            def encode(self, payload):
                return written

        with pytest.raises(duly.InvalidMessage, match="payload must be bytes"):
            duly.Event("e", Money, codec=Wrong()).message(Money(), scheduled_at=AT)

    def test_what_it_raises_is_told_by_the_class_when_it_reads_and_in_full_when_it_writes(self):
        class Failing(Coins):
            def encode(self, payload):
                raise OSError("no coins")

            decode = encode

        event = duly.Event("e", Money, codec=Failing())
        with pytest.raises(duly.InvalidMessage, match="does not fit Money: OSError: no coins"):
            event.message(Money(), scheduled_at=AT)
        with pytest.raises(duly.Rejected) as caught:
            event.read(duly.Message("e", b"a", scheduled_at=AT))
        assert str(caught.value) == "e: the payload cannot be read as Money: OSError"
        assert caught.value.__context__ is None


CODEC = """
import duly

class Codec:
    content_type = "application/x-{name}"
    def encode(self, payload): return b"{name}"
    def decode(self, data): return None

@duly.hookimpl
def duly_codec(type):
    return Codec() if type.__name__ == "Money" else None
"""


class TestFinding:
    @pytest.mark.parametrize("says", [{"hooks": ["duly_codec"]}, {}])
    def test_an_installed_plugin_offers_it(self, install, says):
        install(CODEC.format(name="a"), **says)
        assert message(Money, Money()).payload == b"a"

    def test_it_is_looked_up_when_it_is_needed_first_and_then_kept(self, install):
        event = duly.Event("e", Money)
        install(CODEC.format(name="a"), hooks=["duly_codec"])
        assert event.message(Money(), scheduled_at=AT).payload == b"a"
        assert event.codec is event.codec

    def test_no_plugin_is_asked_for_what_core_can_write(self, install):
        module = install(CODEC.format(name="a").replace("Money", "Order"), hooks=["duly_codec"])
        assert message(Order, Order(1)).payload == b'{"order_id":1}'
        assert module not in sys.modules

    def test_what_an_entry_point_does_not_tell_is_not_used(self, install):
        module = install(CODEC.format(name="a"), hooks=["duly_started"])
        with pytest.raises(duly.PluginError, match="there is no codec for Money"):
            message(Money)
        assert module not in sys.modules

    def test_two_that_offer_one_are_named(self, install):
        install(CODEC.format(name="a"), "duly-a", entry="a", hooks=["duly_codec"])
        install(CODEC.format(name="b"), "duly-b", entry="b", hooks=["duly_codec"])
        with pytest.raises(duly.PluginError) as caught:
            message(Money)
        assert str(caught.value) == (
            "a (duly-a 1.2) and b (duly-b 1.2) offer a codec for Money: give the event codec="
        )

    @pytest.mark.parametrize(
        ("code", "why"),
        [
            ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
            ("raise SystemExit('no')", "SystemExit: no"),
            ("def broken(:", "SyntaxError"),
            (CODEC.replace("@duly.hookimpl", ""), "duly_codec is not marked with @duly.hookimpl"),
            (CODEC.replace("Codec() if", "1 / 0 if"), "ZeroDivisionError"),
            (CODEC.replace("Codec() if", "5 if"), "must return a Codec or None, not int (AttributeError"),
            (CODEC.replace("Codec() if", "Codec if"), "must return a Codec or None, not type"),
            (CODEC.replace("def encode", "def encodes"), "must return a Codec or None, not Codec"),
            (CODEC.replace("(type)", "(type, more)"), "more"),
        ],
    )  # fmt: skip
    def test_one_that_is_broken_stops_no_other_and_is_told(self, install, caplog, code, why):
        install(code, "duly-bad", entry="bad", hooks=["duly_codec"])
        with pytest.raises(duly.PluginError) as caught:
            message(Money)
        assert "there is no codec for Money: pip install" in str(caught.value)
        assert "; bad (duly-bad 1.2) failed: " in str(caught.value)
        assert why in str(caught.value)
        install(CODEC.format(name="good"), "duly-good", entry="good", hooks=["duly_codec"])
        caplog.set_level(logging.WARNING, "duly")
        caplog.clear()
        assert message(Money, Money()).payload == b"good"
        assert any("plugin_broken" in str(each.msg) for each in caplog.records)

    def test_one_for_another_version_is_told(self, install, monkeypatch):
        monkeypatch.setattr("duly._plugins.installed.version", lambda _name: "0.1.0")
        install(CODEC, "duly-new", entry="new", hooks=["duly_codec"], requires=["duly>=99"])
        with pytest.raises(duly.PluginError, match=r"new \(duly-new 1.2\) failed: it requires"):
            message(Money)

    @pytest.mark.parametrize("kind", [Ticket, Parcel, Model, Money, list[Model], Parcel | None])
    def test_without_a_plugin_it_is_told_what_to_install(self, install, kind):
        with pytest.raises(duly.PluginError) as caught:
            message(kind)
        assert (
            "pip install duly-pydantic for models of pydantic, duly-msgspec for msgspec.Struct, "
            "attrs and TypedDict, or give the event codec=" in str(caught.value)
        )

    @pytest.mark.parametrize(
        ("kind", "why"),
        [
            (Unknown, "NameError: name 'Decimal' is not defined"),
            (Misspelt, "AttributeError"),
            (list[Unknown | None], "NameError"),
        ],
    )
    def test_annotations_that_cannot_be_looked_up_are_told(self, install, kind, why):
        with pytest.raises(duly.PluginError, match="outside of TYPE_CHECKING") as caught:
            message(kind)
        assert why in str(caught.value)


def test_a_client_imports_no_plugin_that_offers_codecs_alone(install):
    module = install(CODEC.format(name="a"), hooks=["duly_codec"])
    with duly.sync.Scheduler("memory://", print) as scheduler:
        assert module not in sys.modules
        assert message(Money, Money()).payload == b"a"
        assert scheduler.health().status is duly.Status.HEALTHY


def test_a_plugin_that_observes_too_is_no_trouble(install):
    more = "\n@duly.hookimpl\ndef duly_scheduled(messages):\n    pass\n"
    install(CODEC.format(name="a") + more, hooks=["duly_codec", "duly_scheduled"])
    with duly.sync.Scheduler("memory://", print) as scheduler:
        assert "plugin" not in scheduler.health().reason


def test_load_plugins_does_not_govern_codecs(install):
    install(CODEC.format(name="a"), hooks=["duly_codec"])
    with duly.sync.Client("memory://", load_plugins=False) as client:
        client.schedule(message(Money, Money(), id="a"))
        assert client.get("a").payload == b"a"


def test_an_event_can_be_made_before_anything_else(tmp_path: Path):
    code = """
        import sys
        import duly
        event = duly.Event("e", dict, id="{a}")
        assert not {name for name in sys.modules if name.startswith("duly_")}
        print(event.message({"a": 1}, scheduled_at=duly.after()).id)
        assert not {name for name in sys.modules if name.startswith("duly_")}
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
