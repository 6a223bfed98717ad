"""What a message becomes in NATS: its subject and its headers; and what a URL may say."""

import logging
import string
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.transports.envelopes import envelope

from duly import InvalidArgument, TransportUnavailable
from duly.testing.clock import START
from duly.transport import Envelope
from duly_nats import JetStreamTransport, Login, NatsTransport
from duly_nats.content import headers_of, size_of
from duly_nats.plugin import duly_transports, jetstream_from_url, nats_from_url
from duly_nats.subjects import Subjects

# --- subjects


@pytest.mark.parametrize(
    ("template", "name", "subject"),
    [
        ("{event_name}", "orders.reminder", "orders.reminder"),
        ("events.{event_name}", "orders.reminder", "events.orders.reminder"),
        ("{event_name}.due", "a", "a.due"),
        ("all", "orders.reminder", "all"),
        ("{event_name}", "größe", "gr%C3%B6%C3%9Fe"),
        ("{event_name}", "a b*c>d%", "a%20b%2Ac%3Ed%25"),
        ("{event_name}", ".a..b...c.", "%2Ea%2E.b%2E%2E.c%2E"),
        ("x.{event_name}.y", ".", "x.%2E.y"),
        ("{event_name}", "$SYS.x", "%24SYS.x"),
    ],
)
def test_subjects(template, name, subject):
    assert Subjects(template)(name) == subject


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=255))
def test_every_event_name_has_a_subject_of_its_own(name):
    subject = Subjects("{event_name}")(name)
    assert unquote(subject) == name
    assert set(subject) <= set(string.ascii_letters + string.digits + "%._-~")
    assert "" not in subject.split(".")
    assert len(subject) < 4000


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("", "subject: it is empty"),
        ("{name}", "unknown field"),
        ("a b.{event_name}", "blank"),
        ("a\n.{event_name}", "blank or a control"),
        ("a.*.{event_name}", "wildcard"),
        ("a.>", "wildcard"),
        (".{event_name}", "nothing before"),
        ("{event_name}.", "nothing before"),
        ("a..{event_name}", "nothing before"),
        ("$SYS.{event_name}", "the server itself"),
        ("$JS.API.STREAM.DELETE.{event_name}", "the server itself"),
        ("x" * 1000, "longer than"),
    ],
)
def test_subjects_that_are_refused(template, said):
    with pytest.raises(InvalidArgument, match=said):
        Subjects(template)


# --- headers


def headers(*, named: bool = True, **metadata: str) -> dict[str, str]:
    told = Envelope(
        message_id="a", event_name="n ä", scheduled_at=START, delivery_id="a:1:0",
        metadata={name.replace("__", "-"): text for name, text in metadata.items()},
    )  # fmt: skip
    return headers_of(told, named=named)


def test_the_delivery_id_is_the_message_id():
    assert headers_of(envelope(), named=True)["Nats-Msg-Id"] == "a:1:0"


def test_a_subject_for_all_leaves_the_name_to_a_header():
    assert "duly-event-name" not in headers()
    assert headers(named=False)["duly-event-name"] == "n ä"


@pytest.mark.parametrize(
    ("text", "sent"),
    [("größe 📦", "größe 📦"), ("50%", "50%25"), (" a ", "%20a%20"), ("a\r\nb: c", "a%0D%0Ab: c"),
     ("\u00a0a", "%C2%A0a"), ("\x85", "%C2%85"), ("\t", "%09"), ("", ""), ("a  b", "a  b")],
)  # fmt: skip
def test_values(text, sent):
    assert headers(x=text)["x"] == sent
    assert unquote(sent) == text
    assert sent.strip() == sent


@pytest.mark.parametrize(
    "name", ["Nats__Msg__Id", "nats__ttl", "Nats__Rollup", "Nats__Schedule", "Status", "Description",
             "duly__event__name", "Duly__Attempt", "metadata__x", ""],
)  # fmt: skip
def test_metadata_cannot_say_what_the_server_listens_to(name):
    name = name.replace("__", "-")
    told = Envelope(message_id="a", event_name="b", scheduled_at=START, metadata={name: "mine"})
    found = headers_of(told, named=True)
    assert found[f"metadata-{name}"] == "mine"
    assert found["Nats-Msg-Id"] == told.delivery_id
    assert "mine" not in [text for key, text in found.items() if not key.startswith("metadata-")]


