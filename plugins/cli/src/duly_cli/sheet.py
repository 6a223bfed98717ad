"""Rows as a table; what finds no room beside the rest stands beneath its row."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from duly_cli.desk import Desk

__all__ = ["sheet"]

_BETWEEN: Final = "  "
_INDENT: Final = "    "
_FIGURE: Final = {*"0123456789,.+"}


def sheet(
    desk: Desk, columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str = "none"
) -> None:
    """Show rows to people, columns by weight: those that do not fit beside the first are beneath.

    Nothing is cut. Columns without anything in them are left out; figures stand to the right.
    """
    cells = [[desk.text(cell) for cell in row] for row in rows]
    if desk.json or not cells:
        desk.say(empty)
        return
    kept = [place for place in range(len(columns)) if any(row[place] for row in cells)]
    names = [columns[place] for place in kept]
    cells = [[row[place] for place in kept] for row in cells]
    widths = [max(map(len, each)) for each in zip(names, *cells, strict=True)]
    right = [all(set(row[place]) <= _FIGURE for row in cells) for place in range(len(names))]
    beside = _fitting(widths, desk.out.width)
    desk.say(_line(names[:beside], widths, right), "bold")
    for row in cells:
        desk.say(_line(row[:beside], widths, right))
        told = [f"{name}: {cell}" for name, cell in zip(names, row, strict=True) if cell]
        shown = sum(1 for cell in row[:beside] if cell)
        for line in _lines(told[shown:], desk.out.width):
            desk.say(line)


def _fitting(widths: Sequence[int], room: int) -> int:
    """How many columns fit side by side, at least one."""
    used, number = -len(_BETWEEN), 0
    for width in widths:
        used += len(_BETWEEN) + width
        if used > room:
            break
        number += 1
    return max(1, number)


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = [
        cell.rjust(width) if is_right else cell.ljust(width)
        for cell, width, is_right in zip(row, widths, right, strict=False)
    ]
    return _BETWEEN.join(padded).rstrip()


def _lines(told: Sequence[str], width: int) -> Iterator[str]:
    """As many on a line as fit; what is longer than a line is broken between words."""
    line = ""
    for each in told:
        longer = f"{line}; {each}" if line else each
        if line and len(_INDENT) + len(longer) > width:
            yield from _wrapped(line, width)
            line = each
        else:
            line = longer
    if line:
        yield from _wrapped(line, width)


def _wrapped(line: str, width: int) -> Sequence[str]:
    return textwrap.wrap(
        line, width, initial_indent=_INDENT, subsequent_indent=_INDENT + _BETWEEN,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
