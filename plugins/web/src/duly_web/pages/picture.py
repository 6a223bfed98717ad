"""One line of time as a picture: the last hour, now, the next hour."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import attrs

from duly_web.pages.snapshot import Snapshot
from duly_web.pages.words import Words

__all__ = ["Bar", "Picture", "picture"]

_MINUTES: Final = 60
_LEFT: Final = 58.0
_TOP: Final = 26.0  # of the lines of lateness
_FLOOR: Final = 88.0
_BASE: Final = 188.0  # of the bars
_HEIGHT: Final = 73.0
_STEPS: Final = ((0.001, "1 ms"), (0.1, "100 ms"), (10.0, "10 s"), (1000.0, "17 min"))
_LOWEST, _HIGHEST = math.log10(0.001), math.log10(1000)


@attrs.frozen
class Bar:
    """A part of a bar, in the units of the picture."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@attrs.frozen(kw_only=True)
class Picture:
    """What is drawn, and the same as a table. ``width`` is 1240, or less on a telephone."""

    width: int
    now_x: float
    bars: Sequence[Bar]
    p50: str
    p99: str
    grid: Sequence[tuple[float, str]]
    ticks: Sequence[tuple[float, str, str]]
    most: int
    rows: Sequence[tuple[datetime, int, int, int, int, int, int]]
    has_past: bool


def picture(snapshot: Snapshot, words: Words) -> tuple[Picture, Picture] | None:
    """Drawn wide and slim; None where nothing is known."""
    if snapshot.forecast is None and snapshot.hour is None:
        return None
    rows = _rows(snapshot)
    return _drawn(snapshot, words, rows, 1240, 1), _drawn(snapshot, words, rows, 460, 3)


_Row = tuple[datetime, int, int, int, int, int, int]


def _rows(snapshot: Snapshot) -> list[_Row]:
    """By the minute: delivered, failed; once, series, retries, aside."""
    start = snapshot.as_of.replace(second=0, microsecond=0) - timedelta(minutes=_MINUTES - 1)
    past = {} if snapshot.hour is None else {each.at: each for each in snapshot.hour.rates.minutes}
    rows: list[_Row] = []
    for each in range(_MINUTES):
        at = start + timedelta(minutes=each)
        was = past.get(at)
        rows.append((at, was.delivered if was else 0, was.failed if was else 0, 0, 0, 0, 0))
    if snapshot.forecast is not None:
        for number, due in enumerate(snapshot.forecast.buckets):
            at = snapshot.forecast.start + snapshot.forecast.span * number
            rows.append((at, 0, 0, due.once, due.series, due.retries, due.aside))
    return rows


def _joined(rows: Sequence[_Row], step: int) -> list[_Row]:
    """So many minutes in one."""
    found = []
    for begin in range(0, len(rows), step):
        part = rows[begin : begin + step]
        sums: Any = (sum(column) for column in zip(*(each[1:] for each in part), strict=True))
        found.append((part[0][0], *sums))
    return found


def _drawn(
    snapshot: Snapshot, words: Words, rows: Sequence[_Row], width: int, step: int
) -> Picture:
    shown = _joined(rows, step)
    most = max([1, *(sum(each[1:]) for each in shown)])
    half = (width - _LEFT - 8) / 2
    now_x, wide = _LEFT + half, half / (_MINUTES / step)
    bars: list[Bar] = []
    for number, (_, *counts) in enumerate(shown):
        y = _BASE
        kinds = ("flow", "dead", "once", "series", "retry", "hold")
        for kind, count in zip(kinds, counts, strict=True):
            if count:
                tall = max(1.0, count / most * _HEIGHT)
                y -= tall
                bars.append(
                    Bar(kind, round(_LEFT + number * wide + 1, 1), round(y, 1),
                        round(max(wide - 2, 1), 1), round(tall, 1))
                )  # fmt: skip
    return Picture(
        width=width, now_x=round(now_x, 1), bars=bars, p50=_line(snapshot, "p50", half),
        p99=_line(snapshot, "p99", half), grid=[(round(_height(s), 1), t) for s, t in _STEPS],
        ticks=_ticks(snapshot, words, half, every=15 if step == 1 else 30), most=most,
        rows=_joined(rows, 5), has_past=snapshot.hour is not None,
    )  # fmt: skip


def _height(seconds: float) -> float:
    share = (math.log10(max(seconds, 0.001)) - _LOWEST) / (_HIGHEST - _LOWEST)
    return _FLOOR - min(max(share, 0.0), 1.0) * (_FLOOR - _TOP)


def _line(snapshot: Snapshot, name: str, half: float) -> str:
    """The points of a line of lateness, broken where nothing was delivered: a path."""
    if snapshot.hour is None:
        return ""
    said, pen = [], "M"
    for span in snapshot.hour.spans:
        value = getattr(span, name)
        ago = (snapshot.as_of - span.start).total_seconds() / 60 - 1.5
        x = _LEFT + half * (1 - max(ago, 0.0) / _MINUTES)
        if value is None or x < _LEFT:
            pen = "M"
            continue
        said.append(f"{pen}{x:.1f} {_height(value):.1f}")
        pen = "L"
    return " ".join(said)


def _ticks(
    snapshot: Snapshot, words: Words, half: float, *, every: int
) -> list[tuple[float, str, str]]:
    found = []
    for minutes in range(-_MINUTES, _MINUTES + 1, every):
        at = snapshot.as_of + timedelta(minutes=minutes)
        x = _LEFT + half * (1 + minutes / _MINUTES)
        anchor = "start" if minutes == -_MINUTES else "end" if minutes == _MINUTES else "middle"
        text = "now" if minutes == 0 else words.clock(at, seconds=False)
        found.append((round(x, 1), text, anchor))
    return found
