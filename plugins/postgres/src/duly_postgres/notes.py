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
        case None:
            return json.dumps({"as": "delivered"})
        case End(occurrence_count):
            return json.dumps({"as": "ended", "occurrence_count": occurrence_count})
        case Lapse():
            return json.dumps({"as": "lapsed"})
        case Release(at):
            return json.dumps({"as": "released", "at": to_microseconds(at)})
        case Reschedule():
            return json.dumps({"as": "rescheduled", **_put_back(outcome)})
        case Bury(reason, following, error_class):
            note: dict[str, Any] = {
                "as": "buried",
                "reason": reason,
                "next": _put_back(following) if isinstance(following, Reschedule) else None,
                "error_class": error_class,
            }
            if isinstance(following, End):
                note["ended"] = following.occurrence_count
            return json.dumps(note)


def format_for(outcome: Outcome, kept: int) -> int:
    """The record format that one must know to do this with a record of the format ``kept``.

    All know how to delete and release. To put back and to bury takes reading the record, and to end
    a series knowing that something may follow it.
    """
    match outcome:
        case End() | Bury(next=End()):
            return max(kept, 2)
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
            case "ended":
                return End(note["occurrence_count"])
            case "released":
                return Release(from_microseconds(note["at"]))
            case "rescheduled":
                return _rescheduled(note)
            case "buried":
                return Bury(note["reason"], _following(note), note.get("error_class"))
    except (KeyError, TypeError, ValueError, OverflowError):
        pass
    return Lapse()


def _following(note: dict[str, Any]) -> Reschedule | End | None:
    """What becomes of the series of which a fire is buried."""
    if note["next"] is not None:
        return _rescheduled(note["next"])
    return End(note["ended"]) if "ended" in note else None


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
