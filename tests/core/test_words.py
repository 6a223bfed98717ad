"""How durations are said: in one way, everywhere."""

import ast
from datetime import timedelta
from pathlib import Path

import pytest

from duly.words import duration

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3, "0 ms"),
        (0, "0 ms"),
        (0.0144, "14 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (2.34, "2.3 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (403, "6 min 43 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (183_600, "2 d 3 h"),
        (1_234 * 86_400, "1,234 d"),
    ],
)
def test_a_duration_is_told_by_its_two_largest_units(seconds: float, said: str) -> None:
    assert duration(timedelta(seconds=seconds)) == said


def test_nothing_else_makes_words_of_a_duration() -> None:
    """A second table of units is a second way to say it."""
    found = [
        str(file.relative_to(ROOT))
        for file in sorted(ROOT.glob("[cp]*/**/src/**/*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and node.value == "min"
    ]
    assert set(found) == {"core/src/duly/words.py", "plugins/cli/src/duly_cli/moments.py"}
