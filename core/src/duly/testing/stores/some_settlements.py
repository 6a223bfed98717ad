"""What may become of a message in a random history."""

from collections.abc import Mapping
from datetime import datetime

from duly.message import Message
from duly.store import Bury, Counters, End, Release, Reschedule, Settlement

KINDS = ("retry", "postpone", "fire", "release", "bury", "bury and go on")
"""By name, all but delivery."""

SERIES_KINDS = (*KINDS, "miss", "end", "bury and end")
"""What becomes of series besides, in stores that are :class:`~duly.store.SupportsEnsure`."""

_ALONE: Mapping[str | None, str | None] = {
    "bury and go on": "bury",
    "bury and end": "bury",
    "miss": None,
    "end": None,
}  # what becomes of a message that is no series instead


def settlement_of(message: Message, kind: str | None, at: datetime) -> Settlement | None:
    """The settlement of a kind, with ``at`` for the moment that it needs; None for delivered."""
    scheduled_at, occurrences = message.scheduled_at, message.occurrence_count
    if kind in _ALONE and message.recurrence is None:
        kind = _ALONE[kind]
    further = Reschedule(at, Counters(at, occurrence_count=occurrences + 1))
    times = message.postpone_count + 1
    settlements: Mapping[str | None, Settlement] = {
        "retry": Reschedule(
            at, Counters(scheduled_at, message.retry_count + 1, occurrences, "failed")
        ),
        "postpone": Reschedule(at, Counters(scheduled_at, postpone_count=times, put_back=True)),
        "fire": further,
        "release": Release(at),
        "bury": Bury("broken", error_class="Rejected"),
        "bury and go on": Bury("broken", further),
        "miss": Reschedule(at, Counters(at, occurrence_count=occurrences)),
        "end": End(occurrences + 1),
        "bury and end": Bury("broken", End(occurrences + 1)),
    }
    return settlements.get(kind)
