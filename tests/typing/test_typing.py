"""A type checker takes what is right and finds what is wrong, from what is shipped alone."""

import re
from pathlib import Path

from mypy import api

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def reported(name: str, cache: Path) -> dict[int, set[str]]:
    """The kinds of errors that mypy reports, by line."""
    config = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(cache)]
    out, err, _ = api.run([*config, "--no-error-summary", str(HERE / name)])
    assert not err, err
    found: dict[int, set[str]] = {}
    for file, line, code in re.findall(r"^(.+?):(\d+): error: .*\[([\w-]+)\]$", out, re.MULTILINE):
        assert file.endswith(name), out
        found.setdefault(int(line), set()).add(code)
    return found


def test_what_is_right_is_taken(tmp_path):
    assert reported("right.py", tmp_path) == {}


def test_what_is_wrong_is_found(tmp_path):
    expected = {
        number: set(line.partition("# error: ")[2].split(", "))
        for number, line in enumerate((HERE / "wrong.py").read_text().splitlines(), 1)
        if "# error: " in line
    }
    found = reported("wrong.py", tmp_path)
    assert found.keys() == expected.keys()
    assert not {line: found[line] for line in expected if not found[line] & expected[line]}
