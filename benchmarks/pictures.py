"""Pictures of a report: bars for rates, curves for lateness and growth."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")  # before pyplot is there: nobody looks at a screen
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, NullLocator

from benchmarks.picture_of_peers import draw_peers
from benchmarks.section import Section

__all__ = ["PICTURED", "draw"]

PICTURED = ("Drain", "Schedule", "Lateness", "Growth", "Peers")
"""The titles of those sections that have a picture."""

_OURS, _LIGHT, _BARE = "#2b6cb0", "#90cdf4", "#cbd5e0"
_STORES = {"memory": "#718096", "SQLite": "#38a169", "Redis": "#c53030", "PostgreSQL": "#2b6cb0"}
_BATCH = 500
_KINDS: Mapping[str, Mapping[str, Any]] = {"svg": {"metadata": {"Date": None}}, "png": {"dpi": 150}}
_PLAIN = FuncFormatter(lambda value, _: f"{value:,g}")


def draw(folder: Path, sections: Sequence[Section]) -> None:
    """A picture for each section that has one, as SVG and as PNG."""
    mpl.rcParams.update({"svg.hashsalt": "duly", "font.size": 10, "axes.spines.top": False,
                         "axes.spines.right": False})  # fmt: skip
    pictures = {"Drain": _drain, "Schedule": _schedule, "Lateness": _lateness, "Growth": _growth}
    for section in sections:
        picture = draw_peers if section.title == "Peers" else _alone(pictures.get(section.title))
        if picture is not None and section.data:
            figure = plt.figure(figsize=(7.2, 3.8), layout="constrained")
            picture(figure, section.data)
            for kind, options in _KINDS.items():
                figure.savefig(folder / f"{section.title.lower()}.{kind}", **options)
            plt.close(figure)


def _alone(picture: Any) -> Any:
    """One that fills the whole figure."""
    if picture is None:
        return None
    return lambda figure, data: picture(figure.add_subplot(), data)


def _drain(axes: Any, data: Sequence[dict[str, Any]]) -> None:
    rows = [row for row in data if row["batch"] == _BATCH]
    _groups(axes, [row["store"] for row in rows], {
        "duly": ([_median(row["rate"]) for row in rows], _OURS),
        "bare loop": ([_median(row["bare"]) for row in rows], _BARE),
    })  # fmt: skip
    axes.set_title(f"Drain: due messages a second, one scheduler, batches of {_BATCH}")


def _schedule(axes: Any, data: Sequence[dict[str, Any]]) -> None:
    _groups(axes, [row["store"] for row in data], {
        "duly, 500 a call": ([_median(row["bulk"]) for row in data], _OURS),
        "duly, 200 callers": ([_median(row["together"]) for row in data], _LIGHT),
        "bare driver, 500 a call": ([_median(row["bare"]) for row in data], _BARE),
    })  # fmt: skip
    axes.set_title("Schedule: messages stored a second, one process")


def _groups(
    axes: Any, names: Sequence[str], bars: Mapping[str, tuple[Sequence[float], str]]
) -> None:
    width = 0.8 / len(bars)
    for place, (label, (values, colour)) in enumerate(bars.items()):
        at = [number + (place - (len(bars) - 1) / 2) * width for number in range(len(names))]
        drawn = axes.bar(at, values, width * 0.95, label=label, color=colour)
        axes.bar_label(drawn, labels=[f"{value / 1000:,.0f} k" for value in values], fontsize=8)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("messages/s")
    axes.yaxis.set_major_formatter(_PLAIN)
    axes.legend(frameon=False)


def _lateness(axes: Any, data: Sequence[dict[str, Any]]) -> None:
    least = min(row["backlog"] for row in data)
    rates = sorted({row["rate"] for row in data})
    for row in data:
        if row["backlog"] == least and not row["busy"] and row["values"]:
            values = sorted(max(value, 0.01) for value in row["values"])
            shares = [(number + 1) / len(values) for number in range(len(values))]
            style = "-" if row["rate"] == rates[0] else "--"
            axes.step(values, shares, style, where="post", color=_STORES.get(row["store"]),
                      label=f"{row['store']}, {row['rate']:,}/s")  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(_PLAIN)
    axes.set_xlabel("published minus due, milliseconds (logarithmic)")
    axes.set_ylabel("share of messages not later")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    axes.grid(axis="x", color="#edf2f7")
    axes.set_title("Lateness: nothing else in the store, default settings")
    axes.legend(frameon=False, fontsize=8, loc="lower right")


def _growth(axes: Any, data: Sequence[dict[str, Any]]) -> None:
    for store in dict.fromkeys(row["store"] for row in data):
        rows = [row for row in data if row["store"] == store]
        middle = [_median(row["rate"]) for row in rows]
        below = [_median(row["rate"]) - min(row["rate"]) for row in rows]
        above = [max(row["rate"]) - _median(row["rate"]) for row in rows]
        axes.errorbar([row["backlog"] for row in rows], middle, [below, above], marker="o",
                      capsize=3, color=_STORES.get(store), label=store)  # fmt: skip
    backlogs = sorted({row["backlog"] for row in data})
    axes.set_xscale("log")
    axes.set_xticks(backlogs, [f"{backlog:,}" for backlog in backlogs])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(_PLAIN)
    axes.set_xlabel("future messages in the store (logarithmic)")
    axes.set_ylabel("messages/s")
    axes.set_title("Growth: drain over a backlog, median and range")
    axes.legend(frameon=False)


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)
