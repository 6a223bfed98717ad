"""Links from a page to a file of the repository, which work on GitHub, work on the site too.

Whatever a page links to outside of docs/ becomes a page below ``made/``: Markdown as it is, all
else as a listing. The README of each package is among them, whether or not it is linked.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
MADE = DOCS / "made"
FENCE = re.compile(r"^\s*(?:(?:[-*+]|\d+[.)])\s+)*(`{3,}|:{3,}|~{3,})")
LINK = re.compile(r"(!?\[[^\]]*\]\()(?!https?:|mailto:|#|/)([^)#\s]+)((?:#[^)\s]*)?\))")
LANGUAGES = {".py": "python", ".toml": "toml", ".sql": "sql", ".lua": "lua"}


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the pages before Sphinx looks which there are."""
    app.connect("builder-inited", lambda _: make())
    app.connect("source-read", led_to_pages)
    return {"parallel_read_safe": True}


def make() -> None:
    """Write a page for each package, and for each file that any page links to."""
    shutil.rmtree(MADE, ignore_errors=True)
    waiting = [*packages(), *(file for page in pages() for file in linked(page))]
    done: set[Path] = set()
    while waiting:
        file = waiting.pop()
        if file in done:
            continue
        done.add(file)
        page = page_of(file)
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(contents(file))
        if file.suffix == ".md":
            waiting += linked(file)


def packages() -> list[Path]:
    """The README of each distribution."""
    return [file.with_name("README.md") for file in ROOT.glob("*/**/pyproject.toml") if ours(file)]


def ours(file: Path) -> bool:
    """Whether it is the project file of a distribution."""
    return file.relative_to(ROOT).parts[0] in {"core", "plugins"}


def pages() -> Iterator[Path]:
    """All that is written by hand in docs/."""
    for page in sorted(DOCS.rglob("*.md")):
        if page.relative_to(DOCS).parts[0] not in {"_build", "made"}:
            yield page


def linked(page: Path) -> list[Path]:
    """What a Markdown file links to outside of docs/."""
    found: list[Path] = []

    def note(file: Path) -> str:
        found.append(file)
        return ""

    relinked(page.read_text(), page.parent, note)
    return [file for file in found if not file.is_relative_to(DOCS)]


def relinked(text: str, folder: Path, to: Callable[[Path], str]) -> str:
    """Markdown in which each link to a file leads where ``to`` says; code stays as it is."""

    def led(match: re.Match[str]) -> str:
        file = Path(os.path.normpath(folder / match[2]))
        if not file.exists():
            return match[0]  # which MyST warns about
        return f"{match[1]}{to(with_readme(file))}{match[3]}"

    lines, fence = [], ""
    for line in text.splitlines(keepends=True):
        mark = FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence):
            fence = ""
        elif not fence:
            line = LINK.sub(led, line)  # noqa: PLW2901  # the line, but for its links
        lines.append(line)
    return "".join(lines)


def with_readme(file: Path) -> Path:
    """What GitHub shows of a folder."""
    readme = file / "README.md"
    return readme if readme.exists() else file


def page_of(file: Path) -> Path:
    """Where the page of a file outside of docs/ is made."""
    name = file.relative_to(ROOT)
    if file in packages():
        return MADE / "packages" / f"{'-'.join(name.parent.parts[-1:])}.md"
    return MADE / "files" / (name if file.suffix == ".md" else f"{name}.md")


def led_to(file: Path) -> str:
    """The same, as a link from the root of the site."""
    page = file if file.is_relative_to(DOCS) else page_of(file)
    return f"/{page.relative_to(DOCS)}"


def contents(file: Path) -> str:
    """The page of a file outside of docs/."""
    if file.suffix == ".md":
        text = relinked(file.read_text(), file.parent, led_to)
        return text if file in packages() else f"---\norphan: true\n---\n\n{text}"
    listed = sorted(file.rglob("*")) if file.is_dir() else [file]
    parts = ["---", "orphan: true", "---", "", f"# {file.relative_to(ROOT)}", ""]
    for each in listed:
        if each.is_file() and "__pycache__" not in each.parts and each.suffix != ".md":
            if file.is_dir():
                parts += [f"## {each.relative_to(file)}", ""]
            parts += [f"`````{LANGUAGES.get(each.suffix, 'text')}", each.read_text(), "`````", ""]
    return "\n".join(parts)


def led_to_pages(app: Sphinx, name: str, source: list[str]) -> None:
    """Let the links of a page lead to what was made."""
    if not name.startswith("made/"):
        source[0] = relinked(source[0], (DOCS / name).parent, led_to)
