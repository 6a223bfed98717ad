"""The local transports: which functions they take, and what ``local://`` means."""

import functools
from collections.abc import Iterator
from typing import Any

import pytest
from tests.transports.envelopes import NAME, envelope, twice

import duly.local
from duly.errors import InvalidArgument
from duly.local import FunctionTransport, LocalTransport, duly_transports
from duly.transport import Envelope


def test_a_function_stays_what_it_is_and_may_have_several_names() -> None:
    transport = LocalTransport()

    @transport.on("one")
    @transport.on("two")
    def handle(told: Envelope) -> str:
        return told.message_id

    assert handle(envelope()) == "a"
    assert repr(transport) == "<LocalTransport one, two>"
    assert repr(LocalTransport()) == "<LocalTransport without handlers>"


def test_a_name_has_one_function() -> None:
    transport = LocalTransport()
    transport.on(NAME)(nothing)
    with pytest.raises(
        InvalidArgument,
        match=r"'orders.reminder' has a handler already in .*: [\w.]+test_local_registering.nothing$",
    ):
        transport.on(NAME)(lambda told: None)
    transport.on("other", max_in_flight=1)(nothing)
    with pytest.raises(InvalidArgument, match=r"registering\.nothing, with other needs$"):
        transport.on("other", max_in_flight=2)(nothing)


@pytest.mark.parametrize("name", ["", None, 7, lambda told: None, b"name"])
def test_what_is_no_event_name_is_refused(name: Any) -> None:
    with pytest.raises(
        InvalidArgument, match=r'on\(\) takes an event or an event name, as in @transport\.on\("'
    ):
        LocalTransport().on(name)


def generator(told: Envelope) -> Iterator[None]:
    yield


async def async_generator(told: Envelope):
    yield


@pytest.mark.parametrize(
    ("handler", "match"),
    [
        (None, "a handler is a function, not None"),
        ("handle", "a handler is a function, not 'handle'"),
        (generator, "generator is a generator: calling it would do nothing"),
        (async_generator, "async_generator is a generator"),
        (lambda: None, "must take one argument, the envelope"),
        (lambda told, more: None, "must take one argument, the envelope"),
        (lambda *, told: None, "must take one argument, the envelope"),
    ],
)
def test_what_cannot_handle_an_envelope_is_refused(handler: Any, match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        FunctionTransport(handler)
    with pytest.raises(InvalidArgument, match=match):
        LocalTransport().on(NAME)(handler)


async def test_a_function_without_a_signature_is_taken_at_its_word() -> None:
    await twice(FunctionTransport(type), envelope())


def test_their_names_are_shown() -> None:
    assert repr(FunctionTransport(nothing)) == "<FunctionTransport nothing>"
    assert repr(FunctionTransport(functools.partial(nothing))) == "<FunctionTransport partial>"


def nothing(told: Envelope) -> None:
    """Nothing."""


# --- by URL


async def test_the_url_delivers_to_what_the_module_registered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(duly.local._shared, "_handlers", LocalTransport()._handlers)
    heard: list[Envelope] = []
    duly.local.on(NAME)(heard.append)
    for url in ("local://", "local://"):
        await twice(duly_transports()["local"](url), envelope())
    assert len(heard) == 4


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("local://host", "local://host: local:// takes no host, path or user"),
        ("local:///path", "no host, path or user"),
        ("local://user:secret@", r"local://user:\*\*\*@"),
        ("local://?threads=3", "unknown option 'threads'; known: none"),
    ],
)
def test_a_url_with_more_is_refused(url: str, match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        duly_transports()["local"](url)


def test_all_it_exports() -> None:
    assert duly.local.__all__ == [
        "FunctionTransport", "Handler", "LocalTransport", "cron", "duly_transports", "every", "on",
        "wrap",
    ]  # fmt: skip
