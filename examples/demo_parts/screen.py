"""What the demonstration shows: progress while it runs, then a table and a picture."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from demo_parts.verdict import Verdict, percentile

__all__ = ["progress", "show"]

_EDGES: Final = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 60_000)  # ms
_WIDTH: Final = 40  # characters of the longest bar


def progress(console: Console) -> Progress:
    """One bar a line; on anything but a terminal nothing is shown until the end."""
    return Progress(
        TextColumn("{task.description:<34}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def show(console: Console, verdict: Verdict) -> None:
    """The table and the distribution of lateness."""
    console.print()
    console.print(_table(verdict))
    console.print()
    console.print("Lateness: first delivery minus due time, by the one clock of this machine")
    console.print(_histogram(verdict))


def _table(verdict: Verdict) -> Table:
    table = Table("what", "how many", title="What the ledgers of the processes say")
    table.columns[1].justify = "right"
    everything = [*verdict.undisturbed, *verdict.retried, *verdict.rescued]
    table.add_row("scheduled (each fire of a series counts)", str(verdict.scheduled))
    table.add_row("delivered", str(verdict.delivered))
    table.add_row("  of these failed at first and were retried", str(verdict.failed_first))
    table.add_row("  of these rescued from the killed scheduler", str(len(verdict.rescued)))
    table.add_row("redelivered: published, killed, published again", str(verdict.redelivered))
    table.add_row("cancelled, and delivered all the same", str(len(verdict.unwanted)))
    table.add_row(*_judged("lost", len(verdict.lost)))
    table.add_row(*_judged("early", len(verdict.early)))
    table.add_row("lateness p50 / p99", _percentiles(everything))
    table.add_row("  without retries and the kill", _percentiles(verdict.undisturbed))
    return table


def _judged(what: str, count: int) -> tuple[Text, Text]:
    style = "bold red" if count else "bold green"
    return Text(what, style), Text(str(count), style)


def _percentiles(seconds: Sequence[float]) -> str:
    return f"{1000 * percentile(seconds, 50):.1f} ms / {1000 * percentile(seconds, 99):.1f} ms"


def _histogram(verdict: Verdict) -> Text:
    kinds = (
        ("green", "█", "undisturbed", verdict.undisturbed),
        ("yellow", "▓", "failed at first", verdict.retried),
        ("red", "░", "rescued from the killed", verdict.rescued),
    )
    rows = [
        (low, high, [sum(low <= 1000 * each < high for each in values) for *_, values in kinds])
        for low, high in pairwise(_EDGES)
    ]
    last = max((place for place, (*_, counts) in enumerate(rows) if any(counts)), default=0)
    most = max(1, *(sum(counts) for *_, counts in rows))
    picture = Text()
    for low, high, counts in rows[: last + 1]:
        picture.append(f"{low:>5} to {high:>5} ms ")
        for (style, mark, *_), count in zip(kinds, counts, strict=True):
            picture.append(mark * -(-count * _WIDTH // most), style)
        picture.append(f" {sum(counts)}\n" if any(counts) else "\n")
    for style, mark, name, values in kinds:
        picture.append(f"   {mark} ", style).append(f"{name} ({len(values)})")
    return picture
