"""Event names as a broker's words."""

from urllib.parse import quote

import pytest

from duly import InvalidArgument
from duly.template import Template


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{event_name}", "orders.reminder"),
        ("events.{event_name}.v1", "events.orders.reminder.v1"),
        ("{event_name}/{event_name}", "orders.reminder/orders.reminder"),
        ("all", "all"),
        ("{{{event_name}}}", "{orders.reminder}"),
    ],
)
def test_filled(text, filled):
    template = Template(text, option="stream")
    assert template.fill("orders.reminder") == filled
    assert template.varies == ("orders" in filled)


def test_what_a_name_holds_is_never_taken_for_a_field():
    assert (
        Template("a.{event_name}", option="stream").fill("{event_name}{0}") == "a.{event_name}{0}"
    )


def test_only_the_name_is_encoded():
    template = Template(
        "a b/{event_name}", option="topic", encode=lambda name: quote(name, safe="")
    )
    assert template.fill("c d/e") == "a b/c%20d%2Fe"


@pytest.mark.parametrize(
    "text",
    ["", "{", "}", "a{event_name", "{}", "{0}", "{name}", "{event_name.__class__}",
     "{event_name[0]}", "{event_name!r}", "{event_name:>10}", "{event_name:{event_name}}"],
)  # fmt: skip
def test_refused(text):
    with pytest.raises(InvalidArgument, match="stream: "):
        Template(text, option="stream")


def test_repr():
    assert repr(Template("a.{event_name}", option="stream")) == "Template('a.{event_name}')"


@pytest.mark.parametrize("rest", ["{name}", "{event_name", "{event_name}"])
def test_a_password_in_it_is_not_told(rest):
    try:
        told = repr(Template(f"https://user:hidden@host/{rest}", option="the URL"))
    except InvalidArgument as error:
        told = str(error)
    assert "hidden" not in told


@pytest.mark.parametrize("name", ["a", "a.b", "x\ny", "(a)", "{", "a" * 255])
@pytest.mark.parametrize(
    "text", ["{event_name}", "events.{event_name}", "{{{event_name}}}", "{event_name}/{event_name}"]
)
def test_what_was_filled_in_is_taken_out(text: str, name: str) -> None:
    template = Template(text, option="stream")
    assert template.taken_from(template.fill(name)) == name


@pytest.mark.parametrize(
    ("text", "word"),
    [("events.{event_name}", "event.a"), ("events.{event_name}", "events."), ("all", "all"),
     ("{event_name}/{event_name}", "a/b"), ("a.{event_name}", "axb")],
)  # fmt: skip
def test_what_was_not_filled_in_is_not_taken_out(text: str, word: str) -> None:
    assert Template(text, option="stream").taken_from(word) is None
