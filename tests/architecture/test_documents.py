"""What the documents promise is there: hooks, rules, and examples that run."""

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from duly import hookspecs

ROOT = Path(__file__).parents[2]
PAGES = [
    page
    for page in sorted((ROOT / "docs").rglob("*.md"))
    if page.relative_to(ROOT / "docs").parts[0]
    not in {"_build", "made"}  # what the site is made of
]
HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("duly_"))
RULES = [f"R{number}" for number in range(1, 23)]
TEXTS = [
    *PAGES,
    *ROOT.glob("*.md"),
    *ROOT.glob("*/README.md"),
    *ROOT.glob("plugins/**/README.md"),
]
PACKAGES = sorted(
    project.parent.relative_to(ROOT).as_posix()
    for project in (*ROOT.glob("core/pyproject.toml"), *ROOT.glob("plugins/**/pyproject.toml"))
)
EXAMPLE = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\s*^```text\n(?P<printed>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)


def sections(document: str) -> dict[str, str]:
    """The text under each heading of a document in docs/."""
    (file,) = (page for page in PAGES if page.name == document)
    parts = re.split(r"^#+ (.+)$", file.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@functools.cache
def known_tests() -> set[str]:
    """The names of all tests, the cases of the conformance kit among them."""
    files = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("core/src/duly/testing/**/*.py")]
    return {
        node.name
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


@pytest.mark.parametrize("hook", HOOKS)
class TestHooks:
    def test_it_has_a_test(self, hook):
        tree = ast.parse((ROOT / "tests/core/test_hooks.py").read_text())
        names = [node.name for node in tree.body if hasattr(node, "name")]
        assert f"test_{hook}" in names

    def test_it_has_a_heading_with_an_example_that_runs(self, hook):
        match = EXAMPLE.search(sections("hooks.md")[hook])
        assert match is not None
        assert f"def {hook}(" in match["code"]
        assert "@duly.hookimpl" in match["code"]
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error", "-c", match["code"]],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout == match["printed"]

    def test_its_docstring_says_when_it_is_called(self, hook):
        assert getattr(hookspecs, hook).__doc__.startswith("Called ")


def test_there_is_no_heading_for_what_is_no_hook():
    assert [name for name in sections("hooks.md") if name.startswith("duly_")] == sorted(
        HOOKS, key=list(sections("hooks.md")).index
    )


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_listed_with_tests_that_hold_it(rule):
    guarantees = sections("guarantees.md")
    (heading,) = (each for each in guarantees if re.match(rf"{rule}\b", each))
    named = set(re.findall(r"`(?:[\w/.]*::)*(test_\w+)`", guarantees[heading]))
    assert named, f"no test is named for {heading}"
    assert named <= known_tests(), f"no such test: {named - known_tests()}"


def test_every_document_is_in_a_folder_whose_index_shows_it():
    """The table of contents of a folder holds all that is there: the site warns of no other."""
    for page in PAGES:
        if page != ROOT / "docs" / "index.md":
            index = page.with_name("index.md").read_text()
            assert page.stem == "index" or re.search(
                rf"^({re.escape(page.stem)}|\*)$", index, re.MULTILINE
            )


def test_no_link_leads_nowhere():
    for file in TEXTS:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", file.read_text()):
            assert (file.parent / target).exists(), f"{file.name}: {target}"


@pytest.mark.parametrize("folder", PACKAGES)
def test_the_page_of_a_package_says_how_to_install_it(folder):
    folders = "./core" if folder == "core" else f"./core ./{folder}"
    said = re.escape(f"There is no release yet; from a checkout: `pip install {folders}")
    assert re.search(said + "[ `]", (ROOT / folder / "README.md").read_text())


def test_each_folder_that_is_to_be_installed_is_a_package():
    """In the tables too, which name what each package is installed from."""
    named: set[str] = set()
    for file in TEXTS:
        named.update(re.findall(r"(?<=[ `]\./)(?:core|plugins)\b[\w/-]*", file.read_text()))
    assert named == {*PACKAGES}
    table = (ROOT / "docs" / "start" / "choosing.md").read_text()
    rows = re.findall(r"^\|.*\bduly-([\w-]+).*\| `\./([\w/-]+)` \|", table, re.MULTILINE)
    assert rows
    assert not [row for row in rows if row[0] != row[1].rpartition("/")[2]]
