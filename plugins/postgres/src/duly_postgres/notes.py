"""Notes, as JSON, of what is to become of a message that others hold."""

import json
from typing import Any

from duly.moment import from_microseconds, to_microseconds
from duly.store import Bury, Counters, End, Release, Reschedule, Settlement

__all__ = ["Lapse", "Outcome", "format_for", "read", "written"]


class Lapse:
    """The outcome of a message whose lease has lapsed."""


Outcome = Settlement | Lapse | None
"""None means that it was delivered."""


def written(outcome: Outcome) -> str:
    """The text of a note for an outcome."""
    match outcome:
        case None | End():
            return json.dumps({"as": "delivered"})
        case Lapse():
            return json.dumps({"as": "lapsed"})
        case Release(at):
            return json.dumps({"as": "released", "at": to_microseconds(at)})
        case Reschedule():
            return json.dumps({"as": "rescheduled", **_put_back(outcome)})
        case Bury(reason, following, error_class):
            how = _put_back(following) if isinstance(following, Reschedule) else None
            note = {"as": "buried", "reason": reason, "next": how, "error_class": error_class}
            return json.dumps(note)


def format_for(outcome: Outcome, kept: int) -> int:
    """The record format that one must know to do this with a record of the format ``kept``.

    All know how to delete and release. To put back and to bury takes reading the record.
    """
    match outcome:
        case Reschedule() as how:
            return max(kept, how.counters.format)
        case Bury(next=Reschedule() as how):
            return max(kept, how.counters.format)
        case Bury():
            return kept
    return 1


def read(text: str) -> Outcome:
    """The outcome that was noted. An unreadable note counts as a lapse: delivered, maybe again."""
    try:
        note = json.loads(text)
        match note["as"]:
            case "delivered":
                return None
            case "released":
                return Release(from_microseconds(note["at"]))
            case "rescheduled":
                return _rescheduled(note)
            case "buried":
                how = note["next"]
                following = None if how is None else _rescheduled(how)
                return Bury(note["reason"], following, note.get("error_class"))
    except (KeyError, TypeError, ValueError, OverflowError):
        pass
    return Lapse()


def _put_back(how: Reschedule) -> dict[str, Any]:
    counters = how.counters
    return {
        "at": to_microseconds(how.next_attempt_at),
        "scheduled_at": to_microseconds(counters.scheduled_at),
        "retry_count": counters.retry_count,
        "occurrence_count": counters.occurrence_count,
        "last_error": counters.last_error,
        "postpone_count": counters.postpone_count,
        "put_back": counters.put_back,
    }


def _rescheduled(how: dict[str, Any]) -> Reschedule:
    counters = Counters(
        from_microseconds(how["scheduled_at"]),
        how["retry_count"],
        how["occurrence_count"],
        how["last_error"],
        how.get("postpone_count", 0),  # the version before writes neither
        how.get("put_back", False),
    )
    return Reschedule(from_microseconds(how["at"]), counters)
