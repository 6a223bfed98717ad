"""Pictures drawn from text: a block of box-drawing characters becomes an SVG within the page.

On GitHub the same block is read as it stands. Lines take the colour of the text, so that they can
be seen in light and in dark.
"""

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

WIDTH, HEIGHT = 8, 18  # of a character, in pixels
# Which way the lines of a character go from the middle of its cell: up, right, down, left.
LINES = {
    "─": "rl", "│": "ud", "┌": "rd", "┐": "dl", "└": "ur", "┘": "ul", "├": "urd", "┤": "udl",
    "┬": "rdl", "┴": "url", "┼": "urdl", "╌": "rl", "╎": "ud",
}  # fmt: skip
ENDS = {"u": (4, 0), "r": (8, 9), "d": (4, 18), "l": (0, 9)}
DASHED = "╌╎"
ARROWS = {"▶": "0,4 8,9 0,14", "◀": "8,4 0,9 8,14", "▼": "0,6 8,6 4,16", "▲": "0,12 8,12 4,2"}
_LETTER = rf"[^\s{''.join(LINES)}{''.join(ARROWS)}]"
TEXT = re.compile(rf"{_LETTER}+(?: {_LETTER}+)*")


class Drawn(SphinxDirective):
    """A picture; its argument says in words what can be seen there."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        return [nodes.raw("", svg(list(self.content), self.arguments[0]), format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Offer the directive."""
    app.add_directive("drawn", Drawn)
    return {"parallel_read_safe": True}


def svg(rows: list[str], title: str) -> str:
    """The picture of some rows of characters."""
    width, height = max(map(len, rows)) * WIDTH, len(rows) * HEIGHT
    parts = [part for y, row in enumerate(rows) for part in drawn(row, y * HEIGHT)]
    label, style = quoteattr(title), f"width: {width}px; max-width: 100%; height: auto"
    head = f'<svg role="img" aria-label={label} viewBox="0 0 {width} {height}" style="{style}">'
    return "".join([head, *parts, "</svg>"])


def drawn(row: str, top: int) -> Iterator[str]:
    """Lines and arrows, then the words: each is as wide as in the text, whatever the font."""
    for place, character in enumerate(row):
        left = place * WIDTH
        for way in LINES.get(character, ""):
            x, y = ENDS[way]
            dash = ' stroke-dasharray="3 3"' if character in DASHED else ""
            yield (
                f'<path d="M{left + 4} {top + 9}L{left + x} {top + y}" stroke="currentColor"'
                f' stroke-width="1.3"{dash}/>'
            )
        if character in ARROWS:
            yield (
                f'<polygon transform="translate({left} {top})" points="{ARROWS[character]}"'
                ' fill="currentColor"/>'
            )
    for match in TEXT.finditer(row):
        yield (
            f'<text x="{match.start() * WIDTH}" y="{top + 13}" fill="currentColor"'
            f' textLength="{len(match[0]) * WIDTH}" lengthAdjust="spacingAndGlyphs"'
            f' font-family="ui-monospace, monospace" font-size="13">{escape(match[0])}</text>'
        )
