"""The report: Markdown for people, JSON for those who reckon further."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.pictures import PICTURED
from benchmarks.section import Section

__all__ = ["markdown", "shortfalls", "write"]


def markdown(facts: Mapping[str, str], notes: Sequence[str], sections: Sequence[Section]) -> str:
    """All of it, a table for each section."""
    lines = [f"- {name}: {text}" for name, text in facts.items()]
    lines += [f"- {note}" for note in notes]
    for section in sections:
        lines += ["", f"## {section.title}", "", section.about, ""]
        lines.append(f"| {' | '.join(section.columns)} |")
        lines.append(f"|{'---|' * len(section.columns)}")
        lines += [f"| {' | '.join(row)} |" for row in section.rows]
        if section.title in PICTURED and section.rows:
            lines += ["", f"![{section.title}]({section.title.lower()}.svg)"]
    short = shortfalls(sections)
    lines += ["", "## Goals", ""]
    lines += [f"- {each}" for each in short] if short else ["Every goal that was measured is met."]
    return "\n".join(lines) + "\n"


def shortfalls(sections: Sequence[Section]) -> Sequence[str]:
    """The goals that are missed."""
    return [each for section in sections for each in section.short]


def write(
    folder: Path, facts: Mapping[str, str], notes: Sequence[str], sections: Sequence[Section]
) -> None:
    """``report.md`` and ``report.json`` in a folder that is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(f"# Benchmarks\n\n{markdown(facts, notes, sections)}")
    data: dict[str, Any] = {
        "facts": dict(facts),
        "notes": list(notes),
        "sections": {section.title: section.data for section in sections},
        "short": list(shortfalls(sections)),
    }
    (folder / "report.json").write_text(json.dumps(data, indent=1) + "\n")
