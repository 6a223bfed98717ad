"""Settlements as telemetry sees them: what they are called, and what they remember of a trace."""

import attrs

from duly._values.attempts import with_attempt
from duly.message import Message
from duly.store import Bury, Release, Reschedule, Settlement

__all__ = ["remembering", "verb_of"]


def verb_of(message: Message, settlement: Reschedule | Release | Bury) -> str:
    """What a settlement other than plain deletion does, as counters and spans call it."""
    match settlement:
        case Bury():
            return "buried"
        case Release():
            return "released"
        case Reschedule(counters=counters):
            if counters.postpone_count > message.postpone_count:
                return "postponed"
            # A fire that goes back uncounted gets a moment of its own but is the same as before.
            before = (message.scheduled_at, message.retry_count, message.occurrence_count)
            after = (counters.scheduled_at, counters.retry_count, counters.occurrence_count)
            return "released" if after == before else "rescheduled"


def remembering(message: Message, outcome: Settlement, context: str) -> Settlement:
    """The same outcome; a retry remembers the W3C ``context`` of the attempt that has failed."""
    if not isinstance(outcome, Reschedule) or outcome.counters.retry_count <= message.retry_count:
        return outcome
    text = with_attempt(outcome.counters.last_error, context)
    return attrs.evolve(outcome, counters=attrs.evolve(outcome.counters, last_error=text))
