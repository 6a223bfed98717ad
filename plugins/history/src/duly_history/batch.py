"""A part of the queue, made ready to be written: one document for each table."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from duly_history.buckets import BOUNDS, bucket_of
from duly_history.queue import Dropped, Told
from duly_history.rows import finished, instant
from duly_history.values import What

__all__ = ["DAY", "MINUTE", "Batch", "batch_of"]

MINUTE: Final = 60_000_000
DAY: Final = 86_400_000_000

_COUNTED: Final = {What.DELIVERED.value: 0, What.FAILED.value: 1, What.BURIED.value: 2}


@attrs.frozen
class Batch:
    """What one transaction writes. ``number`` entries came from the queue; they count there.

    ``sequence`` tells it from all others of this process, so that it is written once although
    nobody knows whether a try before was carried out. ``days`` are those of the entries.
    """

    sequence: int
    number: int
    entries: str | None
    minutes: str | None
    days: Sequence[int]
    holes: Sequence[tuple[int, int, int | None, str]]
    first: datetime | None
    last: datetime | None


def batch_of(
    sequence: int,
    told: Sequence[Told],
    hole: Dropped | None,
    *,
    wanted: Callable[[str | None], bool],
    messages: bool,
) -> Batch:
    """Make one of what was told, with entries of ``messages`` or with the minutes alone."""
    rows: list[tuple[Any, ...]] = []
    for each in told:
        rows += finished(each.what, each.at, each.source, each.picked, wanted)
    # In one order everywhere, so that two processes never wait for each other's rows.
    minutes = sorted(_minutes(rows))
    holes = [] if hole is None else [
        (instant(hole.since), instant(hole.until), hole.number, "the queue was full")
    ]  # fmt: skip
    moments = [each.at for each in told]
    return Batch(
        sequence,
        sum(len(each.picked) for each in told),
        json.dumps(rows) if rows and messages else None,
        json.dumps(minutes) if minutes else None,
        sorted({row[0] // DAY for row in rows}),
        holes,
        min(moments, default=None),
        max(moments, default=None),
    )


def _minutes(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    counts: dict[tuple[int, str], list[int]] = {}
    for row in rows:
        place = _COUNTED.get(row[3])
        if place is None or row[2] is None:
            continue
        key = (row[0] - row[0] % MINUTE, row[2])
        found = counts.get(key)
        if found is None:
            found = counts[key] = [0] * (len(_COUNTED) + len(BOUNDS))
        found[place] += 1
        if row[7] is not None:
            found[len(_COUNTED) + bucket_of(row[7])] += 1
    return [[*key, *found] for key, found in counts.items()]
