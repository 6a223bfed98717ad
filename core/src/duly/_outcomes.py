"""What a store is told of each outcome: from fires and verdicts to settlements.

None stands for plain deletion: delivered, discarded, or a series at its end.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from duly.message import Message
from duly.recovery import Bury, Discard, Failure, Retry, Verdict
from duly.store import Bury as Buried
from duly.store import Claim, Counters, Release, Reschedule, Settlement
from duly.url import mask

__all__ = [
    "after_interruption",
    "after_missed",
    "after_verdict",
    "counters_of",
    "error_text",
    "next_fire",
]

_ERROR_BYTES: Final = 1024
_MASKED_CHARACTERS: Final = 16 * 1024
_CLOSING: Final = "@'\""  # ends every secret that mask() finds by its end
_MICROSECOND: Final = timedelta(microseconds=1)
_LAST_MOMENT: Final = datetime.max.replace(tzinfo=UTC)


def error_text(error: BaseException | str) -> str:
    """An error as it may be kept and shown: secrets masked, at most 1 KiB of UTF-8, no NUL."""
    if isinstance(error, str):
        text = error
    else:
        try:
            text = f"{type(error).__name__}: {error}"
        except Exception:  # noqa: BLE001  # an error that cannot even be shown
            text = type(error).__name__
    if len(text) > _MASKED_CHARACTERS:  # a secret that is cut in two is hidden to the cut
        text = text[:_MASKED_CHARACTERS] + _CLOSING
    data = mask(text.replace("\0", " ")).encode("utf-8", "replace")
    return data[:_ERROR_BYTES].decode("utf-8", "ignore")


def next_fire(message: Message) -> Reschedule | None:
    """How a series goes on once this occurrence was taken up; None: it does not, or is none."""
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


def after_missed(message: Message, now: datetime) -> tuple[bool, Reschedule | None]:
    """Whether this fire of a series was missed, and how the series then goes on instead.

    Missed is a fire that is more than its grace late at its first claim; one that was retried,
    put back or moved here before has a ``next_attempt_at`` of its own. ``(True, None)``: the
    series has ended.
    """
    recurrence, fire = message.recurrence, message.scheduled_at
    if (
        recurrence is None
        or recurrence.missed == "all"
        or message.retry_count
        or message.next_attempt_at != fire
        or now - fire <= recurrence.grace
    ):
        return False, None
    latest = recurrence.latest(fire, now - recurrence.grace - _MICROSECOND)
    if recurrence.missed == "once":
        if latest == fire:
            return False, None
        # Due at once, at a moment which is not the fire's own: it will not be missed again.
        return True, _moved(message, latest, max(now, latest))
    following = recurrence.following(latest)
    return True, None if following is None else _moved(message, following, following)


def after_interruption(
    claim: Claim, now: datetime, pause: float, *, behind: bool
) -> Release | Reschedule:
    """How a message is put back, uncounted: at its place, ``behind`` all that is due, or later.

    ``pause`` is in seconds from now.
    """
    message = claim.message
    later = now + timedelta(seconds=pause)
    if message.recurrence is not None and not claim.lapses:
        # A fire that was claimed in time must not be found missed when it is claimed again: a
        # next_attempt_at of its own tells it from one that was never claimed.
        at = max(later, message.scheduled_at + _MICROSECOND)
        return Reschedule(at, counters_of(message))
    return Release(later if pause or behind else message.next_attempt_at)


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


def _moved(message: Message, fire: datetime, at: datetime) -> Reschedule:
    return Reschedule(at, Counters(fire, occurrence_count=message.occurrence_count))


def _later(now: datetime, after: timedelta) -> datetime:
    try:
        return now + after
    except OverflowError:
        return _LAST_MOMENT
