"""Pictures of a report: bars for rates, curves for lateness and growth."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")  # before pyplot is there: nobody looks at a screen
from matplotlib import pyplot as plt

from benchmarks.section import Section

__all__ = ["draw"]

_OURS, _BARE = "#2b6cb0", "#cbd5e0"
_BATCH = 500


def draw(folder: Path, sections: Sequence[Section]) -> None:
    """One SVG for each section that has a picture."""
    mpl.rcParams.update({"svg.hashsalt": "duly", "font.size": 10, "axes.spines.top": False,
                         "axes.spines.right": False})  # fmt: skip
    pictures = {
        "Drain": _drain,
        "Schedule": _schedule,
        "Lateness": _lateness,
        "Growth": _growth,
        "Peers": _peers,
    }
    for section in sections:
        picture = pictures.get(section.title)
        if picture is not None and section.data:
            figure, axes = plt.subplots(figsize=(7.2, 3.6), layout="constrained")
            picture(axes, section.data)
            figure.savefig(folder / f"{section.title.lower()}.svg", metadata={"Date": None})
            plt.close(figure)


def _drain(axes: Any, data: Sequence[dict[str, Any]]) -> None:
    rows = [row for row in data if row["batch"] == _BATCH]
    _pairs(axes, [row["store"] for row in rows], {
        "duly": [_median(row["rate"]) for row in rows],
        "bare loop": [_median(row["bare"]) for row in rows],
    })  # fmt: skip
    axes.set_title("Drain: due messages a second, one scheduler")


def _schedule(axes: Any, data: Sequence[dict[str, Any]]) -> None:
    _pairs(axes, [row["store"] for row in data], {
        "500 a call": [_median(row["bulk"]) for row in data],
        "200 callers": [_median(row["together"]) for row in data],
        "bare, 500 at a time": [_median(row["bare"]) for row in data],
    })  # fmt: skip
    axes.set_title("Schedule: messages a second")


def _pairs(axes: Any, names: Sequence[str], bars: dict[str, Sequence[float]]) -> None:
    colours = [_OURS, "#90cdf4", _BARE] if len(bars) > 2 else [_OURS, _BARE]
    width = 0.8 / len(bars)
    for place, ((label, values), colour) in enumerate(zip(bars.items(), colours, strict=True)):
        at = [number + (place - (len(bars) - 1) / 2) * width for number in range(len(names))]
        drawn = axes.bar(at, values, width * 0.95, label=label, color=colour)
        axes.bar_label(drawn, labels=[f"{value / 1000:.0f} k" for value in values], fontsize=8)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("messages/s")
    axes.legend(frameon=False)


def _lateness(axes: Any, data: Sequence[dict[str, Any]]) -> None:
    least = min(row["backlog"] for row in data)
    for row in data:
        if row["backlog"] == least and not row["busy"]:
            values = sorted(max(value, 0.01) for value in row["values"])
            shares = [(number + 1) / len(values) for number in range(len(values))]
            axes.plot(values, shares, label=f"{row['store']}, {row['rate']}/s")
    axes.set_xscale("log")
    axes.set_xlabel("published minus due, milliseconds")
    axes.set_ylabel("share of messages")
    axes.set_title("Lateness")
    axes.legend(frameon=False, fontsize=8)


def _growth(axes: Any, data: Sequence[dict[str, Any]]) -> None:
    for store in dict.fromkeys(row["store"] for row in data):
        rows = [row for row in data if row["store"] == store]
        axes.plot([row["backlog"] for row in rows], [_median(row["rate"]) for row in rows],
                  marker="o", label=store)  # fmt: skip
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("future messages in the store")
    axes.set_ylabel("messages/s drained")
    axes.set_title("Growth with the backlog")
    axes.legend(frameon=False)


def _peers(axes: Any, data: Sequence[dict[str, Any]]) -> None:
    rows = sorted((row for row in data if row.get("drain")), key=lambda row: row["drain"])
    colours = [_OURS if row["peer"].startswith("duly") else _BARE for row in rows]
    drawn = axes.barh([row["peer"] for row in rows], [row["drain"] for row in rows], color=colours)
    axes.bar_label(drawn, labels=[f" {row['drain']:,.0f}" for row in rows], fontsize=8)
    axes.set_xscale("log")
    axes.set_xlabel("delayed jobs a second, all due at one instant, one worker process")
    axes.set_title("Drain beside Python's task queues")


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)
