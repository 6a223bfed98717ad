"""One message's way through its traces, and how one attempt finds the one before."""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context, propagate
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import ParentBased
from opentelemetry.trace import SpanContext, SpanKind, StatusCode
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    delivering,
    down,
    emptied,
    fail,
    lost_answer,
    message,
    messages,
    until,
)
from tests.core.telemetry_kit import Told, context_of, facts, linked, place, traceparent
from tests.core.test_telemetry_sdk import OnlyNamed

import duly
from duly import Envelope, Filter
from duly._values.attempts import with_attempt, without_attempt
from duly.errors import Postpone, StoreUnavailable, TransportError
from duly.record import from_record, to_record
from duly.testing.clock import run_virtually

TRACING = Path(__file__).parents[2] / "docs" / "howto" / "tracing.md"
TREE = re.compile(r"^```text\n(trace 1\n.*?)\n```$", re.MULTILINE | re.DOTALL)
CONTEXT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Drawing:
    """Spans as trees, one for each trace, in the order in which they began."""

    def __init__(self, spans: Sequence[ReadableSpan]) -> None:
        self._spans = sorted(spans, key=lambda span: (span.start_time or 0, -(span.end_time or 0)))
        self._known = {place(span): span for span in spans}

    def lines(self) -> Iterator[str]:
        """The lines of all trees."""
        roots = [span for span in self._spans if span.parent is None]
        for number, root in enumerate(roots, 1):
            yield f"trace {number}"
            yield from self._branch(root, "", last=True)

    def _branch(self, span: ReadableSpan, indent: str, *, last: bool) -> Iterator[str]:
        yield f"{indent}{'└─' if last else '├─'} {self._told(span)}"
        below = [each for each in self._spans if each.parent and _seen(each.parent) == place(span)]
        for each in below:
            ended = each is below[-1]
            yield from self._branch(each, indent + ("   " if last else "│  "), last=ended)

    def _told(self, span: ReadableSpan) -> str:
        notes = [
            f"{key.removeprefix('duly.batch.')} {value}"
            for key, value in facts(span).items()
            if key.startswith("duly.batch.")
        ]
        if span.status.status_code is StatusCode.ERROR:
            notes.append(str(span.status.description))
        told = ": ".join([_name(span), *notes])
        return " → ".join([told, *(_name(self._known[at]) for at in linked(span))])


def _seen(parent: SpanContext) -> tuple[int, int]:
    return parent.trace_id, parent.span_id  # whether it came from afar does not matter


def _name(span: ReadableSpan) -> str:
    attempt = facts(span).get("duly.attempt")
    return f"{span.name} (attempt {attempt})" if attempt else f"{span.name}"


@run_virtually
async def test_the_way_of_a_message_is_drawn_in_the_documents() -> None:
    told, store = Told(), WakingStore()
    failures = iter([TransportError("nobody answers")])

    async def consume(envelope: Envelope) -> None:
        for error in failures:
            raise error
        parent = propagate.extract(envelope.headers, context.Context())
        with told.tracer.start_as_current_span("process order", parent, SpanKind.CONSUMER):
            pass

    async with delivering(store, consume, **told.options) as running:
        with told.tracer.start_as_current_span("POST /orders"):
            await running.schedule(message("orders.reminder", due=3600))
        await emptied(store, within=4000)
    drawn = "\n".join(Drawing(told.spans()).lines())
    (shown,) = TREE.findall(TRACING.read_text())
    assert drawn == shown


class TestOneTrace:
    @run_virtually
    async def test_a_delete_that_rides_on_the_next_claim_is_in_the_trace_of_its_batch(self) -> None:
        told, store = Told(), WakingStore()
        await store.inner.put([duly.store.Group(messages(4))])
        async with delivering(store, Probed(), batch_size=2, **told.options):
            await emptied(store)
        claims, deletes = told.spans("claim"), told.spans("delete")
        assert len(claims) == len(deletes) == 2
        assert any(settle for _, settle in store.settles)
        for claim, delete in zip(claims, deletes, strict=True):
            assert delete.parent == context_of(claim)
        assert context_of(claims[0]).trace_id != context_of(claims[1]).trace_id

    @run_virtually
    async def test_a_sampled_message_has_its_batch_sampled_whole(self) -> None:
        # As a sampler that takes one root in a hundred: it takes this first one, not the next.
        told, store = Told(sampler=ParentBased(OnlyNamed("schedule a"))), WakingStore()
        async with delivering(store, Probed(), **told.options) as running:
            await running.schedule(message("a"))
            await emptied(store)
            await running.schedule(message("b"))
            await emptied(store)
        names = ["schedule a", "claim", "publish a", "publish", "delete"]
        assert [span.name for span in told.spans()] == names
        assert len({context_of(span).trace_id for span in told.spans()[1:]}) == 1

    @run_virtually
    async def test_a_batch_is_sampled_whole_or_not_at_all(self) -> None:
        told, store = Told(sampler=ParentBased(OnlyNamed("publish", "delete"))), WakingStore()
        async with delivering(store, Probed(), **told.options) as running:
            await running.schedule(message("a"))
            await emptied(store)
        assert not told.spans()

    @pytest.mark.parametrize("fault", [down("claim"), lost_answer("claim")], ids=["down", "lost"])
    @run_virtually
    async def test_a_settlement_without_an_answer_is_told_in_its_batch(self, fault: Any) -> None:
        told, store = Told(), WakingStore()

        async def publish(envelope: Envelope) -> None:
            store.faults.append(fault)

        async with delivering(store, publish, **told.options) as running:
            await running.schedule(message("a"))
            await until(lambda: told.spans("delete"))
            store.faults.clear()
            await emptied(store)
            await until(lambda: len(told.spans("delete")) > 1)
        failed, *_ = told.spans("delete")
        assert failed.status.status_code is StatusCode.ERROR
        assert facts(failed)["error.type"] == StoreUnavailable.__name__
        assert facts(failed)["messaging.batch.message_count"] == 1
        (claim,) = [span for span in told.spans("claim") if span.links]
        assert [span.parent for span in told.spans("delete")] == [context_of(claim)] * 2


