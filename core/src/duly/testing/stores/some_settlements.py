"""What may become of a message in a random history."""

from collections.abc import Mapping
from datetime import datetime

from duly.message import Message
from duly.store import Bury, Counters, Release, Reschedule, Settlement

KINDS = ("retry", "postpone", "fire", "release", "bury", "bury and go on")
"""By name, all but delivery."""


def settlement_of(message: Message, kind: str | None, at: datetime) -> Settlement | None:
    """The settlement of a kind, with ``at`` for the moment that it needs; None for delivered."""
    scheduled_at, occurrences = message.scheduled_at, message.occurrence_count
    if kind == "bury and go on" and message.recurrence is None:
        kind = "bury"
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
    }
    return settlements.get(kind)
