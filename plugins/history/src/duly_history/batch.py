"""A part of the queue, made ready to be written: one document."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import attrs
import msgspec

from duly_history.queue import Dropped, Told
from duly_history.rows import clean, instant

__all__ = ["DAY", "MINUTE", "Batch", "batch_of"]

MINUTE: Final = 60_000_000
"""In microseconds."""

DAY: Final = 86_400_000_000
"""In microseconds."""

_TURNS: Final = 1_000_000  # of a batch, at most
_LONGEST: Final = 2048  # bytes of a row, as a rule


@attrs.frozen
class Batch:
    """What one transaction writes. ``number`` entries came from the queue; they count there.

    ``sequence`` tells it from all others of this process, so that it is written once although
    nobody knows whether a try before was carried out. ``days`` are those of the entries, numbers
    since 1970.
    """

    sequence: int
    number: int
    document: str | None
    days: Sequence[int]
    holes: Sequence[tuple[int, int, int, str]]
    first: datetime | None
    last: datetime | None


def batch_of(
    sequence: int,
    told: Sequence[Told],
    hole: Dropped | None,
    *,
    wanted: Callable[[str | None], bool] | None,
) -> Batch:
    """Make one of what was told, of those event names that are ``wanted``; None: of all."""
    if wanted is not None:
        kept = [
            each._replace(picked=[row for row in each.picked if wanted(row[1])]) for each in told
        ]
    else:
        kept = list(told)
    moments = [each.at for each in told]
    holes = []
    if hole is not None:
        since, until = instant(hole.since), instant(hole.until)
        holes.append((since, until, hole.number, "the queue was full"))
    return Batch(
        sequence,
        sum(len(each.picked) for each in told),
        _document([each for each in kept if each.picked], sequence * _TURNS),
        sorted({instant(each.at) // DAY for each in kept}),
        holes,
        min(moments, default=None),
        max(moments, default=None),
    )


def _document(told: Sequence[Told], turn: int) -> str | None:
    """Groups of rows, as :class:`Statements` takes them apart."""
    if not told:
        return None
    try:
        document = _encoded(told, turn)
    except UnicodeEncodeError:
        document = b""
    number = sum(len(each.picked) for each in told)
    if not document or b"\\u0000" in document or len(document) > number * _LONGEST:
        cleaned = [each._replace(picked=clean(each.picked)) for each in told]
        document = _encoded(cleaned, turn)
    return document.decode()


def _encoded(told: Sequence[Told], turn: int) -> bytes:
    groups: list[tuple[Any, ...]] = []
    for number, each in enumerate(told):
        at = instant(each.at)
        minute = at - at % MINUTE
        groups.append((at, turn + number, minute, each.what.value, each.source, each.picked))
    return msgspec.json.encode(groups)
