"""What is drawn for random histories of series, by a seed: the same each time."""

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from duly.message import Message
from duly.recurrence import Cron, Every, Recurrence
from duly.testing.stores.situations import SECOND

IDS: Final = ("a", "b", "\u00e9")
NAMES: Final = ("one", "one", "two")
BY: Final = ("billing", "r\u00e9ports")

_PAYLOADS: Final = (b"", b"", b"\xc1 new", b"\n" * 300)
_METADATA: Final[Sequence[Mapping[str, str]]] = ({}, {}, {"k": "\U0001f600"})
_STEPS_OF_A_GENERATION: Final = 60

_RULES: Final[Sequence[Callable[[datetime], Recurrence]]] = (
    lambda _: Every(5 * SECOND),
    lambda _: Every(7 * SECOND),
    lambda _: Every(5 * SECOND, missed="all"),
    lambda _: Every(7 * SECOND, missed="skip", grace=SECOND),
    lambda _: Every(5 * SECOND, jitter=3 * SECOND),
    lambda now: Every(4 * SECOND, anchor=now.replace(microsecond=0)),
    lambda now: Every(4 * SECOND, anchor=now.replace(minute=0), jitter=3 * SECOND),
    lambda now: Every(4 * SECOND, until=now + 6 * SECOND),
    lambda now: Every(4 * SECOND, anchor=now, until=now),
    lambda _: Cron("*/5 * * * * *"),
    lambda _: Cron("*/20 * * * * *", missed="skip", jitter=9 * SECOND),
)
"""The kinds and their options, given the present moment."""


class SeriesDraws:
    """Draws of one history."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  # keeps no secret
        self._before: dict[str, list[Message]] = {}

    def one_of(self, some: Sequence[Any]) -> Any:
        """Any of these, each as likely as the others."""
        return self._random.choice(some)

    def some_of(self, some: Sequence[Any]) -> Sequence[Any]:
        """Some of these, in any order: none, or all, too."""
        return self._random.sample(some, self._random.randrange(len(some) + 1))

    def weighted(self, weights: Mapping[str, int], number: int) -> Sequence[str]:
        """So many names, by their weights."""
        return self._random.choices([*weights], [*weights.values()], k=number)

    def happens(self, chance: float) -> bool:
        """Whether it does, with a chance from 0 to 1."""
        return self._random.random() < chance

    def below(self, bound: timedelta) -> timedelta:
        """A duration below a bound."""
        return timedelta(microseconds=self._random.randrange(bound // timedelta(microseconds=1)))

    def ids(self, fewest: int) -> Sequence[str]:
        """Some ids, that many at least."""
        return self._random.sample(IDS, self.one_of([fewest, 1, 1, len(IDS)]))

    def generation(self, number: int) -> int:
        """One about that of the present step, of that number."""
        return number // _STEPS_OF_A_GENERATION + self._random.randrange(4)

    def series(self, id: str, now: datetime) -> Message:
        """A series of before, one that differs a little from it, or another."""
        before = self._before.setdefault(id, [])
        old: Message | None = self.one_of(before) if before else None
        if old is not None and self.happens(0.35):
            return old
        drawn: dict[str, Any] = {
            "event_name": self.one_of(NAMES),
            "payload": self.one_of(_PAYLOADS),
            "metadata": self.one_of(_METADATA),
            "recurrence": self.one_of(_RULES)(now),
        }
        if old is not None and self.happens(0.6):
            name = self.one_of([*drawn, "recurrence"])
            drawn = {**{kept: getattr(old, kept) for kept in drawn}, name: drawn[name]}
        before.append(Message(id=id, **drawn))
        return before[-1]
