"""Metrics: the instruments of the meter ``duly``, written once for each batch or call."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from weakref import WeakKeyDictionary

from opentelemetry.metrics import Meter, MeterProvider

from duly._telemetry.gauges import Gauges, Source
from duly._values.patterns import best_key

__all__ = ["Instruments", "Metrics", "instruments_of"]

_NAMES: Final = 1000  # event names that are told apart
_OTHER: Final = "_other"
_SEVERAL: Final = "_several"
_UNKNOWN: Final = "_unknown"

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
_LATENESS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200
)  # fmt: skip
_DURATION: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Instruments:
    """What one meter has, for all clients that write to it."""

    def __init__(self, meter: Meter) -> None:
        self.counters = {
            name: meter.create_counter(name, "{message}", description)
            for name, description in _COUNTERS.items()
        }
        self.leases_lost = meter.create_counter(
            "duly.leases.lost", "{lease}", "Claims of batches that lapsed before they were settled."
        )
        self.renew_failures = meter.create_counter(
            "duly.leases.renew_failures", "{failure}", "Tries to renew leases that failed."
        )
        self.outages = meter.create_counter(
            "duly.outages", "{outage}", "Times that the store or the transport was found away."
        )
        self.lateness = meter.create_histogram(
            "duly.delivery.lateness",
            "s",
            "Published minus scheduled, of at most 16 messages of each settlement.",
            explicit_bucket_boundaries_advisory=_LATENESS,
        )
        self.duration = meter.create_histogram(
            "duly.batch.duration",
            "s",
            "From the claim of a batch to its last settlement.",
            explicit_bucket_boundaries_advisory=_DURATION,
        )
        self.gauges = Gauges(meter)
        self._labels: dict[tuple[str, frozenset[str] | None], Labels] = {}

    def labels(self, store: str, names: frozenset[str] | None) -> "Labels":
        """The labels of a store, the same for all its clients, so that names are counted once."""
        return self._labels.setdefault((store, names), Labels(store, names))


class Labels:
    """The attributes of what is told of one store, by event name.

    ``names``, if given, are the event names that are told apart, or patterns such as ``orders.*``.
    """

    def __init__(self, store: str, names: Iterable[str] | None = None) -> None:
        self.store = {"duly.store": store}
        self._names = None if names is None else dict.fromkeys(names)
        self._found: dict[str, Mapping[str, str]] = {}

    def of(self, name: str) -> Mapping[str, str]:
        """The attributes of an event name; of too many, and of others than ``names``, the same."""
        found = self._found.get(name)
        if found is None:
            told = self._names is None or best_key(self._names, name) is not None
            if not told or len(self._found) >= _NAMES:
                return self.instead(_OTHER)
            found = self._found[name] = self.instead(name)
        return found

    def instead(self, name: str) -> Mapping[str, str]:
        """The attributes of what stands for an event name."""
        return {**self.store, "messaging.destination.name": name}


class Metrics:
    """Writes the metrics of one client, to each of the meters that are there."""

    def __init__(
        self, several: Sequence[Instruments], store: str, names: frozenset[str] | None
    ) -> None:
        self.several = several
        self._labels = several[0].labels(store, names)

    def show(self, sources: Sequence[Source]) -> None:
        """Gauges tell of these; what is counted of schedulers begins at 0, so that 1 is seen."""
        for each in self.several if sources else ():
            each.gauges.sources.update(sources)
            each.renew_failures.add(0, self._labels.store)
            for of in ("store", "transport"):
                each.outages.add(0, {**self._labels.store, "duly.outage.of": of})

    def count(self, counter: str, names: Iterable[str | None] | Mapping[str | None, int]) -> None:
        """Add to a counter by event name: one for each name given, or as many as a mapping says.

        None is an unknown event name.
        """
        for name, number in Counter(names).items():
            labels = self._labels
            attributes = labels.instead(_UNKNOWN) if name is None else labels.of(name)
            for each in self.several:
                each.counters[counter].add(number, attributes)

    def lease_lost(self, names: Iterable[str]) -> None:
        """A batch of messages of these event names was lost to its lapse."""
        told, labels = {*names}, self._labels
        attributes = labels.of(told.pop()) if len(told) == 1 else labels.instead(_SEVERAL)
        for each in self.several:
            each.leases_lost.add(1, attributes)

    def renew_failed(self) -> None:
        """A try to renew all leases has failed."""
        for each in self.several:
            each.renew_failures.add(1, self._labels.store)

    def outage(self, of: str) -> None:
        """The store, or the transport, was found away."""
        for each in self.several:
            each.outages.add(1, {**self._labels.store, "duly.outage.of": of})

    def late(self, name: str, seconds: float) -> None:
        """A message of that event name was published so late."""
        for each in self.several:
            each.lateness.record(seconds, self._labels.of(name))

    def took(self, seconds: float) -> None:
        """A batch took so long."""
        for each in self.several:
            each.duration.record(seconds, self._labels.store)


# One for all clients in the process: an SDK takes the callbacks of a gauge only once.
_instruments: Final[WeakKeyDictionary[MeterProvider, Instruments]] = WeakKeyDictionary()


def instruments_of(provider: MeterProvider, meter: Meter) -> Instruments:
    """The instruments of a provider's meter, made when first asked for."""
    found = _instruments.get(provider)
    if found is None:
        found = _instruments[provider] = Instruments(meter)
    return found
