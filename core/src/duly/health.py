"""How a client or scheduler is doing, in one word and one sentence."""

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import attrs

__all__ = ["Doubt", "Health", "Liveness", "Report", "Status", "clock_doubts"]

_CLOCKS: Final = timedelta(seconds=5)  # by which they may differ


class Status(enum.Enum):
    """HEALTHY: all is well. DEGRADED: it works, somebody should look. UNHEALTHY: it does not."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@attrs.frozen(kw_only=True)
class Health:
    """An answer of ``health()``: ``reason`` is one sentence, ``details`` are facts by name.

    ``reasons`` are the parts of the sentence, the gravest first; none when all is well. Those that
    a store knows more of are each a :class:`Doubt`.
    """

    status: Status
    reason: str
    details: Mapping[str, Any] = attrs.field(factory=dict)
    reasons: Sequence[str] = ()


@attrs.frozen(kw_only=True)
class Liveness:
    """What a scheduler knows of itself without asking anybody: an answer of ``liveness()``.

    ``state`` is "opening" while it waits for its store, "running", "stopping" while it drains, or
    "stopped". ``last_turn_age`` is how long ago the loop that claims and settles turned last, None
    unless it is running; a turn that is well takes no longer than ``turns_within``.
    """

    state: str
    store_up: bool = False
    transport_up: bool = False
    last_turn_age: timedelta | None = None
    turns_within: timedelta = timedelta(seconds=30)

    @property
    def alive(self) -> bool:
        """Whether nothing is stuck. A store or transport that is away does not change that."""
        return self.last_turn_age is None or self.last_turn_age <= self.turns_within


class Doubt(str):
    """A reason that a ``check()`` gives, in one sentence, and its parts for a table of findings.

    ``means`` is what it means for what is promised, ``thing`` and ``found`` are the setting and its
    value, ``advice`` is what to do about it. With ``breaks`` messages may get lost as things are.
    """

    __slots__ = ("advice", "breaks", "found", "means", "thing")

    def __new__(
        cls, means: str, *, thing: str, found: str, advice: str = "", breaks: bool = False
    ) -> "Doubt":
        """The sentence is what it means and, after a colon, the advice."""
        doubt = super().__new__(cls, f"{means}: {advice}" if advice else means)
        doubt.means, doubt.thing, doubt.found = means, thing, found
        doubt.advice, doubt.breaks = advice, breaks
        return doubt

    means: str
    thing: str
    found: str
    advice: str
    breaks: bool


def clock_doubts(place: str, theirs: datetime, asked: datetime, answered: datetime) -> list[Doubt]:
    """What to say of a server's clock that told ``theirs`` between two moments by this host's.

    Nothing, unless they differ by more than five seconds: what is due is decided by the server's.
    """
    ahead, behind = theirs - answered, asked - theirs
    if max(ahead, behind) <= _CLOCKS:
        return []
    seconds, way = max((ahead, "ahead of"), (behind, "behind"))
    sooner = "early" if ahead > behind else "late"
    return [
        Doubt(
            f"the clock of {place} is {seconds.total_seconds():.0f} s {way} that of this host, so "
            f"that messages come so much too {sooner} by the clock here",
            thing="clock",
            found=f"{seconds.total_seconds():.0f} s {way} this host's",
            advice="let both follow the same time servers",
        )
    ]


class Report:
    """Gathers findings until they make a :class:`Health`; the gravest one decides."""

    def __init__(self) -> None:
        self.details: dict[str, Any] = {}
        self._ill: list[str] = []
        self._odd: list[str] = []

    def ill(self, reason: str) -> None:
        """It does not work."""
        self._ill.append(reason)

    def odd(self, reason: str) -> None:
        """It works, but somebody should look."""
        self._odd.append(reason)

    def health(self) -> Health:
        """What was found."""
        status = Status.UNHEALTHY if self._ill else Status.DEGRADED if self._odd else Status.HEALTHY
        reasons = (*self._ill, *self._odd)
        reason = "; ".join(reasons) or "all is well"
        return Health(status=status, reason=reason, details=self.details, reasons=reasons)
