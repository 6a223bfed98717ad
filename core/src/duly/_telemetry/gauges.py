"""Gauges: how things stand, shown when an SDK asks, from what was read last."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import attrs
from opentelemetry.metrics import CallbackOptions, Meter, Observation

from duly.errors import StoreError

__all__ = ["Gauges", "Here", "Reading", "Source"]

_READ_LATELY: Final = 300.0  # seconds for which a reader is expected to come back

# By the field of a reading, or of what is known here: name, unit, what it tells, and what to show
# of several schedulers of a process that deliver from one store.
_OF_THE_STORE: Final = {
    "pending": ("duly.messages.pending", "{message}", "Messages stored and not delivered yet."),
    "dead": ("duly.messages.dead", "{message}", "Dead letters."),
    "aside": (
        "duly.messages.aside",
        "{message}",
        "Messages of slow or limited names that stand aside, so that others are not held up.",
    ),
    "oldest_due_age": (
        "duly.messages.oldest_due_age",
        "s",
        "For how long the message that waits longest has been due; 0 when none is.",
    ),
    "oldest_undelivered_age": (
        "duly.messages.oldest_undelivered_age",
        "s",
        "For how long the oldest undelivered message is due by its schedule, retried or not.",
    ),
    "clock_offset": (
        "duly.clock.offset",
        "s",
        "By how much the store's clock is ahead of this host's.",
    ),
}
_HERE: Final[Mapping[str, tuple[str, str, str, Callable[[Iterable[float]], float]]]] = {
    "store_up": ("duly.store.up", "", "1 while the store answers, else 0.", min),
    "transport_up": ("duly.transport.up", "", "1 while the transport is there, else 0.", min),
    "slots_used": ("duly.slots.used", "{slot}", "Publishes in flight.", sum),
    "slots_limit": ("duly.slots.limit", "{slot}", "Publishes in flight at most.", sum),
    "turn_age": (
        "duly.loop.turn_age",
        "s",
        "For how long the loop that claims and settles has not turned.",
        max,
    ),
}


@attrs.frozen(kw_only=True)
class Reading:
    """What the gauges show of one store; ages and offsets in seconds. ``stored`` is by phase."""

    pending: int
    dead: int
    aside: int
    oldest_due_age: float
    oldest_undelivered_age: float
    clock_offset: float
    stored: Mapping[str, int]


@attrs.frozen(kw_only=True)
class Here:
    """What a scheduler knows without asking anybody; None: there is nothing to tell yet."""

    store_up: bool
    transport_up: bool
    slots_used: int
    slots_limit: int
    turn_age: float | None


class Source:
    """One store as one scheduler sees it: written on the event loop, read by the SDK's thread."""

    def __init__(self, store: str, here: Callable[[], Here]) -> None:
        self.attributes = {"duly.store": store}
        self.here = here
        self.reading: Reading | None = None
        """What the store has told last."""
        self._told_at = 0.0
        self._read_at = time.monotonic()

    async def refresh(self, look: Callable[[], Awaitable[Reading]]) -> None:
        """Look again if somebody has been reading; while the store is away the last one stays."""
        if time.monotonic() - self._read_at < _READ_LATELY:
            with suppress(StoreError):  # the loop tells of it
                self.reading = await look()
                self._told_at = time.monotonic()

    def read(self) -> Reading | None:
        """The latest reading, and a sign that somebody reads."""
        self._read_at = time.monotonic()
        return self.reading

    def age(self) -> float:
        """How old the latest reading is, in seconds."""
        return time.monotonic() - self._told_at


class Gauges:
    """The gauges of one meter; ``sources`` are the schedulers that they tell of."""

    def __init__(self, meter: Meter) -> None:
        self.sources: set[Source] = set()
        for field, (name, unit, description) in _OF_THE_STORE.items():
            meter.create_observable_gauge(name, [self._of_the_store(field)], unit, description)
        for field, (name, unit, description, of_several) in _HERE.items():
            shown = self._here(field, of_several)
            meter.create_observable_gauge(name, [shown], unit, description)
        meter.create_observable_gauge(
            "duly.messages.stored",
            [self._stored],
            "{message}",
            "Messages in the store by phase; of those due or retrying at least so many.",
        )
        meter.create_observable_gauge(
            "duly.reading.age",
            [self._ages],
            "s",
            "How old the figures are that the store was asked for.",
        )

    def _latest(self) -> Sequence[tuple[Source, Reading]]:
        """Of each store the latest reading of any scheduler."""
        latest: dict[str, tuple[Source, Reading]] = {}
        for source in tuple(self.sources):
            reading, store = source.read(), source.attributes["duly.store"]
            if reading is not None and (
                store not in latest or source.age() < latest[store][0].age()
            ):
                latest[store] = source, reading
        return list(latest.values())

    def _of_the_store(self, field: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            return [
                Observation(getattr(reading, field), source.attributes)
                for source, reading in self._latest()
            ]

        return observe

    def _stored(self, _options: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(number, {**source.attributes, "duly.phase": phase})
            for source, reading in self._latest()
            for phase, number in reading.stored.items()
        ]

    def _ages(self, _options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(source.age(), source.attributes) for source, _ in self._latest()]

    def _here(
        self, field: str, of_several: Callable[[Iterable[float]], float]
    ) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            values: dict[str, list[float]] = {}
            for source in tuple(self.sources):
                value = getattr(source.here(), field)
                if value is not None:
                    values.setdefault(source.attributes["duly.store"], []).append(value)
            return [
                Observation(of_several(each), {"duly.store": store})
                for store, each in values.items()
            ]

        return observe
