"""Metrics: the instruments of the meter ``duly``, written once for each batch or call."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final
from weakref import WeakKeyDictionary

import attrs
from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation

from duly.errors import StoreError

__all__ = ["Metrics", "Reading", "Source", "metrics_of"]

_NAMES: Final = 1000  # event names that are told apart
_OTHER: Final = "_other"
_READ_LATELY: Final = 300.0  # seconds for which a reader is expected to come back

_COUNTERS: Final = {
    "duly.messages.scheduled": "Messages stored to be published later.",
    "duly.messages.delivered": "Messages published and settled.",
    "duly.messages.failed": "Attempts to publish a message that failed.",
    "duly.messages.cancelled": "Messages cancelled before they were published.",
    "duly.messages.recovered": "Messages claimed again because an earlier claim lapsed.",
    "duly.messages.missed": "Fires of series dropped because they were missed.",
    "duly.messages.buried": "Messages, or occurrences of a series, made dead letters.",
    "duly.messages.rescheduled": "Messages put back for a retry or for their next occurrence.",
    "duly.messages.released": "Messages put back unpublished, with nothing counted.",
    "duly.messages.postponed": "Messages put back because their handler raised Postpone.",
    "duly.messages.moved": "Messages that callers have moved to another moment.",
    "duly.messages.replayed": "Dead letters that callers have scheduled again.",
    "duly.messages.purged": "Dead letters that callers have removed.",
    "duly.duplicates.suspected": "Messages published although a lapsed claim may have done so.",
}
_GAUGES: Final = {
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
    "clock_offset": (
        "duly.clock.offset",
        "s",
        "By how much the store's clock is ahead of this host's.",
    ),
}
_LATENESS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200
)  # fmt: skip
_DURATION: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


@attrs.frozen(kw_only=True)
class Reading:
    """What the gauges show of one store; ages and offsets in seconds."""

    pending: int
    dead: int
    aside: int
    oldest_due_age: float
    clock_offset: float


class Source:
    """One store as one scheduler sees it: written on the event loop, read by the SDK's thread."""

    def __init__(self, store: str) -> None:
        self.attributes = {"duly.store": store}
        self._reading: Reading | None = None
        self._read_at = time.monotonic()

    async def refresh(self, look: Callable[[], Awaitable[Reading]]) -> None:
        """Look again if somebody has been reading; an old reading is dropped, not reported."""
        reading = None
        if time.monotonic() - self._read_at < _READ_LATELY:
            with suppress(StoreError):  # the loop tells of it
                reading = await look()
        self._reading = reading

    def read(self) -> Reading | None:
        """The latest reading."""
        self._read_at = time.monotonic()
        return self._reading


class Metrics:
    """Writes the instruments of one meter."""

    def __init__(self, meter: Meter) -> None:
        self._attributes: dict[str | None, Mapping[str, str]] = {None: {}}
        self._counters = {
            name: meter.create_counter(name, "{message}", description)
            for name, description in _COUNTERS.items()
        }
        self._leases_lost = meter.create_counter(
            "duly.leases.lost", "{lease}", "Claims of batches that lapsed before they were settled."
        )
        self._lateness = meter.create_histogram(
            "duly.delivery.lateness",
            "s",
            "Published minus scheduled, of at most 16 messages of each settlement.",
            explicit_bucket_boundaries_advisory=_LATENESS,
        )
        self._duration = meter.create_histogram(
            "duly.batch.duration",
            "s",
            "From the claim of a batch to its last settlement.",
            explicit_bucket_boundaries_advisory=_DURATION,
        )
        self.sources: set[Source] = set()
        for field, (name, unit, description) in _GAUGES.items():
            meter.create_observable_gauge(name, [self._observer(field)], unit, description)

    def count(self, counter: str, names: Iterable[str | None] | Mapping[str | None, int]) -> None:
        """Add to a counter by event name: one for each name given, or as many as a mapping says.

        None is an unknown event name.
        """
        for name, number in Counter(names).items():
            self._counters[counter].add(number, self._by(name))

    def lease_lost(self) -> None:
        """A batch was lost to its lapse."""
        self._leases_lost.add(1)

    def late(self, name: str, seconds: float) -> None:
        """A message of that event name was published so late."""
        self._lateness.record(seconds, self._by(name))

    def took(self, seconds: float) -> None:
        """A batch took so long."""
        self._duration.record(seconds)

    def _by(self, name: str | None) -> Mapping[str, str]:
        found = self._attributes.get(name)
        if found is None:
            if len(self._attributes) > _NAMES:
                name = _OTHER
            found = {"messaging.destination.name": str(name)}
            self._attributes[name] = found
        return found

    def _observer(self, field: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            read = [(source.attributes, source.read()) for source in tuple(self.sources)]
            return [Observation(getattr(each, field), by) for by, each in read if each is not None]

        return observe


# One for all clients in the process: an SDK takes the callbacks of a gauge only once.
_metrics: Final[WeakKeyDictionary[MeterProvider, Metrics]] = WeakKeyDictionary()


def metrics_of(provider: MeterProvider, meter: Meter) -> Metrics:
    """The instruments of a provider's meter, made when first asked for."""
    found = _metrics.get(provider)
    if found is None:
        found = _metrics[provider] = Metrics(meter)
    return found