def test_a_trace_is_encoded_by_its_own_rules_alone():
    told = Envelope(
        message_id="a", event_name="b", scheduled_at=START, metadata={"baggage": "mine"},
        trace_context={"baggage": "a=%C3%A4", "odd": "\r\n"},
    )  # fmt: skip
    found = headers_of(told, named=True)
    assert (found["baggage"], found["odd"]) == ("a=%C3%A4", "%0D%0A")


def test_names_are_encoded():
    assert headers(**{"größe: x": "1", "a%": "2"}).items() >= {
        ("gr%C3%B6%C3%9Fe%3A%20x", "1"), ("a%25", "2"),
    }  # fmt: skip


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=50), max_size=5))
def test_nothing_ends_a_line(metadata):
    told = Envelope(message_id="a", event_name="b", scheduled_at=START, metadata=metadata)
    try:
        "".join([*metadata, *metadata.values()]).encode()
    except UnicodeEncodeError:
        return  # no message has such metadata
    found = headers_of(told, named=True)
    lines = "".join(f"{name}: {text}\r\n" for name, text in found.items())
    assert len(lines.splitlines()) >= len(found) == lines.count("\n") == lines.count("\r")
    assert size_of(found) == len(f"NATS/1.0\r\n{lines}\r\n".encode())
    back = {unquote(name): unquote(text) for name, text in found.items()}
    for name, text in metadata.items():
        assert text in (back.get(name), back.get(f"metadata-{name}")) or name.startswith("duly-")


# --- URLs


def test_what_is_offered():
    assert set(duly_transports()) == {"jetstream", "nats"}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nats://a", "NatsTransport(a:4222)"),
        ("nats://user:secret@a:1,b", "NatsTransport(a:1, b:4222)"),
        ("jetstream://secret@[::1]", "JetStreamTransport([::1]:4222)"),
    ],
)
def test_servers(url, shown):
    make = nats_from_url if url.startswith("nats") else jetstream_from_url
    assert repr(make(url)) == shown


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nats://", "names no server"),
        ("nats://a/orders", "no paths"),
        (
            "nats://a?stream=x",
            "unknown option 'stream'; known: creds_file, inbox_prefix, nkey_file, subj",
        ),
        ("jetstream://a?stream=", "is not the name"),
        ("jetstream://a?stream=a.b", "is not the name"),
        ("jetstream://a?topic=x", "unknown option 'topic'"),
        ("nats://a?subject=", "subject: "),
        ("nats://a?timeout=0", "above 0"),
        ("nats://a?timeout=soon", "number of seconds"),
        ("nats://a?inbox_prefix=*", "inbox_prefix"),
        ("nats://a?tls_ca=x.pem", "without tls=true"),
        ("nats://a?tls=true&tls_ca=/missing.pem", "no file"),
        ("nats://a?creds_file=/missing.creds", "creds_file: there is no file"),
        ("nats://a?nkey_file=/missing.nk", "nkey_file: there is no file"),
        ("nats://secret@a?nkey_file=/missing.nk", "give one of"),
        ("nats://u:secret@a?creds_file=/missing.creds", "give one of"),
        ("nats://:secret@a", "a user"),
    ],
)
def test_urls_that_are_refused(url, said):
    make = nats_from_url if url.startswith("nats") else jetstream_from_url
    with pytest.raises(InvalidArgument, match=said) as told:
        make(url)
    assert "secret" not in str(told.value)


def test_transports_that_are_refused():
    for servers in ([], "a:1"):
        with pytest.raises(InvalidArgument, match="list of host:port"):
            NatsTransport(servers)
    with pytest.raises(InvalidArgument, match="not the name"):
        JetStreamTransport(["a:1"], stream="*")


def test_a_login_shows_no_secret():
    assert "secret" not in repr(Login(user="u", password="secret"))
    assert "secret" not in repr(Login(token="secret"))


async def test_a_logging_filter_that_raises_is_not_what_keeps_it_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_record: logging.LogRecord) -> None:
        raise OSError("the log server is gone")

    monkeypatch.setattr(logging.getLogger("duly.nats"), "filters", [fail])
    with pytest.raises(TransportUnavailable):  # nobody listens at that port
        await nats_from_url("nats://127.0.0.1:1").open()
