"""What the site must have: every public name, every option, an answer to the words of others."""

import json
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from tests.journeys.test_readme import ROOT, blocks

import duly
from duly import hookspecs

# What people search for, in the trackers of schedulers and queues.
WORDS = [
    "eta", "countdown", "beat", "misfire", "catch-up", "visibility timeout", "stuck", "delayed",
    "cron timezone", "daylight", "dead letter", "retry", "backoff", "pause", "rate limit", "outbox",
    "exactly once", "idempotent", "lag", "throughput",
]  # fmt: skip


@pytest.fixture(scope="session")
def index(site: Path) -> dict[str, Any]:
    text = (site / "searchindex.js").read_text()
    return json.loads(text[text.index("(") + 1 : text.rindex(")")])


@pytest.fixture(scope="session")
def known(site: Path) -> set[str]:
    """The names that have an entry, with their kind, as other sites would link to them."""
    from sphinx.util.inventory import InventoryFile

    with (site / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, path: path)
    return {name for kind, names in inventory.items() if kind.startswith("py:") for name in names}


def pages_with(index: dict[str, Any], word: str) -> set[str]:
    """The pages that the search of the site finds: those with each part of what is typed."""
    import snowballstemmer
    from sphinx.search.en import SearchEnglish

    stem = snowballstemmer.stemmer("english").stemWord
    found = []
    for part in re.findall(r"\w+", word.lower()):
        if part in SearchEnglish.stopwords:
            continue
        places: set[int] = set()
        for kind in ("terms", "titleterms"):
            of_it = index[kind].get(stem(part), [])
            places.update([of_it] if isinstance(of_it, int) else of_it)
        found.append(places)
    return {index["docnames"][place] for place in set.intersection(*found)}


@pytest.mark.parametrize("word", WORDS)
def test_the_search_finds_what_people_ask_for(index, word):
    assert "reference/glossary" in pages_with(index, word)
    assert word in {title.lower() for title in index["alltitles"]} or word == "daylight"


def test_the_search_does_not_find_what_nobody_wrote(index):
    assert not pages_with(index, "zeitgeist")


@pytest.mark.parametrize("name", duly.__all__)
def test_every_public_name_has_an_entry(known, name):
    assert f"duly.{name}" in known


@pytest.mark.parametrize("owner", [duly.Client, duly.Scheduler, duly.LocalTransport])
def test_every_public_method_has_one(known, owner):
    names = {name for name in dir(owner) if not name.startswith("_")}
    assert {f"duly.{owner.__name__}.{name}" for name in names} <= known


def test_every_scheme_has_a_row(site):
    page = (site / "reference" / "urls.html").read_text()
    for kind in ("stores", "transports"):
        for entry in entry_points(group=f"duly.{kind}"):
            assert f"{entry.name}://" in page


@pytest.mark.parametrize(
    ("page", "texts"),
    [
        ("metrics", ["duly.delivery.lateness", "duly.messages.buried", "duly.clock.offset"]),
        ("logs", ["lease_lost", "store_unavailable", "took_over"]),
        ("command", ["duly dead replay", "--expect", "duly context add"]),
        ("urls", ["auto_migrate", "tls_ca", "routing_key", "appName"]),
        ("where-it-is-kept", ["duly_messages_schedule", "duly_due", "duly:{duly:}due"]),
    ],
)
def test_what_is_made_from_the_code_is_there(site, page, texts):
    text = re.sub(r"<[^>]+>", "", (site / "reference" / f"{page}.html").read_text())
    assert not [each for each in texts if each not in text.replace("&amp;", "&")]


def test_every_hook_can_be_found(index):
    titles = set(index["alltitles"])
    assert {name for name in vars(hookspecs) if name.startswith("duly_")} <= titles


def test_every_link_inside_leads_somewhere(site):
    """Sphinx looks after the links that it makes; this, after those that were written as HTML."""
    for page in site.rglob("*.html"):
        text = page.read_text()
        for target in re.findall(r'(?:href|src)="([^"]+)"', text):
            parts = urlsplit(target)
            if not parts.scheme and not parts.netloc and parts.path:
                assert (page.parent / unquote(parts.path)).exists(), f"{page.name}: {target}"


def test_nothing_is_fetched_from_elsewhere(site):
    fetched = re.compile(r'<(?:script|link|img)[^>]+(?:src|href)="https?:')
    assert not [page for page in site.rglob("*.html") if fetched.search(page.read_text())]


def test_the_programs_of_the_start_are_shown_whole():
    (program,) = blocks(ROOT / "docs" / "start" / "index.md")
    assert "import duly" in program.code
    assert "asyncio.run(main())" in program.code
    assert program.output == 'orders.reminder: {"order": 17}\n'


@pytest.mark.parametrize(("page", "name"), [("5-tenants", "shop.py"), ("6-tests", "test_shop.py")])
def test_the_tutorial_ends_with_what_is_among_the_examples(page, name):
    shown = [each.code for each in blocks(ROOT / "docs" / "tutorial" / f"{page}.md")]
    assert f"# {name}\n{(ROOT / 'examples' / name).read_text()}" in shown


@pytest.mark.parametrize("page", ["1-reminder", "2-cancel", "3-transaction", "5-tenants"])
def test_each_shop_of_the_tutorial_takes_the_commands_that_it_names(page, tmp_path):
    (code,) = [
        each.code
        for each in blocks(ROOT / "docs" / "tutorial" / f"{page}.md")
        if each.name == "shop.py"
    ]
    (tmp_path / "shop.py").write_text(code)
    for verb in ["place"] if page == "1-reminder" else ["place", "pay"]:
        run = subprocess.run(
            [sys.executable, "shop.py", verb, "17"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert run.stdout.startswith("order 17 is "), run.stderr


def test_it_is_said_when_each_event_is_logged(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    from extensions import logs

    from duly._telemetry.log_events import WHEN

    assert set(logs.found()) == set(WHEN)
