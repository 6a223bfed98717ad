"""Tables in Markdown."""


def table(*rows: tuple[str, ...]) -> str:
    """A table whose first row is its head."""
    cells = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([cells[0], "|" + "---|" * len(rows[0]), *cells[1:], ""])
