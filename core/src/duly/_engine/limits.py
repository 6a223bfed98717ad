"""Who may start under the limits of a transport, which is asked for them again and again."""

import inspect
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from duly._telemetry.logging import get_logger
from duly._values.limits import NO_LIMITS, Limits, SupportsLimits
from duly._values.patterns import best_match, is_prefix, matches_name
from duly._values.publishing import Job
from duly._values.wording import worded
from duly.errors import InvalidArgument
from duly.recovery import Policy

__all__ = ["Cap", "Caps", "ToldLimits"]

log = get_logger()


class ToldLimits:
    """The limits of a transport, asked for again and again; no limits if it tells none.

    Raises:
        InvalidArgument: its first answer is not ``Limits``.
    """

    def __init__(self, transport: object) -> None:
        self._transport = transport if isinstance(transport, SupportsLimits) else None
        self.now = self._asked()

    def changed(self) -> bool:
        """Whether they have changed; if asking fails, the last ones stay."""
        if self._transport is None:
            return False
        try:
            before, self.now = self.now, self._asked()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is told
            log.warning("limits_failed", error=worded(error))
            return False
        return self.now is not before

    def longest(self, jobs: Iterable[tuple[object, Job]], otherwise: float) -> float:
        """How many seconds the publish of some jobs may take; ``otherwise`` where none is told."""
        timeouts = self.now.timeouts
        if not timeouts:
            return otherwise
        own = [best_match(timeouts, job.name) for _, job in jobs]
        return max(otherwise if each is None else each.total_seconds() for each in own)

    def recovery(self, name: str) -> Policy | None:
        """The policy of its own that a name has."""
        return best_match(self.now.recovery, name)

    def _asked(self) -> Limits:
        if self._transport is None:
            return NO_LIMITS
        name = type(self._transport).__name__
        if not callable(self._transport.limits) or inspect.iscoroutinefunction(
            self._transport.limits
        ):
            raise InvalidArgument(
                f"{name}.limits must be a plain method that returns duly.transport.Limits: write "
                "def limits(self), neither an attribute nor async"
            )
        answer: object = self._transport.limits()
        if not isinstance(answer, Limits):
            raise InvalidArgument(
                f"{name}.limits() must return duly.transport.Limits, not {type(answer).__name__}"
            )
        return answer


class _Waiting(Protocol):
    """Who may wait for a cap: a lane."""

    caps: Any


W = TypeVar("W", bound=_Waiting)


class Cap(Generic[W]):
    """A number that some names share, how much of it is in use, and who waits for it, in order."""

    __slots__ = ("blocked", "most", "used")

    def __init__(self, most: int) -> None:
        self.most = most
        self.used = 0
        self.blocked: deque[W] = deque()

    @property
    def left(self) -> int:
        """How many more may start."""
        return self.most - self.used

    @property
    def promised(self) -> int:
        """How many more may be claimed, as there is or will be room for them."""
        return self.left

    @property
    def full(self) -> bool:
        """Whether nobody may start."""
        return self.left <= 0

    def is_open(self, now: float) -> bool:  # others go by the time
        """Whether somebody may start now, in loop time."""
        return self.used < self.most

    def take(self) -> None:
        """One starts."""
        self.used += 1

    def give_back(self, *, begun: bool = True) -> None:  # to others it matters
        """One counts no longer; ``begun``, whether it was published at all."""
        self.used -= 1

    def hold(self, count: int) -> None:
        """So many run already."""
        self.used += count


class Caps(Generic[W]):
    """The caps of one set of limits, found by event name."""

    def __init__(self, limits: Limits) -> None:
        self._by_name: dict[str, Cap[W]] = {key: Cap(most) for key, most in limits.by_name.items()}
        prefixes = filter(is_prefix, self._by_name)
        self._prefixes = sorted(prefixes, key=len, reverse=True)
        self._together: Sequence[tuple[Collection[str], Cap[W]]] = [
            (names, Cap(most)) for names, most in limits.together
        ]

    def of(self, name: str) -> tuple[Cap[W], ...]:
        """The caps that apply to a name."""
        key = name if name in self._by_name else self._prefix_of(name)
        found = None if key is None else self._by_name[key]
        together: Iterable[Cap[W]] = (
            cap for names, cap in self._together if name in names or key in names
        )
        return (*together, *(() if found is None else (found,)))

    def _prefix_of(self, name: str) -> str | None:
        return next((each for each in self._prefixes if matches_name(each, name)), None)
