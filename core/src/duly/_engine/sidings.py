"""Which event names the next claim is to leave aside, where the store has sidings for them.

A name is held back from the moment on at which a message of it was claimed and found no place here.
From then on claims bring no more of it than can start and a little more; what is due of it waits
in its siding in the store, so that claims reach what stands behind it. That ends when a claim
brings less of it than was asked for: nothing of it waits any longer.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, Generic

from duly._engine.lane import J, Lane
from duly._values.controls import Rules
from duly._values.limits import Limits
from duly._values.patterns import best_key, is_prefix
from duly.store import PAUSED, Batch

__all__ = ["HeldBack"]

_KEYS: Final = 1000  # that a claim takes
_NAMES: Final = 900  # held back; the rest is for others under prefixes
_PREFIXES: Final = 50
_ANY: Final = 10**6
_IN_VAIN: Final = 3
_PAUSED_FOR: Final = 5.0  # seconds


class HeldBack(Generic[J]):
    """The names that are held back, and how many of each a claim may bring.

    ``wake`` is called when one of them has run low here while more of it stands aside.
    """

    def __init__(self, limits: Limits, batch: int) -> None:
        self._batch = batch  # of a claim
        self.wake: Callable[[], None] = lambda: None
        self.able = False
        """Whether the store has sidings."""
        self.moves = True
        """Whether it moves messages there: an old namespace must be marked for that."""
        self._lanes: dict[str, Lane[J]] = {}
        self._vain = 0  # claims in a row of which nothing has found a place
        self._aside = False  # whether anything stands aside that the last claim kept back
        self._limits, self._rules = limits, Rules({})
        self._paused: dict[str, int] = {}
        self._low = False  # whether a name has run low since the last claim was sent
        self.limit(limits)

    def __len__(self) -> int:
        return len(self._lanes)

    def limit(self, limits: Limits) -> None:
        """Take other limits of the transport than before."""
        self._limits = limits
        self._by_name = {**limits.by_name, **self._rules.rates, **self._rules.in_flight}
        self._patterned = any(map(is_prefix, self._by_name))

    def control(self, rules: Rules) -> None:
        """Take other rules of people than before."""
        self._rules = rules
        self._paused = dict.fromkeys(rules.paused, PAUSED)
        self.limit(self._limits)

    def add(self, lane: Lane[J]) -> None:
        """Hold a name back from now on, as one of its messages found no place here."""
        if self.able and lane.name and len(self._lanes) < _NAMES:
            self._lanes[lane.name] = lane

    def __contains__(self, name: str) -> bool:
        return name in self._lanes

    def __iter__(self) -> Iterator[str]:
        return iter(self._lanes)

    def at_its_place(self, name: str) -> bool:
        """Whether what finds no place here is put back at its own, as the store moves it aside.

        Of a name that no claim speaks of it would be the first to come again, before all others.
        """
        return name in self._lanes and self.moves and self._vain < _IN_VAIN

    @property
    def pause(self) -> float:
        """For how many seconds what is paused is put back: the store moves it aside, or it waits.

        At its place, that is 0, where the store does so.
        """
        return 0.0 if self.able and self.moves else _PAUSED_FOR

    def kept(self, some: bool) -> None:
        """Whether any of what a claim has brought has found a place here."""
        self._vain = 0 if some else self._vain + 1

    def most(self, free: int, spare: int, slow: int, now: float) -> Mapping[str, int]:
        """What the next claim may bring of each: what can start, or some to wait here.

        ``free`` slots there are, and room for ``spare`` more jobs that wait, in ``slow`` lanes.
        """
        self._low = False
        lanes = self._lanes
        if self._paused:
            lanes = {name: lane for name, lane in lanes.items() if not self._is_paused(name)}
        if not lanes:
            return self._paused
        most: dict[str, int] = {}
        by_name: dict[str, int] = {}
        left, count = free + spare, len(lanes)
        quick = {name for name, lane in lanes.items() if lane.is_quick and _is_free(lane)}
        keys = {name: self._key(name) for name in lanes} if self._patterned else {}
        waiting = Counter(keys.get(name) for name, lane in lanes.items() for _ in lane.jobs)
        alike = self._batch // 2 // max(1, len({*keys.values()}))
        share, each = self._batch // 2 // max(count, slow), -(-free // (len(quick) or count))
        prefixes = _PREFIXES - sum(map(is_prefix, self._paused))
        for name, lane in list(lanes.items()):
            key = keys.get(name, name)
            if is_prefix(key) and len(most) >= prefixes:
                key = name
            ahead = max(share, lane.works_off) if share and not lane.stuck(now) else 0
            lane.low = max(1, ahead // 2)
            room = max(ahead, min(each, lane.startable)) - len(lane.jobs)
            number = max(0, min(left, room))
            if quick and name not in quick and free:  # they go first, and give the slots back
                number, lane.low = 0, 1
            if key != name:  # together they get what one would
                number = min(number, max(0, alike + lane.startable - waiting[key]))
                waiting[key] += number
            most[key] = most.get(key, 0) + number
            by_name[name] = number
            if number:
                left -= number
                self._lanes[name] = self._lanes.pop(name)  # the others go first next time
        return self._fit(most, by_name)

    def _fit(self, most: dict[str, int], by_name: dict[str, int]) -> Mapping[str, int]:
        """As many keys as a claim takes, with what is paused; ``by_name`` if not all fit."""
        keys = _KEYS - len(self._paused)
        if stems := tuple(key[:-1] for key in most if is_prefix(key)):
            others = (name for name in self._by_name if name.startswith(stems))
            most |= {name: _ANY for name in others if name not in most}  # not to fall under them
            most = most if len(most) <= keys else by_name
        if not self._paused:
            return most
        some = islice(most.items(), keys)
        return self._paused | {key: each for key, each in some if not self._is_paused(key)}

    def heard(self, most: Mapping[str, int], batch: Batch) -> None:
        """What a claim with that ``most`` has brought."""
        self._aside = batch.aside
        if self._low and batch.aside:  # it ran low when nobody could know that more stood aside
            self.wake()
        if not most:
            return
        brought = Counter(
            best_key(most, claim.message.event_name)
            for claim in batch.claims
            if claim.message.recurrence is None or self._is_paused(claim.message.event_name)
        )
        if batch.moved:
            self.moves = True
        elif any(brought[key] > max(0, number) for key, number in most.items()):
            self.moves = False
        if batch.more:
            return
        for name in [name for name in self._lanes if self._flows(name, most, brought)]:
            self._lanes.pop(name).low = 0

    def ran_low(self, lane: Lane[J]) -> None:
        """Call this when so few of a name are left here that a claim should bring more."""
        lane.low, self._low = 0, True
        if self._aside:
            self.wake()

    def _is_paused(self, name: str) -> bool:
        return bool(self._paused) and self._rules.paused_by(name) is not None

    def _flows(self, name: str, most: Mapping[str, int], brought: Counter[str | None]) -> bool:
        key = best_key(most, name)
        return key is not None and brought[key] < most[key]

    def _key(self, name: str) -> str:
        """The name, or the prefix that has one number for all its names."""
        if not self._patterned or name in self._by_name:
            return name
        return best_key(self._by_name, name) or name


def _is_free(lane: Lane[Any]) -> bool:
    """Whether it runs nothing, and waits for nothing but a slot."""
    return not (lane.running or lane.capped)
