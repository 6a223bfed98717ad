"""What the telemetry tests share: the real SDK, with exporters that keep all in memory."""

from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Sampler
from opentelemetry.trace import SpanContext

EVENT = "messaging.destination.name"
Place = tuple[int, int]
"""The ids of a trace and of a span in it."""


class Told:
    """An SDK of its own for one client: ``Client(store, **told.options)``."""

    def __init__(self, *, sampler: Sampler = DEFAULT_ON) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.tracer = self.tracers.get_tracer("application")

    @property
    def options(self) -> dict[str, Any]:
        """What to give to a client."""
        return {"tracer_provider": self.tracers, "meter_provider": self.meters}

    def spans(self, name: str | None = None) -> list[ReadableSpan]:
        """The spans of that name that have ended, or all, in that order."""
        done = self.exporter.get_finished_spans()
        return [span for span in done if name is None or span.name == name]

    def span(self, name: str) -> ReadableSpan:
        """The only span of that name."""
        (span,) = self.spans(name)
        return span

    def metrics(self) -> dict[str, Any]:
        """All metrics that have a value, by name."""
        data = self.reader.get_metrics_data()
        return {
            metric.name: metric
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def points(self, name: str) -> Sequence[Any]:
        """The data points of a metric; none while it has no value."""
        found = self.metrics().get(name)
        return () if found is None else found.data.data_points

    def counts(self, name: str) -> dict[Any, Any]:
        """The values of a metric by event name; None where there is none."""
        return {point.attributes.get(EVENT): point.value for point in self.points(name)}


def context_of(span: ReadableSpan) -> SpanContext:
    """The context of a span, which every finished one has."""
    assert span.context is not None
    return span.context


def facts(span: ReadableSpan) -> dict[str, Any]:
    """The attributes of a span."""
    return dict(span.attributes or {})


def place(span: ReadableSpan) -> Place:
    """Which span it is."""
    context = context_of(span)
    return context.trace_id, context.span_id


def linked(span: ReadableSpan) -> list[Place]:
    """What a span is linked to, in order."""
    return [(link.context.trace_id, link.context.span_id) for link in span.links]


def traceparent(span: ReadableSpan) -> str:
    """The context of a span as the W3C header has it."""
    context = context_of(span)
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
