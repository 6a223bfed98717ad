"""What is told to OpenTelemetry: spans and metrics, and nothing at all while there is no SDK.

Whether somebody listens is asked once for each call or batch, by :attr:`Telemetry.active`; what is
then made is in the other files of this wing.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from types import TracebackType
from typing import Final, Self, TypeVar

from opentelemetry import context, metrics, trace

from duly._telemetry.gauges import Reading, Source
from duly._telemetry.metrics import Metrics, instruments_of
from duly._telemetry.observed import ObservedBatch
from duly._telemetry.spans import Spans, carrier_of, fail, harmless
from duly._telemetry.times import StoreClock, since_1970
from duly.errors import InvalidArgument
from duly.message import Message, with_changes
from duly.store import Claim, Group

__all__ = ["Scheduling", "Telemetry"]

_LOOK_AGAIN: Final = 1.0  # seconds between two looks for an SDK
_REFRESH: Final = 15.0  # seconds between two readings of the gauges

T = TypeVar("T")


class Telemetry:
    """What one client or scheduler tells; ``store`` is what to call its store, without secrets.

    If a provider is None, the global one is used, looked for until there is one. Metrics go to the
    meter providers ``beside`` as well. ``names`` are the event names, or patterns, that metrics
    tell apart; None: all.

    Raises:
        InvalidArgument: a provider that is none.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        *,
        store: str = "",
        names: frozenset[str] | None = None,
        beside: Sequence[metrics.MeterProvider] = (),
    ) -> None:
        for name, given, verb in (
            ("tracer_provider", tracer_provider, "get_tracer"),
            ("meter_provider", meter_provider, "get_meter"),
        ):
            if given is not None and not callable(getattr(given, verb, None)):
                raise InvalidArgument(f"{name} has no {verb}(): {type(given).__name__}")
        self._tracer_provider = tracer_provider
        self._meter_provider = meter_provider
        self.store = store
        self._names = names
        self._beside = beside
        self._spans: Spans | None = None
        self._metrics: Metrics | None = None
        self._shown: list[Source] = []
        self._metered = False  # whether the provider is found that is not beside
        self._look_at = -math.inf  # monotonic time

    @property
    def active(self) -> bool:
        """Whether anybody listens."""
        if (self._spans is None or not self._metered) and time.monotonic() >= self._look_at:
            self._look()
        return self._spans is not None or self._metrics is not None

    def scheduling(self, groups: Sequence[Group]) -> "Scheduling":
        """A context to enter around the call that stores these groups."""
        return Scheduling(self._spans, self._metrics, groups)

    @harmless
    def count(self, counter: str, names: Iterable[str | None]) -> None:
        """Add to ``duly.messages.<counter>``, one for each event name; None: not known."""
        if self.active and self._metrics is not None:
            self._metrics.count(f"duly.messages.{counter}", names)

    @harmless
    def claimed(
        self, claims: Sequence[Claim], sent: float, clock: StoreClock, *, one_by_one: bool
    ) -> ObservedBatch:
        """A batch to report on; see :class:`ObservedBatch` for the arguments."""
        return ObservedBatch(self._spans, self._metrics, claims, sent, clock, one_by_one=one_by_one)

    @harmless
    def unclaimed(self, error: BaseException, sent: float) -> None:
        """A claim that was sent at ``sent``, in loop time, has failed."""
        if self.active and self._spans is not None and isinstance(error, Exception):
            self._spans.batch("claim", (), (), since_1970(sent), error=error)

    @harmless
    def renew_failed(self) -> None:
        """A try to renew all leases has failed."""
        if self.active and self._metrics is not None:
            self._metrics.renew_failed()

    @harmless
    def outage(self, of: str) -> None:
        """Called when the store, or the transport, is found away and was not before."""
        if self.active and self._metrics is not None:
            self._metrics.outage(of)

    @contextmanager
    def showing(self, source: Source) -> Iterator[None]:
        """The gauges tell of a source within the block."""
        self._shown.append(source)
        self._show()
        try:
            yield
        finally:
            self._shown.remove(source)
            for each in self._metrics.several if self._metrics is not None else ():
                each.gauges.sources.discard(source)

    async def watch(self, source: Source, look: Callable[[], Awaitable[Reading]]) -> None:
        """Keep a source fresh for ever, by asking the store while somebody reads the gauges."""
        while True:
            if self.active and self._metrics is not None:
                await source.refresh(look)
            await asyncio.sleep(_REFRESH)

    @harmless
    def _show(self) -> None:
        if self.active and self._metrics is not None:
            self._metrics.show(self._shown)

    @harmless
    def _look(self) -> None:
        self._look_at = time.monotonic() + _LOOK_AGAIN
        if self._spans is None:
            tracers = _sdk(
                self._tracer_provider, trace.get_tracer_provider, trace.NoOpTracerProvider
            )
            tracer = None if tracers is None else tracers.get_tracer("duly", version("duly"))
            if tracer is not None and not _is_idle(tracer):
                self._spans = Spans(tracer)
        if not self._metered:
            found = _sdk(
                self._meter_provider, metrics.get_meter_provider, metrics.NoOpMeterProvider
            )
            self._metered = found is not None
            if self._metered or self._metrics is None:
                self._meter([*([] if found is None else [found]), *self._beside])

    def _meter(self, providers: Sequence[metrics.MeterProvider]) -> None:
        """Write to these from now on, those that are on."""
        several = []
        for provider in dict.fromkeys(providers):
            meter = provider.get_meter("duly", version("duly"))
            if not _is_idle(meter):
                several.append(instruments_of(provider, meter))
        if several:
            self._metrics = Metrics(several, self.store, self._names)
            self._metrics.show(self._shown)


class Scheduling:
    """One call that stores groups of messages, with its span as the current one inside.

    ``groups`` are those to store: the given ones, with the context of the span added to each
    message.
    """

    def __init__(
        self, spans: Spans | None, metrics: Metrics | None, groups: Sequence[Group]
    ) -> None:
        self.groups = groups
        self._spans = spans
        self._metrics = metrics
        self._span: trace.Span | None = None

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._span is not None:
            self._close(self._span, error)

    @harmless
    def stored(self, outcomes: Sequence[Exception | None]) -> None:
        """Take the store's answer, one outcome for each group."""
        if self._metrics is not None:
            done = zip(self.groups, outcomes, strict=True)
            names = (each.event_name for group, no in done if no is None for each in group.messages)
            self._metrics.count("duly.messages.scheduled", names)
        refused = [outcome for outcome in outcomes if outcome is not None]
        if self._span is not None and refused:
            fail(self._span, refused[0])

    @harmless
    def _open(self) -> None:
        if self._spans is None:
            return
        span = self._spans.schedule([each for group in self.groups for each in group.messages])
        carrier = carrier_of(span)

        def traced(message: Message) -> Message:
            return with_changes(message, trace_context=carrier)

        self.groups = [Group([*map(traced, each.messages)], each.replace) for each in self.groups]
        self._token = context.attach(trace.set_span_in_context(span))
        self._span = span

    @harmless
    def _close(self, span: trace.Span, error: BaseException | None) -> None:
        context.detach(self._token)
        if isinstance(error, Exception):
            fail(span, error)
        span.end()


def _sdk(given: T | None, found: Callable[[], T], off: type) -> T | None:
    """The provider to use: the one given, else the global one; None while there is none."""
    if given is None or (_is_idle(given) and not isinstance(given, off)):
        given = found()
    return None if _is_idle(given) else given


def _is_idle(what: object) -> bool:
    """Whether it is the API's own, which does nothing or stands for an SDK not there yet."""
    return type(what).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))
