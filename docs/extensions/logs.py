"""What is logged: each call of a logger in the core, found in its source, and when that is."""

import ast
from pathlib import Path

import duly
from duly._telemetry.log_events import WHEN
from extensions.tables import table

LEVELS = {"debug", "info", "warning", "error", "exception"}
CORE = Path(duly.__file__).parent


def markdown() -> str:
    """A table of the events, by name."""
    rows = [
        (
            f"`{event}`",
            ", ".join(sorted(levels)),
            WHEN[event],
            ", ".join(f"`{fact}`" for fact in sorted(facts)),
        )
        for event, (levels, facts) in sorted(found().items())
    ]
    return table(("event", "level", "when", "facts"), *rows)


def found() -> dict[str, tuple[set[str], set[str]]]:
    """Each event, with its levels and facts."""
    events: dict[str, tuple[set[str], set[str]]] = {}
    for file in sorted(CORE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and (told := _told(node)):
                level, event = told
                levels, facts = events.setdefault(event, (set(), set()))
                levels.add("error" if level == "exception" else level)
                facts.update(each.arg for each in node.keywords if each.arg)
    return events


def _told(call: ast.Call) -> tuple[str, str] | None:
    """Level and event of ``log.warning("lease_lost", ...)``, or of ``self._warn("...", error)``.

    What has a blank is a sentence, and no event.
    """
    function = call.func
    if (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and " " not in (event := str(call.args[0].value))
    ):
        if function.value.id == "log" and function.attr in LEVELS:
            return function.attr, event
        if function.attr == "_warn":
            return "warning", event
    return None