class TestLastAttempt:
    @run_virtually
    async def test_another_scheduler_links_to_it(self) -> None:
        told, other, store = Told(), Told(), WakingStore()
        async with delivering(store, fail, recovery=_later, **told.options) as running:
            await running.schedule(message("a"))
            await until(lambda: told.spans("delete"))
        async with delivering(store, Probed(), **other.options):
            await emptied(store, within=7200)
        first, second = told.span("publish a"), other.span("publish a")
        assert linked(second) == [place(told.span("schedule a")), place(first)]

    @run_virtually
    async def test_a_person_sees_the_error_alone(self) -> None:
        told, store = Told(), WakingStore()
        async with delivering(store, fail, recovery=_later, **told.options) as running:
            await running.schedule(message("a", id="1"))
            await until(lambda: told.spans("delete"))
            kept = await running.get("1")
            (listed,) = await running.list(Filter(error=str(kept.last_error)))
        assert kept.last_error is not None
        assert "traceparent" not in kept.last_error
        assert kept == listed
        assert kept._last_attempt == traceparent(told.span("publish a"))

    @run_virtually
    async def test_what_is_not_sampled_leaves_nothing(self) -> None:
        told, store = Told(sampler=ParentBased(OnlyNamed())), WakingStore()
        async with delivering(store, fail, recovery=_later, **told.options) as running:
            await running.schedule(message("a", id="1"))
            await until(lambda: any(settle.exceptions for _, settle in store.settles))
            assert (await running.get("1"))._last_attempt is None

    @run_virtually
    async def test_it_stays_the_last_while_a_delivery_is_postponed(self) -> None:
        told, store = Told(), WakingStore()
        errors = iter([TransportError("once"), Postpone(timedelta(seconds=9))])

        async def publish(envelope: Envelope) -> None:
            for error in errors:
                raise error

        async with delivering(store, publish, **told.options) as running:
            await running.schedule(message("a"))
            await emptied(store)
        first, second, third = told.spans("publish a")
        for span in (second, third):
            assert linked(span) == [place(told.span("schedule a")), place(first)]

    @run_virtually
    async def test_a_dead_letter_that_is_replayed_has_none(self) -> None:
        told, store = Told(), WakingStore()
        verdicts = iter([duly.Retry(timedelta(seconds=1)), duly.Bury("no")])
        options = {"recovery": lambda failure: next(verdicts), **told.options}
        async with delivering(store, fail, **options) as running:
            await running.schedule(message("a", id="1"))
            await until(lambda: len(told.spans("delete")) == 2)
        async with delivering(store, Probed(), **told.options) as running:
            await running.replay("1")
            await emptied(store)
        first, second, replayed = told.spans("publish a")
        schedule = place(told.span("schedule a"))
        assert linked(second) == [schedule, place(first)]
        assert linked(replayed) == [schedule]

    @run_virtually
    async def test_the_next_occurrence_has_none(self) -> None:
        told, store = Told(), WakingStore()
        series = duly.Every(timedelta(seconds=60), max_occurrences=2)
        errors = iter([TransportError("once")])

        async def publish(envelope: Envelope) -> None:
            for error in errors:
                raise error

        async with delivering(store, publish, **told.options) as running:
            await running.schedule(message("a", recurrence=series))
            await emptied(store, within=200)
        *_, last = told.spans("publish a")
        assert len(told.spans("publish a")) == 3
        assert linked(last) == [place(told.span("schedule a"))]


def _later(failure: duly.Failure) -> duly.Verdict:
    return duly.Retry(timedelta(hours=1))


class TestText:
    @pytest.mark.parametrize(
        "text", ["", "no", "a\nb", "x" * 955, "x" * 1024, "ö" * 512, "🕰" * 256]
    )
    def test_it_comes_back_and_stays_within_a_kibibyte(self, text: str) -> None:
        kept = with_attempt(text, CONTEXT)
        assert kept is not None
        assert len(kept.encode()) <= 1024
        found, context_of_it = without_attempt(kept)
        assert found is not None
        assert text.startswith(found)
        assert len(text.encode()) - len(found.encode()) <= max(0, len(text.encode()) - 951)
        assert context_of_it == CONTEXT

    @pytest.mark.parametrize("text", [None, "", "x" * 69, f"traceparent: {CONTEXT}"])
    def test_a_text_without_one_is_as_it_was(self, text: str | None) -> None:
        assert without_attempt(text) == (text, None)
        assert with_attempt(text, None) == text

    @pytest.mark.parametrize("odd", ["", "00-1", CONTEXT + "-more"])
    def test_what_is_no_context_is_not_kept(self, odd: str) -> None:
        assert with_attempt("no", odd) == "no"

    def test_a_record_with_one_is_of_the_same_format(self) -> None:
        record = to_record(message())._replace(last_error=with_attempt("no", CONTEXT))
        found = from_record(record, duly.State.SCHEDULED)
        assert (found.last_error, found._last_attempt) == ("no", CONTEXT)
        assert record.format == 1
