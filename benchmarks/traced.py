"""What OpenTelemetry costs a drain: nothing, metrics, spans of some, spans of all."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from benchmarks import load
from benchmarks.grounds import Ground
from benchmarks.section import Section, in_turn

__all__ = ["traced"]

_BATCH = 500


async def traced(ground: Ground, count: int, rounds: int) -> Section:
    """A drain with the SDK and its in-memory exporters."""
    section = Section(
        "Telemetry",
        f"Drain from {ground.name}, batch {_BATCH}, with OpenTelemetry's SDK and in-memory "
        "exporters. Sampled spans are mostly the SDK's own time.",
        ["what is on", "messages/s", "more, us a message"],
    )
    ways = {
        "nothing": (None, False),
        "metrics": (None, True),
        "spans, 0 % sampled": (0.0, False),
        "both, 1 % sampled": (0.01, True),
        "both, all sampled": (1.0, True),
    }
    found = await in_turn(
        {name: partial(_drain, ground, count, *way) for name, way in ways.items()}, rounds
    )
    without = found["nothing"].median
    for name, figure in found.items():
        more = 1e6 / figure.median - 1e6 / without
        section.add(name, figure, f"{more:.1f}", way=name, rate=figure.values)
    return section


async def _drain(ground: Ground, count: int, sampled: float | None, metrics: bool) -> float:
    async with ground.fresh() as url:
        return await load.drain(url, count, _BATCH, **_providers(sampled, metrics=metrics))


def _providers(sampled: float | None, *, metrics: bool) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    if sampled is not None:
        found["tracer_provider"] = TracerProvider(sampler=ParentBased(TraceIdRatioBased(sampled)))
        found["tracer_provider"].add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    if metrics:
        found["meter_provider"] = MeterProvider([InMemoryMetricReader()])
    return found
