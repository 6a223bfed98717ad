"""A type checker takes what is right and finds what is wrong, from what is shipped alone."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from mypy import api
from tests.servers.finding import lacking

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SERVICE = ("embedded_service.py", "test_embedded_service.py")


def mypy(name: str, folder: Path) -> dict[int, set[str]]:
    """The kinds of errors that mypy reports, by line."""
    config = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(folder)]
    out, err, _ = api.run([*config, "--no-error-summary", str(HERE / name)])
    assert not err, err
    found: dict[int, set[str]] = {}
    for file, line, code in re.findall(r"^(.+?):(\d+): error: .*\[([\w-]+)\]$", out, re.MULTILINE):
        assert file.endswith(name), out
        found.setdefault(int(line), set()).add(code)
    return found


def pyright(name: str, folder: Path) -> dict[int, set[str]]:
    """The same by pyright, as strict as the comment in the file tells it to be."""
    found: dict[int, set[str]] = {}
    for each in reported_by_pyright(str(HERE / name), folder=folder, files=1):
        line = each["range"]["start"]["line"] + 1
        found.setdefault(line, set()).add(each.get("rule", each["message"]))
    return found


def reported_by_pyright(*arguments: str, folder: Path, files: int) -> list[Any]:
    """What it says of so many files."""
    if importlib.util.find_spec("pyright") is None or shutil.which("node") is None:
        lacking("pyright", "it is not installed, or there is no node to run it")
    command = ["pyright", "--outputjson", "--pythonpath", sys.executable, *arguments]
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False
    )
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == files
    said: list[Any] = report["generalDiagnostics"]
    return said


CHECKED = [(mypy, ""), (mypy, "_events"), (pyright, "_events")]


@pytest.mark.parametrize(("checker", "what"), CHECKED)
def test_what_is_right_is_taken(tmp_path, checker, what):
    assert checker(f"right{what}.py", tmp_path) == {}


@pytest.mark.parametrize(("checker", "what"), CHECKED)
def test_what_is_wrong_is_found(tmp_path, checker, what):
    name = f"wrong{what}.py"
    expected = {
        number: set(line.partition("# error: ")[2].split(", "))
        for number, line in enumerate((HERE / name).read_text().splitlines(), 1)
        if "# error: " in line
    }
    found = checker(name, tmp_path)
    assert found.keys() == expected.keys()
    assert not {line: found[line] for line in expected if not found[line] & expected[line]}


def test_a_service_and_its_tests_are_taken_by_pyright_at_its_strictest(tmp_path):
    for name in SERVICE:
        shutil.copy(ROOT / "examples" / name, tmp_path)
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    assert reported_by_pyright(folder=tmp_path, files=len(SERVICE)) == []


def test_what_documents_show_is_taken_by_mypy_at_its_strictest(tmp_path):
    for document in ("handlers", "events"):
        blocks = [
            token.content
            for token in MarkdownIt("commonmark").parse(
                (ROOT / "docs" / "howto" / f"{document}.md").read_text()
            )
            if token.type == "fence" and token.info == "python"
        ]
        assert blocks
        for number, code in enumerate(blocks):
            first = code.partition("\n")[0].removeprefix("# ")
            name = first if first.endswith(".py") else f"{document}_{number}.py"
            (tmp_path / name).write_text(code)
    out, err, status = api.run(
        ["--strict", "--config-file=", f"--cache-dir={tmp_path}", str(tmp_path)]
    )
    assert status == 0, out + err
