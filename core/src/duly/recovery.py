"""What next after a failure: the verdicts, and the policy that stands when nobody decides."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import attrs

from duly._values.error_text import error_text
from duly._values.plain import real, shown, whole
from duly._values.retry_after import as_pause
from duly._values.wording import kind_of, worded
from duly.errors import Expired, InvalidArgument, Rejected
from duly.message import Message
from duly.moment import as_duration
from duly.store import SUSPECT_LAPSES

__all__ = ["Backoff", "Bury", "Discard", "Failure", "Policy", "Retry", "Verdict"]

_SOONEST: Final = timedelta(milliseconds=10)
_LATEST: Final = timedelta(days=36525)


@attrs.frozen(kw_only=True)
class Failure:
    """What recovery is asked about: a delivery that failed, or a claimant that died.

    ``error`` is None when the claimant died: its lease lapsed before it settled. ``attempt``
    counts from 1 and is that of the delivery that failed; ``lapses`` counts the lapsed claims since
    the message was last delivered, retried or replayed, from 0. ``now`` is the store's time.
    """

    message: Message
    error: Exception | None
    attempt: int
    lapses: int
    now: datetime

    @property
    def error_class(self) -> str | None:
        """The name of the class of the error, as dead letters keep it; None without an error."""
        return None if self.error is None else kind_of(self.error)

    @property
    def error_text(self) -> str | None:
        """The error as it is kept and logged: as ``error_text=`` says, with secrets masked.

        At most 1 KiB; None without an error.
        """
        return None if self.error is None else error_text(self.error)


def _after(value: timedelta) -> timedelta:
    return as_duration(value, "after", at_least=timedelta(0), at_most=_LATEST)


@attrs.frozen
class Retry:
    """Try again ``after`` that long; after a lapsed claim, zero means at once, in this claim.

    Raises:
        InvalidArgument: negative, over a century, or no timedelta.
    """

    after: timedelta = attrs.field(default=timedelta(0), converter=_after)


def _reason(value: object) -> str:
    try:
        return str.__str__(str(value))
    except Exception as error:  # of a class of the caller's
        raise InvalidArgument(f"a reason is text: {shown(error)}") from error


@attrs.frozen
class Bury:
    """Keep it as a dead letter, with the reason, made text, as its ``last_error``.

    Raises:
        InvalidArgument: it cannot be made text.
    """

    reason: str = attrs.field(converter=_reason)


@attrs.frozen
class Discard:
    """Drop this message, or this occurrence of a series; the series goes on."""


Verdict = Retry | Bury | Discard
Policy = Callable[[Failure], Verdict | None]


def _factor(value: float) -> float:
    number = real(value)
    if number is None or not 1 <= number < 1e9:
        raise InvalidArgument(f"multiplier must be a number from 1, not {shown(value)}")
    return number


def _share(value: float) -> float:
    number = real(value)
    if number is None or not 0 <= number <= 1:
        raise InvalidArgument(f"jitter must be a number from 0 to 1, not {shown(value)}")
    return number


def _max_retries(value: int | None) -> int | None:
    return None if value is None else _count(value, "max_retries")


def _max_lapses(value: int) -> int:
    return _count(value, "max_lapses")


def _count(value: object, name: str) -> int:
    number = whole(value)
    if number is None or number < 0:
        raise InvalidArgument(f"{name} must be a whole number from 0, not {shown(value)}")
    return number


def _initial(value: timedelta) -> timedelta:
    return as_duration(value, "initial", at_least=_SOONEST, at_most=_LATEST)


def _maximum(value: timedelta) -> timedelta:
    return as_duration(value, "maximum", at_least=_SOONEST, at_most=_LATEST)


@attrs.frozen(kw_only=True)
class Backoff:
    """Exponential backoff, then burial: the default policy.

    The n-th retry (from 1) comes after ``initial * multiplier ** (n - 1)``, at most ``maximum``,
    spread by up to ``jitter`` of it either way, but at least the ``retry_after`` of the error, a
    timedelta or a number of seconds, whatever class the error is of.
    After ``max_retries`` retries, which are that many attempts plus one, the message is buried;
    None never gives up. Buried at once are what was :class:`~duly.errors.Rejected`, what
    :class:`~duly.errors.Expired`, and a message whose claim lapsed ``max_lapses`` times while it
    was a suspect, that is after the two lapses which made it one. The defaults give up after
    about nine hours.

    Raises:
        InvalidArgument: an argument out of bounds.
    """

    initial: timedelta = attrs.field(default=timedelta(seconds=1), converter=_initial)
    multiplier: float = attrs.field(default=2.0, converter=_factor)
    maximum: timedelta = attrs.field(default=timedelta(hours=1), converter=_maximum)
    jitter: float = attrs.field(default=0.1, converter=_share)
    max_retries: int | None = attrs.field(default=20, converter=_max_retries)
    max_lapses: int = attrs.field(default=3, converter=_max_lapses)

    def __call__(self, failure: Failure) -> Verdict:
        """The verdict on one failure."""
        error, retries = failure.error, failure.message.retry_count
        if error is None:
            if failure.lapses - SUSPECT_LAPSES >= self.max_lapses:
                return Bury(
                    f"claimed {failure.lapses} times by schedulers that died before they settled it"
                )
            return Retry()
        if isinstance(error, Expired | Rejected):
            return Bury(worded(error))
        if self.max_retries is not None and retries >= self.max_retries:
            return Bury(worded(error))
        return Retry(max(self.delay(retries), _retry_after(error), _SOONEST))

    def delay(self, retries: int) -> timedelta:
        """How long to wait after so many retries (from 0), jitter included.

        Raises:
            InvalidArgument: not a whole number from 0.
        """
        retries = _count(retries, "retries")
        seconds, maximum = self.initial.total_seconds(), self.maximum.total_seconds()
        try:
            seconds *= float(self.multiplier) ** retries
        except OverflowError:
            seconds = maximum
        spread = 1 + random.uniform(-self.jitter, self.jitter)  # noqa: S311  # no secret
        return min(timedelta(seconds=min(seconds, maximum) * spread), _LATEST)


def _retry_after(error: Exception) -> timedelta:
    """How long the error asks for: of any class, as a timedelta or in seconds, or else nothing."""
    try:
        return min(as_pause(getattr(error, "retry_after", None)) or timedelta(0), _LATEST)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  # what an error does when it is asked must not undo recovery
        return timedelta(0)
