"""What a store is told of each outcome: from fires and verdicts to settlements.

None stands for plain deletion: delivered, discarded, or a series at its end.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from duly._values.error_text import error_text
from duly.hookspecs import MissedFires
from duly.message import Message
from duly.recovery import Bury, Discard, Failure, Retry, Verdict
from duly.store import Bury as Buried
from duly.store import Claim, Counters, Release, Reschedule, Settlement

__all__ = [
    "after_interruption",
    "after_missed",
    "after_verdict",
    "counters_of",
    "next_fire",
]

_MICROSECOND: Final = timedelta(microseconds=1)
_LAST_MOMENT: Final = datetime.max.replace(tzinfo=UTC)


def next_fire(message: Message) -> Reschedule | None:
    """How a series goes on after this occurrence; None: it has ended, or is not a series."""
    recurrence = message.recurrence
    count = message.occurrence_count + 1
    if recurrence is None or recurrence.ends_after(count):
        return None
    fire = recurrence.following(message.scheduled_at)
    return None if fire is None else Reschedule(fire, Counters(fire, occurrence_count=count))


def counters_of(message: Message) -> Counters:
    """The counters of a message as they are."""
    return Counters(
        message.scheduled_at, message.retry_count, message.occurrence_count, message.last_error
    )


def after_missed(
    message: Message, now: datetime, punctual: timedelta
) -> tuple[MissedFires, Reschedule | None] | None:
    """Which fires of a series are dropped as missed, and how it then goes on; None: none is.

    A fire is missed if it is late at its first claim by more than its grace, and by more than what
    is still ``punctual``; one that was retried, put back or moved here before is recognised by a
    ``next_attempt_at`` of its own. Without a Reschedule the series has ended.
    """
    recurrence, fire = message.recurrence, message.scheduled_at
    if (
        recurrence is None
        or recurrence.missed == "all"
        or message.retry_count
        or message.next_attempt_at != fire
    ):
        return None
    grace = max(recurrence.grace, punctual)
    if now - fire <= grace:
        return None
    last = recurrence.latest(fire, now - grace - _MICROSECOND)
    following: datetime | None = last
    if recurrence.missed == "skip":
        following = recurrence.following(last)
    elif last == fire:
        return None
    else:
        last = recurrence.latest(fire, last - _MICROSECOND)
    moved = None if following is None else _moved(message, following, now)
    dropped = MissedFires(
        message=message,
        first=fire,
        last=last,
        count=recurrence.count(fire, last),
        following=following,
    )
    return dropped, moved


def after_interruption(claim: Claim, now: datetime, pause: float) -> Release | Reschedule:
    """How a message is put back, uncounted: at its place, or ``pause`` seconds from now."""
    message = claim.message
    at = now + timedelta(seconds=pause) if pause else message.next_attempt_at
    if message.recurrence is not None and not claim.lapses:
        # A fire that was claimed in time must not be found missed when it is claimed again: a
        # next_attempt_at of its own, a microsecond behind at least, tells it from one that was
        # never claimed.
        at = max(at, message.scheduled_at + _MICROSECOND)
        return Reschedule(at, counters_of(message))
    return Release(at)


def after_verdict(failure: Failure, verdict: Verdict) -> Settlement | None:
    """What the store is told when recovery has decided."""
    message = failure.message
    match verdict:
        case Retry(after=after):
            error = failure.error
            text = message.last_error if error is None else error_text(error)
            counters = Counters(
                message.scheduled_at, message.retry_count + 1, message.occurrence_count, text
            )
            return Reschedule(_later(failure.now, after), counters)
        case Bury(reason=reason):
            return Buried(error_text(reason), next_fire(message))
        case Discard():
            return next_fire(message)


def _moved(message: Message, fire: datetime, now: datetime) -> Reschedule:
    # If it is due by now, it is put at a moment that is not the fire's own, so that the next claim,
    # which comes later still, does not take it for missed.
    at = fire if fire > now else max(now, fire + _MICROSECOND)
    return Reschedule(at, Counters(fire, occurrence_count=message.occurrence_count))


def _later(now: datetime, after: timedelta) -> datetime:
    try:
        return now + after
    except OverflowError:
        return _LAST_MOMENT
