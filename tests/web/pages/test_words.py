"""No word needs to be looked up elsewhere: changes have units, and the help page has the rest."""

import html
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from tests.web.pages.scene import PLACES, scene

import duly
import duly_web
from duly_history import What
from duly_web.operations.record import OperationState
from duly_web.pages.life import TEXTS
from duly_web.pages.look import zone_of
from duly_web.pages.states import RANKS
from duly_web.pages.telling import ACTIONS, did, phrases
from duly_web.pages.words import Words

OURS = [
    "new", "ensured", "declared", "late", "in hand", "aside", "lease", "claim", "slot", "rule", "prefix",
    "attempt", "receipt", "delivery id", "trace", "metadata", "missed", "expires", "instance",
    "transport", "overdue", "gone", "away", "idle", "skipped", "still to go out", "once", "retry",
    "replay", "purge", "recover", "fire", "move", "p50", "p99", "cause", "series", "event",
]  # fmt: skip
"""Words of the pages that mean something of their own."""


async def test_the_help_page_has_each_word(pages: Any) -> None:
    text = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", (await pages.get("help")).text)).split())
    words = [
        *OURS, *RANKS, *ACTIONS.values(), *get_args(OperationState),
        *(each.value for each in duly.Phase),
    ]  # fmt: skip
    assert not [word for word in words if not re.search(rf"\b{word}\b", text, re.IGNORECASE)]


async def test_no_page_shows_a_name_of_a_field(tmp_path: Path) -> None:
    async with scene("memory://", tmp_path) as one:
        post = one.http.post
        await post(
            "events", data={"action": "limit", "rule": "mail.*", "rate": "5", "in_flight": "2"}
        )
        await post("messages/order-3/move", data={"at": "2031-01-04T09:00"})
        await post(
            "messages",
            data={
                "action": "replay",
                "filter": "event_name=orders.export&died_after=2026-01-01T00:00",
                "scope": "all",
                "rate": "50",
            },
        )
        await one.history.flush()
        for place in [*PLACES, "messages/welcome-3", "messages/export-1"]:
            text = (await one.http.get(place, follow_redirects=True)).text
            shown = re.sub(
                r'<p class="cli">.*?</p>|<code>.*?</code>|<[^>]*>', " ", text, flags=re.DOTALL
            )
            assert not re.findall(r"\b[a-z]+_[a-z_]+\b", shown), place
            assert not re.findall(r"\d\.0 (?:a second|at once)", shown), place


async def test_of_one_there_is_no_plural(pages: Any, client: duly.Client) -> None:
    await client.schedule(duly.Message("mail.send", scheduled_at=duly.after(hours=1)))
    assert ">1 event</a>" in (await pages.get("")).text


def test_no_template_joins_a_number_with_a_plural() -> None:
    joined = re.compile(r"\|(?:number|length|count)(?:\([^)]*\))? \}\} (?!has\b|fires\b)\w+s\b")
    for template in (Path(duly_web.__file__).parent / "pages" / "templates").glob("*.html"):
        assert not joined.findall(template.read_text()), template.name


def test_what_becomes_of_a_message_has_words() -> None:
    assert {each.value for each in What} == {*TEXTS}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"messages": 656}, "656 messages"),
        ({"rate_per_second": 50.0, "operation": "op-7"}, "50 a second, by the act on many op-7"),
        ({"rate": 0.5, "in_flight": 4}, "0.5 a second, 4 at once"),
        ({"event_name": "a.*", "state": "dead", "error": "*x*"}, "of a.*, that are dead, whose error is like *x*"),
        ({"ids": ["a"], "ids_in_all": 5000}, "5,000 selected messages"),
        ({"ids": ["a", "b"]}, "2 selected messages"),
        ({"until": "2026-12-24T18:30:00+00:00"}, "until 24 Dec 2026, 19:30:00 CET"),
        ({"metadata": {"tenant": "acme"}}, "with tenant=acme"),
        ({"force": True}, "without asking whether it lives"),
        ({"force": False, "x": None}, ""),
        ({"of_a_plugin": 3}, "of a plugin 3"),
    ],
)  # fmt: skip
def test_a_change_is_told_in_words_with_units(said: dict[str, Any], told: str) -> None:
    words = Words(zone_of("Europe/Berlin"), datetime(2026, 12, 1, tzinfo=UTC))
    assert phrases(words, said) == told
    assert "acme" not in phrases(words, said, shows=False)


def test_what_was_done_is_told_in_words() -> None:
    assert did("limit", {"rate": 5}) == "limited"
    assert did("limit", {}) == "took off the limit"
    assert did("payload", {}) == "looked at the payload"
    assert did("of a plugin", {}) == "of a plugin"
