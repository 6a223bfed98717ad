"""Who listens: what a sampler lets through, an SDK in trouble, and none at all."""

import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import opentelemetry
import pytest
from opentelemetry import propagate, trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
)
from opentelemetry.trace import NoOpTracerProvider
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    at,
    delivering,
    emptied,
    message,
    scheduler,
)
from tests.core.telemetry_kit import Told, context_of, facts, linked, place, traceparent

from duly import Client
from duly._telemetry import observed as _observed
from duly._telemetry.telemetry import Telemetry
from duly.errors import DuplicateMessage, InvalidArgument
from duly.message import with_changes
from duly.store import Group
from duly.testing.clock import run_virtually


def client(store: Any, told: Told) -> Client:
    return Client(store, load_plugins=False, **told.options)


class OnlyNamed(Sampler):
    """Takes the spans of these names, whatever was decided before."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def should_sample(
        self, parent_context: Any, trace_id: int, name: str, *more: Any, **named: Any
    ) -> SamplingResult:
        taken = name in self._names
        decision = Decision.RECORD_AND_SAMPLE if taken else Decision.DROP
        return SamplingResult(decision, named.get("attributes"))

    def get_description(self) -> str:
        return f"only {self._names}"


class TestSampling:
    @run_virtually
    async def test_what_is_not_sampled_is_told_to_nobody_and_stays_unsampled(self) -> None:
        told, store, transport = Told(sampler=ALWAYS_OFF), WakingStore(), Probed()
        async with delivering(store, transport, **told.options) as running:
            await running.schedule(message("a"))
            await emptied(store)
            await running.schedule(message("a", due=60, id="1"))
            with pytest.raises(DuplicateMessage):
                await running.schedule(message("a", due=61, id="1", created_at=None))
        assert not told.spans()
        header = transport.begun[0][1].headers["traceparent"]
        handed_on = trace.get_current_span(propagate.extract({"traceparent": header}))
        assert handed_on.get_span_context().is_valid
        assert not handed_on.get_span_context().trace_flags.sampled

    @run_virtually
    async def test_only_sampled_messages_have_spans_and_links(self) -> None:
        told, store = Told(sampler=ParentBased(OnlyNamed("schedule a", "claim"))), WakingStore()
        await client(store, told).schedule(message("a"))
        await client(store, told).schedule(message("b"))
        async with delivering(store, Probed(), **told.options):
            await emptied(store)
        assert linked(told.span("claim")) == [place(told.span("schedule a"))]
        assert facts(told.span("claim"))["messaging.batch.message_count"] == 2
        assert told.spans("publish a")
        assert not told.spans("publish b")

    @run_virtually
    async def test_with_spans_alone_a_message_that_is_not_sampled_costs_one_look(self) -> None:
        told, store, made = Told(), WakingStore(), []
        await Client(store, load_plugins=False).schedule_many([message() for _ in range(9)])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_observed, "_ObservedJob", lambda *given: made.append(given))
            async with delivering(store, Probed(), tracer_provider=told.tracers):
                await emptied(store)
        assert told.spans("claim")
        assert not made

    @run_virtually
    async def test_a_sampled_message_is_followed_although_a_new_trace_begins(self) -> None:
        # As a sampler that takes one root in a hundred: it takes this first one, not the next.
        told, store, transport = (
            Told(sampler=ParentBased(OnlyNamed("schedule a"))), WakingStore(), Probed(),
        )  # fmt: skip
        async with delivering(store, transport, **told.options) as running:
            await running.schedule(message("a"))
            await emptied(store)
        schedule, publish = told.spans("schedule a")[0], told.span("publish a")
        assert context_of(publish).trace_id != context_of(schedule).trace_id
        assert linked(publish) == [place(schedule)]
        assert transport.begun[0][1].headers["traceparent"] == traceparent(publish)

    @run_virtually
    async def test_a_sampler_has_the_last_word(self) -> None:
        told, store = Told(sampler=OnlyNamed("schedule a")), WakingStore()
        async with delivering(store, Probed(), **told.options) as running:
            await running.schedule(message("a"))
            await emptied(store)
        assert [span.name for span in told.spans()] == ["schedule a"]

    @run_virtually
    async def test_a_context_that_makes_no_sense_is_none(self) -> None:
        told, store, transport = Told(), WakingStore(), Probed()
        for number, header in enumerate(("", "1", "00-0-0-01", f"00-{'0' * 32}-{'0' * 16}-01")):
            await store.inner.put(
                [
                    Group(
                        [
                            with_changes(
                                message(id=str(number)), trace_context={"traceparent": header}
                            )
                        ]
                    )
                ]
            )
        with told.tracer.start_as_current_span("main"):
            async with delivering(store, transport, **told.options):
                await emptied(store)
        assert len(transport.ended) == 4
        assert not told.span("claim").links
        assert not told.spans("publish event")


class TestTrouble:
    @run_virtually
    async def test_a_span_processor_that_raises_disturbs_nothing(self) -> None:
        told, store, transport = Told(), WakingStore(), Probed()

        class Broken(SpanProcessor):
            def on_start(self, span: Span, parent_context: Any = None) -> None:
                raise RuntimeError("broken")

        await client(store, told).schedule(message("a"))
        told.tracers.add_span_processor(Broken())
        async with delivering(store, transport, max_in_flight=1, **told.options) as running:
            await running.schedule(message("a"))
            await emptied(store)
        assert len(transport.ended) == 2

    @run_virtually
    async def test_one_that_raises_at_the_end_of_a_span_neither(self) -> None:
        told, store, transport = Told(), WakingStore(), Probed()

        class Broken(SpanProcessor):
            def on_end(self, span: ReadableSpan) -> None:
                raise RuntimeError("broken")

        told.tracers.add_span_processor(Broken())
        async with delivering(store, transport, max_in_flight=1, **told.options) as running:
            for _ in range(3):
                await running.schedule(message("a"))
            await emptied(store)
        assert len(transport.ended) == 3
        assert not trace.get_current_span().get_span_context().is_valid

    @run_virtually
    async def test_a_provider_that_raises_neither(self) -> None:
        class Broken:
            def get_tracer(self, *given: Any) -> Any:
                raise RuntimeError("broken")

        store, transport = WakingStore(), Probed()
        async with delivering(store, transport, tracer_provider=Broken()) as running:
            await running.schedule(message("a"))
            await emptied(store)
        assert transport.ended

    def test_what_is_no_provider_is_refused(self) -> None:
        with pytest.raises(InvalidArgument, match="tracer_provider"):
            Client("memory://", tracer_provider="otlp://host")  # type: ignore[arg-type]  # wrong
        with pytest.raises(InvalidArgument, match="meter_provider"):
            Client("memory://", meter_provider=Told().tracers)  # type: ignore[arg-type]  # wrong


ROOMS = ("telemetry.py", "spans.py", "metrics.py", "observed.py")


def what_it_costs(count: int) -> tuple[set[str], set[str], int]:
    """What is called, of OpenTelemetry and of ours, and how often, to deliver so many messages."""
    theirs: set[str] = set()
    ours: set[str] = set()
    calls = 0
    package = str(Path(next(iter(opentelemetry.__path__))))

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        file = frame.f_code.co_filename
        if event != "call" or not (file.startswith(package) or Path(file).name in ROOMS):
            return
        (theirs if file.startswith(package) else ours).add(frame.f_code.co_name)
        calls += 1

    @run_virtually
    async def deliver() -> None:
        store, transport = WakingStore(), Probed()
        running = scheduler(store, transport, batch_size=500)
        sys.setprofile(note)
        try:
            await running.schedule_many([message() for _ in range(count)])
            async with running.running():
                await emptied(store)
        finally:
            sys.setprofile(None)
        assert len(transport.ended) == count

    deliver()
    return theirs, ours, calls


class TestWithoutSDK:
    def test_nothing_is_made(self) -> None:
        assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
        theirs, ours, _ = what_it_costs(10)
        assert theirs == {"get_tracer_provider", "get_meter_provider"}
        assert ours <= {
            "active", "_look", "_meter", "_sdk", "_show", "_is_idle", "guarded", "showing", "watch",
            "__init__",
        }  # fmt: skip

    def test_a_message_costs_nothing(self) -> None:
        few, many = what_it_costs(500)[2], what_it_costs(2000)[2]
        assert 0 < few <= many < few + 50  # a few for each batch

    @run_virtually
    async def test_a_message_scheduled_again_keeps_no_context_of_the_past(self) -> None:
        told, store = Told(), WakingStore()
        await client(store, told).schedule(message(id="1"))
        plain = Client(store, load_plugins=False)
        known = await plain.get("1")
        assert known.trace_context
        await plain.schedule(with_changes(known, created_at=at(1)), replace=True)
        assert not (await plain.get("1")).trace_context

    def test_a_job_is_no_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_observed, "ObservedBatch", None)
        what_it_costs(3)

    @pytest.mark.parametrize("off", [NoOpTracerProvider(), trace.get_tracer_provider()])
    def test_a_provider_of_the_api_is_none(self, off: trace.TracerProvider) -> None:
        assert not Telemetry(off, NoOpMeterProvider()).active

    def test_a_disabled_sdk_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
        told = Told()
        assert not Telemetry(told.tracers, told.meters).active

    def test_off_is_off_whatever_is_set_up_globally(self, monkeypatch: pytest.MonkeyPatch) -> None:
        told = Told()
        monkeypatch.setattr(trace, "get_tracer_provider", lambda: told.tracers)
        assert Telemetry().active
        assert not Telemetry(NoOpTracerProvider()).active

    @pytest.mark.parametrize("given", ["None", "trace.get_tracer_provider()"])
    def test_one_that_is_set_up_before_the_first_use_is_found(self, given: str) -> None:
        code = f"""
import asyncio, duly
from opentelemetry import trace
client = duly.Client("memory://", load_plugins=False, tracer_provider={given})
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
asyncio.run(client.schedule(duly.Message("a", scheduled_at=duly.after(hours=1))))
print([span.name for span in exporter.get_finished_spans()])
"""
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.stdout == "['schedule a']\n", done.stderr

    def test_one_that_is_set_up_later_is_found_within_a_second(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told, telemetry = Told(), Telemetry()
        assert not telemetry.active
        monkeypatch.setattr(trace, "get_tracer_provider", lambda: told.tracers)
        monkeypatch.setattr(
            "duly._telemetry.telemetry.time.monotonic", lambda: time.perf_counter() + 1e9
        )
        assert telemetry.active
