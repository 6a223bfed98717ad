"""Every Python block of the documents runs as it stands, and prints what the document says.

Each block is a program of its own. One that begins with a comment that names a file is a module,
stored under that name for the later ones of its document; a ``test_*.py`` is run by pytest. A
block of ``text`` right behind a program is what it prints. A server on ``localhost`` is one of the
tests' own while a program runs.
"""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PROGRAM = "program.py"
# By the address that documents use: the fixture that yields that of a server, empty or shared.
SERVERS = {
    "amqp://localhost/": "rabbitmq_url",
    "kafka://localhost": "empty_kafka",
    "localhost:4222": "empty_nats",
    "mongodb://localhost": "empty_mongo",
    "mqtt://localhost": "empty_mqtt",
    "redis://localhost": "empty_redis",
    "redis+stream://localhost": "empty_redis_streams",
    "//localhost/shop": "shop_database",  # behind all that begin with another scheme
}


def is_written_by_hand(document: Path) -> bool:
    """Whether a page in docs/ is none that was made for the site."""
    return document.relative_to(ROOT / "docs").parts[0] not in {"_build", "made"}


DOCUMENTS = sorted(
    {
        *ROOT.glob("*.md"),
        *(file for file in ROOT.glob("docs/**/*.md") if is_written_by_hand(file)),
        *ROOT.glob("core/*.md"),
        *ROOT.glob("plugins/**/*.md"),
    }
    - {ROOT / "docs" / "reference" / "hooks.md"}  # tests/architecture holds it to more
)


class Block(NamedTuple):
    """A program, and what it prints where the document says so."""

    name: str
    code: str
    output: str | None


def tokens(document: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(document.read_text())


def blocks(document: Path) -> list[Block]:
    found = tokens(document)
    programs = []
    for place, token in enumerate(found):
        if token.type == "fence" and token.info == "python":
            first = token.content.partition("\n")[0].removeprefix("# ")
            name = first if first.endswith(".py") and " " not in first else PROGRAM
            after = found[place + 1] if place + 1 < len(found) else None
            said = after is not None and after.type == "fence" and after.info == "text"
            programs.append(Block(name, token.content, after.content if said and after else None))
    return programs


def files_with_tests(document: Path) -> list[str]:
    return [each.name for each in blocks(document) if each.name.startswith("test_")]


PROGRAMS = [
    pytest.param(document, number, id=f"{document.relative_to(ROOT)}-{number}")
    for document in DOCUMENTS
    for number in range(len(blocks(document)))
]


@pytest.mark.parametrize(("document", "number"), PROGRAMS)
def test_a_block_runs_as_it_stands(
    document: Path, number: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    *earlier, block = [*grown_before(document), *blocks(document)[: number + 1]]
    for each in [*earlier, block]:
        code = each.code
        for address, fixture in SERVERS.items():
            if address in code:
                code = code.replace(address, request.getfixturevalue(fixture))
        (tmp_path / each.name).write_text(code)
    run = subprocess.run(
        [sys.executable, *how_to_run(block.name)],
        cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    if block.output is not None:
        assert run.stdout == block.output


@pytest.mark.parametrize(
    "document",
    [each for each in DOCUMENTS if len(files_with_tests(each)) > 1],
    ids=lambda each: each.name,
)
def test_the_tests_of_a_document_pass_in_one_folder(document: Path, tmp_path: Path) -> None:
    for each in blocks(document):
        (tmp_path / each.name).write_text(each.code)
    run = subprocess.run(
        [sys.executable, *how_to_run(*files_with_tests(document))],
        cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr


def grown_before(document: Path) -> list[Block]:
    """The modules of the pages before, where a document goes on from them."""
    before = sorted(document.parent.glob("*.md")) if document.parent.name == "tutorial" else []
    pages = [page for page in before if page < document]
    return [block for page in pages for block in blocks(page) if block.name != PROGRAM]


def how_to_run(name: str, *names: str) -> list[str]:
    if name.startswith("test_"):
        options = ["-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
        return ["-m", "pytest", *options, name, *names]
    if name == PROGRAM:
        return ["-W", "error", name]
    return ["-W", "error", "-c", f"import {name.removesuffix('.py')}"]


def test_there_are_blocks_to_run() -> None:
    assert len(PROGRAMS) >= 60


@pytest.mark.parametrize("session", [" -s demo", ""])
def test_the_readme_has_the_two_commands(session: str) -> None:
    command = f"python3 -m venv .venv && .venv/bin/pip install -q nox && .venv/bin/nox{session}\n"
    assert command in (token.content for token in tokens(ROOT / "README.md"))
