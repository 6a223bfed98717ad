"""duly beside its peers: how fast they drain, and how late they are."""

from collections.abc import Sequence
from typing import Any

from matplotlib.ticker import FuncFormatter

from benchmarks.lateness import Lateness

__all__ = ["draw_peers"]

_OURS, _BARE = "#2b6cb0", "#a0aec0"
_PLAIN = FuncFormatter(lambda value, _: f"{value:,g}")
_LEAST = 0.1  # milliseconds: what is less is drawn there


def draw_peers(figure: Any, data: Sequence[dict[str, Any]]) -> None:
    """Two panels with the same queues, the fastest on top; what was not measured has no mark."""
    rows = sorted(data, key=lambda row: float(row.get("drain", 0)))
    drains, lates = figure.subplots(1, 2, sharey=True)
    lates.set_xscale("log")
    drains.set_xscale("log")
    _drains(drains, rows)
    _lates(lates, rows)
    drains.set_yticks(range(len(rows)), [_name(row) for row in rows])
    for axes in (drains, lates):
        axes.xaxis.set_major_formatter(_PLAIN)
        axes.tick_params(labelsize=8)
        axes.xaxis.label.set_size(9)
        axes.title.set_size(10)


def _drains(axes: Any, rows: Sequence[dict[str, Any]]) -> None:
    found = [(place, row) for place, row in enumerate(rows) if "drain" in row]
    drawn = axes.barh([place for place, _ in found], [row["drain"] for _, row in found],
                      color=[_colour(row) for _, row in found])  # fmt: skip
    axes.bar_label(drawn, labels=[f" {row['drain']:,.0f}" for _, row in found], fontsize=8)
    axes.margins(x=0.25)
    axes.set_xlabel("jobs/s, one worker (logarithmic)")
    axes.set_title("Drain: all due at one instant")


def _lates(axes: Any, rows: Sequence[dict[str, Any]]) -> None:
    for place, row in enumerate(rows):
        if row.get("late"):
            p50, p99 = (max(_LEAST, Lateness(row["late"]).at(share)) for share in (0.5, 0.99))
            axes.plot([p50, p99], [place, place], color=_colour(row), linewidth=2)
            axes.plot([p50], [place], "o", color=_colour(row))
            axes.plot([p99], [place], "|", color=_colour(row), markersize=9, markeredgewidth=2)
    axes.set_xlim(left=min(1.0, axes.get_xlim()[0]))
    axes.grid(axis="x", color="#edf2f7")
    axes.set_axisbelow(True)
    axes.set_xlabel("ms after due, p50 to p99 (logarithmic)")
    axes.set_title("Lateness: jobs at a steady rate")


def _name(row: dict[str, Any]) -> str:
    server = "Redis" if row["server"] == "redis" else "PostgreSQL"
    return row["peer"] if server in row["peer"] else f"{row['peer']} on {server}"


def _colour(row: dict[str, Any]) -> str:
    return _OURS if row["peer"].startswith("duly") else _BARE
