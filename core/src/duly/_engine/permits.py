"""What people allow of a name, in all schedulers together: permits that are drawn from the store.

A rate is a row of slots in the store's time, ``1 / rate`` seconds apart: whoever draws takes the
next ones, and a publish may begin once its slot has come. One that is not used in a moment is void,
so that no burst is saved up [the virtual scheduling of ITU-T I.371]. Parallelism is leased: each
scheduler holds so many, for a while, and nobody more than the rule allows in all.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final, Generic

from duly._engine.limits import Cap, W
from duly._values.controls import Rules
from duly._values.patterns import best_match

__all__ = ["LEASE", "FlightCap", "Permits", "RateCap", "drawn", "shared"]

LEASE: Final = 15_000_000
"""Microseconds for which a scheduler holds what it may have in flight."""

_AHEAD: Final = 0.15  # seconds for which slots are drawn before they come, where they are close
_BEHIND: Final = 0.1  # and for which nobody need have drawn them, where they are very close
_CLOSE: Final = 0.15
_VERY_CLOSE: Final = 0.05
_LONGEST: Final = 0.5  # seconds for which a slot is good
_SHORTEST: Final = 0.1
_LEAD: Final = 1.0  # seconds by which a slot comes later at most, where the store is far away
_NEAR: Final = 0.05  # seconds to a store that is not
_SECOND: Final = 1_000_000


class RateCap(Cap[W]):
    """So many a second. Moments are loop time, in seconds."""

    __slots__ = ("_ready", "_slots", "_taken", "again_at", "lead", "rate")

    def __init__(self, rate: float) -> None:
        super().__init__(0)
        self.rate = rate
        self.again_at = -math.inf  # before that nobody can draw one
        self.lead = 0.0  # seconds until one that is drawn can be used, of late
        self._slots: deque[float] = deque()  # in order
        self._ready = 0  # of them, those that have come
        self._taken = -math.inf  # the last one that was used

    @property
    def drawn(self) -> int:
        """How many slots are here, those to come included."""
        return len(self._slots)

    @property
    def next_at(self) -> float:
        """When the next slot comes; infinite without any."""
        return self._slots[self._ready] if self._ready < len(self._slots) else math.inf

    def add(self, slots: Iterable[float], took: float) -> None:
        """These have been drawn, which took so long that the next ones are to come later."""
        self._slots.extend(slots)
        lead = min(_LEAD, max(took, 0.8 * self.lead))
        self.lead = lead if lead > _NEAR else 0.0

    @property
    def left(self) -> int:
        """How many more may start."""
        return self._ready

    @property
    def promised(self) -> int:
        """One is claimed in any case: who waits for a slot has one drawn."""
        return max(1, self._ready)

    def is_open(self, now: float) -> bool:
        """Whether somebody may start now."""
        slots = self._slots
        good = min(_LONGEST, max(_SHORTEST, 1 - 1 / self.rate))
        while slots and slots[0] + good < now:
            slots.popleft()
            self._ready = max(0, self._ready - 1)
        while self._ready < len(slots) and slots[self._ready] <= now:
            self._ready += 1
        return self._ready > 0

    def take(self) -> None:
        """One starts."""
        self._taken = self._slots.popleft()
        self._ready -= 1

    def give_back(self, *, begun: bool = True) -> None:
        """What has ended has used its slot all the same, unless it never began."""
        if not begun:
            self._slots.appendleft(self._taken)
            self._ready += 1

    def hold(self, count: int) -> None:
        """What runs already has used its slot."""


class FlightCap(Cap[W]):
    """So many at once: ``leased`` by us, of ``allowed`` in all, of which we may use ``most``."""

    __slots__ = ("again_at", "allowed", "idle_since", "leased", "renew_at", "valid_until")

    def __init__(self, allowed: int) -> None:
        super().__init__(0)
        self.allowed = allowed
        self.leased = 0
        self.again_at = -math.inf  # after trouble; loop time, as the others
        self.renew_at = -math.inf
        self.valid_until = -math.inf
        self.idle_since = math.inf  # since when fewer would do

    @property
    def promised(self) -> int:
        """One is claimed in any case: who waits for room has it leased."""
        return max(1, self.left)

    def is_open(self, now: float) -> bool:
        """Whether somebody may start now."""
        return self.used < self.most and now < self.valid_until


class Permits(Generic[W]):
    """The caps of the rules that limit something, each shared by all names of its rule.

    Those of ``before`` are kept where the rule is the same.
    """

    def __init__(self, rules: Rules | None = None, before: "Permits[W] | None" = None) -> None:
        rates = {} if rules is None else rules.rates
        numbers = {} if rules is None else rules.in_flight
        kept = {} if before is None else before.rates
        self.rates: dict[str, RateCap[W]] = {
            key: kept[key] if key in kept and kept[key].rate == rate else RateCap(rate)
            for key, rate in rates.items()
        }
        held = {} if before is None else before.in_flight
        self.in_flight: dict[str, FlightCap[W]] = {
            key: held.get(key) or FlightCap(number) for key, number in numbers.items()
        }
        for key, number in numbers.items():
            self.in_flight[key].allowed = number

    def __bool__(self) -> bool:
        return bool(self.rates or self.in_flight)

    @property
    def all(self) -> Iterable[Cap[W]]:
        """All caps."""
        return (*self.rates.values(), *self.in_flight.values())

    def of(self, name: str) -> tuple[Cap[W], ...]:
        """The caps that apply to a name."""
        if not self:
            return ()
        found = best_match(self.rates, name), best_match(self.in_flight, name)
        return tuple(cap for cap in found if cap is not None)


def drawn(next_at: int | None, now: int, rate: float, wanted: int) -> tuple[int, list[int]]:
    """When the next slot after those that are drawn comes, and the slots that are drawn now.

    All in microseconds; ``next_at`` is what the last one who drew has left, None at first.
    """
    gap = _SECOND / rate
    behind = _BEHIND * _SECOND if gap <= _VERY_CLOSE * _SECOND else 0
    ahead = _AHEAD * _SECOND if gap <= _CLOSE * _SECOND else 0
    # It is later if the rate was lower, or the clock put back.
    latest = now + int(ahead + gap + _LEAD * _SECOND) + 1
    first = max(now - int(behind), now if next_at is None else min(next_at, latest))
    count = min(wanted, int((now + ahead - first) / gap) + 1) if first <= now + ahead else 0
    slots = [first + int(number * gap) for number in range(count)]
    return first + math.ceil(count * gap), slots


def shared(
    held: Mapping[str, Any], now: int, owner: str, allowed: int, wanted: int
) -> tuple[dict[str, Any], int]:
    """Who holds how many until when, once we have taken what we want of them; how many we have.

    ``held`` is by owner: how many, and until when in microseconds.
    """
    others = {
        name: [number, until]
        for name, (number, until) in held.items()
        if name != owner and until > now
    }
    left = max(0, allowed - sum(number for number, _ in others.values()))
    ours = min(left, wanted)
    return {**others, owner: [ours, now + LEASE]} if ours else others, ours
