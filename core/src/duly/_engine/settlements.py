"""What a store is told of each outcome: from fires and verdicts to settlements.

None stands for plain deletion: delivered or discarded.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

from duly._values.attempts import with_attempt
from duly._values.error_text import error_text
from duly._values.wording import kind_of
from duly.hookspecs import Burial, MissedFires
from duly.message import Message, begun
from duly.recovery import Bury, Discard, Failure, Retry, Verdict
from duly.recurrence import Recurrence
from duly.store import Bury as Buried
from duly.store import Claim, Counters, End, Release, Reschedule, Settlement

__all__ = [
    "after_interruption",
    "after_missed",
    "after_postponement",
    "after_verdict",
    "burial_of",
    "burials_of",
    "counters_of",
    "next_fire",
    "without_end",
]

_MICROSECOND: Final = timedelta(microseconds=1)
_LAST_MOMENT: Final = datetime.max.replace(tzinfo=UTC)


def next_fire(message: Message) -> Reschedule | End | None:
    """How a series goes on, or ends, after this occurrence; None: it is not a series."""
    recurrence = message.recurrence
    count = message.occurrence_count + 1
    if recurrence is None:
        return None
    fire = None if recurrence.ends_after(count) else recurrence.following(message.scheduled_at)
    if fire is None:
        return End(count)
    return Reschedule(recurrence.due(message.id, fire), Counters(fire, occurrence_count=count))


def counters_of(message: Message) -> Counters:
    """The counters of a message as they are."""
    return Counters(
        message.scheduled_at,
        message.retry_count,
        message.occurrence_count,
        with_attempt(message.last_error, message._last_attempt),  # noqa: SLF001  # all that it is to remember
        message.postpone_count,
        put_back=message._put_back,  # noqa: SLF001  # all that it is to remember
    )


def without_end(settlement: Settlement) -> Settlement | None:
    """The same for a store that knows nothing of ends: it deletes what ends."""
    if isinstance(settlement, End):
        return None
    if isinstance(settlement, Buried) and isinstance(settlement.next, End):
        return attrs.evolve(settlement, next=None)
    return settlement


def after_missed(
    message: Message, now: datetime, punctual: timedelta
) -> tuple[MissedFires, Reschedule | End] | None:
    """Which fires of a series are dropped as missed, and how it then goes on; None: none is.

    A fire is missed if it is late at its first claim by more than its grace, and by more than what
    is still ``punctual``.
    """
    recurrence, fire = message.recurrence, message.scheduled_at
    if recurrence is None or recurrence.missed == "all" or begun(message):
        return None
    grace = max(recurrence.grace, punctual)
    if now - recurrence.due(message.id, fire) <= grace:
        return None
    last = recurrence.latest_due(message.id, fire, now - grace - _MICROSECOND)
    following: datetime | None = last
    if recurrence.missed == "skip":
        following = recurrence.following(last)
    elif last == fire:
        return None
    else:
        last = recurrence.latest(fire, last - _MICROSECOND)
    moved: Reschedule | End = End(message.occurrence_count)
    if following is not None:
        moved = _moved(message, recurrence, following, now)
    dropped = MissedFires(
        message=message,
        first=fire,
        last=last,
        count=recurrence.count(fire, last),
        following=following,
    )
    return dropped, moved


def after_postponement(message: Message, now: datetime, after: timedelta) -> Reschedule:
    """How a message is put back that asked for it: uncounted, but for how often it did."""
    at, counters = _later(now, after), counters_of(message)
    if message.recurrence is not None:
        at = max(at, message.scheduled_at + _MICROSECOND)
    postpone_count, jitters = message.postpone_count + 1, _jitters(message)
    return Reschedule(at, attrs.evolve(counters, postpone_count=postpone_count, put_back=jitters))


def after_interruption(claim: Claim, now: datetime, pause: float) -> Release | Reschedule:
    """How a message is put back, uncounted: at its place, or ``pause`` seconds from now."""
    message = claim.message
    at = now + timedelta(seconds=pause) if pause else message.next_attempt_at
    if message.recurrence is not None and not claim.lapses:
        # A fire that was claimed in time must not be found missed when it is claimed again.
        at = max(at, message.scheduled_at + _MICROSECOND)
        return Reschedule(at, attrs.evolve(counters_of(message), put_back=_jitters(message)))
    return Release(at)


def burials_of(failures: Sequence[Failure], verdicts: Sequence[Verdict]) -> Sequence[Burial]:
    """What is told of those failures that ended in a burial."""
    return [
        burial_of(failure, verdict.reason)
        for failure, verdict in zip(failures, verdicts, strict=True)
        if isinstance(verdict, Bury)
    ]


def burial_of(failure: Failure, reason: str) -> Burial:
    """What is kept, and told, of a message that is buried after a failure."""
    error = failure.error
    return Burial(
        message=failure.message,
        reason=error_text(reason),
        error_class=None if error is None else kind_of(error),
    )


def after_verdict(failure: Failure, verdict: Verdict) -> Settlement | None:
    """What the store is told when recovery has decided."""
    message = failure.message
    match verdict:
        case Retry(after=after):
            counters = attrs.evolve(counters_of(message), retry_count=message.retry_count + 1)
            if failure.error is not None:
                counters = attrs.evolve(counters, last_error=error_text(failure.error))
            return Reschedule(_later(failure.now, after), counters)
        case Bury(reason=reason):
            burial = burial_of(failure, reason)
            return Buried(burial.reason, next_fire(message), burial.error_class)
        case Discard():
            return next_fire(message)


def _moved(message: Message, recurrence: Recurrence, fire: datetime, now: datetime) -> Reschedule:
    due = recurrence.due(message.id, fire)
    counters = Counters(fire, occurrence_count=message.occurrence_count)
    if due > now:
        return Reschedule(due, counters)
    # The next claim, which comes later still, must not take it for missed.
    at = max(now, fire + _MICROSECOND)
    return Reschedule(at, attrs.evolve(counters, put_back=_jitters(message)))


def _jitters(message: Message) -> bool:
    return message.recurrence is not None and bool(message.recurrence.jitter)


def _later(now: datetime, after: timedelta) -> datetime:
    try:
        return now + after
    except OverflowError:
        return _LAST_MOMENT
