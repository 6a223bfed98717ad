"""What is logged: each call of a logger in the core, found in its source."""

import ast
from pathlib import Path

import duly
from extensions.tables import table

LEVELS = {"debug", "info", "warning", "error", "exception"}
CORE = Path(duly.__file__).parent


def markdown() -> str:
    """A table of the events, by name."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for file in sorted(CORE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and (told := _told(node)):
                level, event = told
                levels, facts = found.setdefault(event, (set(), set()))
                levels.add("error" if level == "exception" else level)
                facts.update(each.arg for each in node.keywords if each.arg)
    rows = [
        (f"`{event}`", ", ".join(sorted(levels)), ", ".join(f"`{fact}`" for fact in sorted(facts)))
        for event, (levels, facts) in sorted(found.items())
    ]
    return table(("event", "level", "facts"), *rows)


def _told(call: ast.Call) -> tuple[str, str] | None:
    """Level and event of ``log.warning("lease_lost", ...)``."""
    function = call.func
    if (
        isinstance(function, ast.Attribute)
        and function.attr in LEVELS
        and isinstance(function.value, ast.Name)
        and function.value.id == "log"
        and call.args
        and isinstance(call.args[0], ast.Constant)
    ):
        return function.attr, str(call.args[0].value)
    return None
