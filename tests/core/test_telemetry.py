"""Spans: what they are called, what they are linked to, and how a trace is followed."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.trace import SpanKind, StatusCode
from tests.core.engine_kit import (
    ManyProbed,
    Probed,
    WakingStore,
    delivering,
    down,
    emptied,
    fail,
    message,
    messages,
    now,
    scheduler,
    until,
)
from tests.core.telemetry_kit import Told, context_of, facts, linked, place, traceparent

import duly
from duly import Client, Envelope, Every, LocalTransport
from duly.errors import (
    DuplicateMessage,
    PartlyScheduled,
    Postpone,
    StoreUnavailable,
    TransportError,
)
from duly.testing.clock import run_virtually

MESSAGING = {"messaging.system": "duly"}


def client(store: Any, told: Told) -> Client:
    return Client(store, load_plugins=False, **told.options)


def operation(name: str, kind: str) -> dict[str, str]:
    """The attributes that all spans of an operation have."""
    return {**MESSAGING, "messaging.operation.name": name, "messaging.operation.type": kind}


class TestSchedule:
    @run_virtually
    async def test_its_span_is_a_producer_within_the_callers(self) -> None:
        told, store = Told(), WakingStore()
        with told.tracer.start_as_current_span("request") as request:
            await client(store, told).schedule(message("orders.reminder", id="1"))
            assert trace.get_current_span() is request
        span = told.span("schedule orders.reminder")
        assert span.kind is SpanKind.PRODUCER
        assert span.parent == request.get_span_context()
        assert span.status.status_code is StatusCode.UNSET
        assert facts(span) == {
            **operation("schedule", "send"),
            "messaging.destination.name": "orders.reminder",
            "messaging.message.id": "1",
        }
        assert span.instrumentation_scope is not None
        assert span.instrumentation_scope.name == "duly"

    @run_virtually
    async def test_its_context_is_kept_beside_the_message_without_baggage(self) -> None:
        told, store = Told(), WakingStore()
        given = message("orders.reminder", id="1", metadata={"tenant": "blue"})
        token = context.attach(baggage.set_baggage("user", "alice"))
        await client(store, told).schedule(given)
        context.detach(token)
        stored = await store.inner.get("1")
        assert stored is not None
        span = told.span("schedule orders.reminder")
        assert stored.trace_context == {"traceparent": traceparent(span)}
        assert stored.metadata == {"tenant": "blue"}
        assert given.trace_context == {}

    @run_virtually
    async def test_many_share_one_span_and_its_context(self) -> None:
        told, store = Told(), WakingStore()
        await client(store, told).schedule_many(messages(3, "a"))
        span = told.span("schedule a")
        assert span.kind is SpanKind.PRODUCER
        assert facts(span) == {
            **operation("schedule", "send"),
            "messaging.destination.name": "a",
            "messaging.batch.message_count": 3,
        }
        assert {each.trace_context["traceparent"] for each in await store.list(duly.Filter())} == {
            traceparent(span)
        }

    @run_virtually
    async def test_many_of_several_names_name_none(self) -> None:
        told = Told()
        await client(WakingStore(), told).schedule_many([*messages(2, "a"), *messages(1, "b")])
        span = told.span("schedule")
        assert facts(span) == {**operation("schedule", "send"), "messaging.batch.message_count": 3}

    @run_virtually
    async def test_a_message_that_had_a_context_gets_a_new_one(self) -> None:
        told, store = Told(), WakingStore()
        first = client(store, told)
        await first.schedule(message("a", id="1"))
        known = await first.get("1")
        await first.cancel("1")
        await first.schedule(known)
        spans = told.spans("schedule a")
        stored = await first.get("1")
        assert stored.trace_context["traceparent"] == traceparent(spans[1])

    @run_virtually
    async def test_a_refusal_is_an_error(self) -> None:
        told, store = Told(), WakingStore()
        await client(store, told).schedule(message("a", id="1", created_at=None))
        told.exporter.clear()
        with pytest.raises(DuplicateMessage):
            await client(store, told).schedule(message("a", id="1", payload=b"other"))
        span = told.span("schedule a")
        assert span.status.status_code is StatusCode.ERROR
        assert facts(span)["error.type"] == "DuplicateMessage"

    @run_virtually
    async def test_one_refusal_of_many_is_told_by_the_span_of_its_chunk(self) -> None:
        told, store = Told(), WakingStore()
        await client(store, told).schedule(message("a", id="a-1", created_at=None))
        told.exporter.clear()
        with pytest.raises(PartlyScheduled):
            await client(store, told).schedule_many(messages(501, "a"), atomic=False)
        one, other = told.spans("schedule a")
        assert facts(one)["messaging.batch.message_count"] == 500
        assert facts(one)["error.type"] == "DuplicateMessage"
        assert facts(other)["messaging.message.id"] == "a-500"
        assert other.status.status_code is StatusCode.UNSET

    @run_virtually
    async def test_an_error_is_told_without_secrets(self) -> None:
        told, store = Told(), WakingStore()
        error = StoreUnavailable("cannot reach redis://user:hunter2@host/0")
        store.faults.append(down("put", error=error))
        with pytest.raises(StoreUnavailable, match="hunter2"):
            await client(store, told).schedule(message("a"))
        span = told.span("schedule a")
        text = "StoreUnavailable: cannot reach redis://user:***@host/0"
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, text)
        assert [(event.name, dict(event.attributes or {})) for event in span.events] == [
            (
                "exception",
                {"exception.type": "duly.errors.StoreUnavailable", "exception.message": text},
            )
        ]
        assert "hunter2" not in span.to_json()


class TestTrace:
    @run_virtually
    async def test_it_is_followed_from_schedule_to_a_consumer(self) -> None:
        told, store = Told(), WakingStore()

        async def consume(envelope: Envelope) -> None:
            ctx = propagate.extract(envelope.headers, context.Context())
            with told.tracer.start_as_current_span("consume", ctx, SpanKind.CONSUMER):
                pass

        given = message("a", due=3600, id="1")
        async with delivering(store, consume, **told.options) as running:
            await running.schedule(given)
            await asyncio.sleep(3600)
            await emptied(store)
        schedule, publish, consumed = map(told.span, ("schedule a", "publish a", "consume"))
        # An hour's rest does not stretch a trace: a new one begins, linked to the first.
        assert publish.parent == context_of(told.span("publish"))
        assert context_of(publish).trace_id != context_of(schedule).trace_id
        assert linked(publish) == [place(schedule)]
        assert publish.kind is SpanKind.PRODUCER
        assert facts(publish) == {
            **operation("publish", "send"),
            "messaging.destination.name": "a",
            "messaging.message.id": "1",
            "duly.delivery_id": given.delivery_id,
            "duly.occurrence": 0,
            "duly.attempt": 1,
        }
        assert consumed.parent is not None
        assert (consumed.parent.trace_id, consumed.parent.span_id) == place(publish)

    @run_virtually
    async def test_a_handler_works_within_the_span_of_its_message(self) -> None:
        told, store, local = Told(), WakingStore(), LocalTransport()
        seen: dict[str, trace.SpanContext] = {}

        @local.on("async")
        async def note(envelope: Envelope) -> None:
            await asyncio.sleep(0)
            seen["async"] = trace.get_current_span().get_span_context()

        @local.on("plain")
        def note_in_thread(envelope: Envelope) -> None:
            seen["plain"] = trace.get_current_span().get_span_context()

        async with delivering(store, local, **told.options) as running:
            await running.schedule(message("async"))
            await running.schedule(message("plain"))
            await emptied(store)
        for name, found in seen.items():
            assert found == context_of(told.span(f"publish {name}"))
        assert len(seen) == 2

    @run_virtually
    async def test_nothing_of_it_is_left_for_the_next_message_of_the_worker(self) -> None:
        told, store = Told(), WakingStore()
        current: list[tuple[str, bool]] = []

        async def note(envelope: Envelope) -> None:
            valid = trace.get_current_span().get_span_context().is_valid
            current.append((envelope.event_name, valid))
            raise TransportError("once more")

        await client(store, told).schedule(message("traced"))
        await Client(store, load_plugins=False).schedule(message("plain"))
        async with delivering(store, note, max_in_flight=1, **told.options):
            await until(lambda: len(current) >= 6)
        assert set(current) == {("traced", True), ("plain", False)}

    @run_virtually
    async def test_nor_what_its_handler_has_left_behind(self) -> None:
        told, store = Told(), WakingStore()
        current: dict[str, bool] = {}

        async def careless(envelope: Envelope) -> None:
            current[envelope.event_name] = trace.get_current_span().get_span_context().is_valid
            context.attach(trace.set_span_in_context(told.tracer.start_span("forgotten")))

        await client(store, told).schedule(message("traced"))
        await Client(store, load_plugins=False).schedule(message("plain"))
        async with delivering(store, careless, max_in_flight=1, **told.options):
            await emptied(store)
        assert current == {"traced": True, "plain": False}

    @run_virtually
    async def test_where_the_scheduler_was_started_does_not_matter(self) -> None:
        told, store = Told(), WakingStore()
        with told.tracer.start_as_current_span("main"):
            async with delivering(store, Probed(), **told.options):
                await client(store, told).schedule(message("a"))
                await emptied(store)
        claim = told.span("claim")
        assert claim.parent is None
        for name in ("publish a", "publish", "delete"):
            assert context_of(told.span(name)).trace_id == context_of(claim).trace_id

    @run_virtually
    async def test_each_attempt_has_a_span_and_a_trace(self) -> None:
        told, store = Told(), WakingStore()
        failures = iter([TransportError("at nats://me:hunter2@host")])
        seen: list[Envelope] = []

        async def publish(envelope: Envelope) -> None:
            seen.append(envelope)
            for error in failures:
                raise error

        async with delivering(store, publish, **told.options) as running:
            await running.schedule(message("a", payload=b"0123", metadata={"k": "v"}))
            await emptied(store)
        first, second = told.spans("publish a")
        assert [facts(span)["duly.attempt"] for span in (first, second)] == [1, 2]
        schedule = place(told.span("schedule a"))
        assert linked(first) == [schedule]
        assert linked(second) == [schedule, place(first)]
        assert [dict(link.attributes or {}) for link in second.links] == [
            {},
            {"duly.link": "last_attempt"},
        ]
        assert context_of(first).trace_id != context_of(second).trace_id
        assert first.status.description == "TransportError: at nats://me:***@host"
        assert facts(first)["error.type"] == "TransportError"
        assert second.status.status_code is StatusCode.UNSET
        for envelope, span in zip(seen, (first, second), strict=True):
            assert envelope.headers["traceparent"] == traceparent(span)

    @run_virtually
    async def test_a_publish_that_was_postponed_has_not_failed(self) -> None:
        told, store = Told(), WakingStore()
        postponements = iter([Postpone(timedelta(seconds=9))])

        async def publish(envelope: Envelope) -> None:
            for postponed in postponements:
                raise postponed

        async with delivering(store, publish, **told.options) as running:
            await running.schedule(message("a"))
            await emptied(store)
        first, second = told.spans("publish a")
        assert first.status.status_code is second.status.status_code is StatusCode.UNSET
        assert "error.type" not in facts(first)
        events = [(event.name, dict(event.attributes or {})) for event in first.events]
        assert events == [("postponed", {"duly.postpone.after": 9.0})]
        assert not second.events

    @run_virtually
    async def test_each_occurrence_has_a_span_and_a_trace(self) -> None:
        told, store = Told(), WakingStore()
        series = Every(timedelta(seconds=60), max_occurrences=3)
        async with delivering(store, Probed(), **told.options) as running:
            await running.schedule(message("a", recurrence=series))
            await emptied(store, within=200)
        spans = told.spans("publish a")
        assert [facts(span)["duly.occurrence"] for span in spans] == [0, 1, 2]
        assert len({context_of(span).trace_id for span in spans}) == 3
        schedule = place(told.span("schedule a"))
        assert [linked(span) for span in spans] == [[schedule]] * 3

    @run_virtually
    async def test_a_batch_of_a_transport_has_a_span_for_each_message(self) -> None:
        told, store = Told(), WakingStore()
        inside: list[bool] = []

        class Many(ManyProbed):
            async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
                inside.append(trace.get_current_span().get_span_context().is_valid)
                await super().publish_many(envelopes)
                return [
                    TransportError("not this one") if each.message_id == "a-1" else None
                    for each in envelopes
                ]

        await client(store, told).schedule_many([message("a", id=f"a-{n}") for n in range(3)])
        transport = Many()
        retry_late = duly.Backoff(initial=timedelta(hours=1), maximum=timedelta(hours=1))
        async with delivering(store, transport, recovery=retry_late, **told.options):
            await until(lambda: len(told.spans("publish a")) == 3)
        assert inside == [False]  # no one span could stand for all of them
        spans = {facts(span)["messaging.message.id"]: span for span in told.spans("publish a")}
        for _, envelope in transport.begun:
            span = spans[envelope.message_id]
            assert envelope.headers["traceparent"] == traceparent(span)
            failed = envelope.message_id == "a-1"
            assert span.status.status_code is (StatusCode.ERROR if failed else StatusCode.UNSET)

    @run_virtually
    async def test_a_scheduler_without_an_sdk_hands_on_what_was_stored(self) -> None:
        told, store, transport = Told(), WakingStore(), Probed()
        await client(store, told).schedule(message("a"))
        async with delivering(store, transport):
            await emptied(store)
        ((_, envelope),) = transport.begun
        assert envelope.headers["traceparent"] == traceparent(told.span("schedule a"))

    @run_virtually
    async def test_what_was_scheduled_without_an_sdk_is_told_by_batch(self) -> None:
        told, store, transport = Told(), WakingStore(), Probed()
        await Client(store, load_plugins=False).schedule(message("a"))
        async with delivering(store, transport, **told.options):
            await emptied(store)
        assert [span.name for span in told.spans()] == ["claim", "publish", "delete"]
        assert "traceparent" not in transport.begun[0][1].headers

    @run_virtually
    async def test_a_publish_that_is_given_up_ends_its_span(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        told, store = Told(), WakingStore()

        async def stubborn(envelope: Envelope) -> None:
            while True:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    if now() > 1000:
                        raise

        await client(store, told).schedule(message("a"))
        options = {"publish_timeout": timedelta(seconds=1), **told.options}
        with caplog.at_level(logging.WARNING):
            async with delivering(store, stubborn, **options):
                await until(lambda: told.spans("publish a"))
                await asyncio.sleep(1000)
        span = told.spans("publish a")[0]
        assert facts(span)["error.type"] == "TimedOut"
        assert not [each for each in caplog.records if each.name.startswith("opentelemetry")]


class TestBatch:
    @run_virtually
    async def test_it_is_one_trace_of_three_spans_linked_to_its_messages(self) -> None:
        told, store = Told(), WakingStore()
        await client(store, told).schedule_many([message("a", id="1"), message("a", id="2")])
        await client(store, told).schedule(message("a", id="3"))
        async with delivering(store, Probed(), **told.options):
            await emptied(store)
        many, one = told.spans("schedule a")
        spans = [span for span in told.spans() if span.kind is SpanKind.CLIENT]
        assert [span.name for span in spans] == ["claim", "publish", "delete"]
        claim = context_of(spans[0])
        assert [span.parent for span in spans] == [None, claim, claim]
        assert all(span.parent == context_of(spans[1]) for span in told.spans("publish a"))
        for span, kind in zip(spans, ("receive", "send", "settle"), strict=True):
            assert facts(span) == {
                **operation(span.name, kind),
                "messaging.destination.name": "a",
                "messaging.batch.message_count": 3,
            }
            assert linked(span) == [place(many), place(many), place(one)]
            assert [(each.attributes or {})["messaging.message.id"] for each in span.links] == [
                "1",
                "2",
                "3",
            ]
            assert span.start_time is not None
            assert span.end_time is not None
            assert span.start_time <= span.end_time

    @run_virtually
    async def test_no_more_than_128_links(self) -> None:
        told, store = Told(), WakingStore()
        many = [message("a" if number else "b", id=str(number)) for number in range(200)]
        await client(store, told).schedule_many(many)
        async with delivering(store, Probed(), batch_size=200, **told.options):
            await emptied(store)
        claim = told.span("claim")
        assert facts(claim)["messaging.batch.message_count"] == 200
        assert "messaging.destination.name" not in facts(claim)
        assert len(claim.links) == 128
        assert not claim.dropped_links
        assert len(told.spans("publish a")) == 199

    @run_virtually
    async def test_each_part_that_is_settled_has_a_delete_span_of_its_own(self) -> None:
        told, store = Told(), WakingStore()

        async def publish(envelope: Envelope) -> None:
            if envelope.message_id == "slow":
                await asyncio.sleep(1)

        await client(store, told).schedule_many([message(id="slow"), message(id="quick")])
        async with delivering(store, publish, **told.options):
            await emptied(store)
        first, second = told.spans("delete")
        for span, id in ((first, "quick"), (second, "slow")):
            assert facts(span)["messaging.batch.message_count"] == 1
            assert [dict(link.attributes or {}) for link in span.links] == [
                {"messaging.message.id": id}
            ]
        assert facts(told.span("publish"))["messaging.batch.message_count"] == 2
        assert told.counts("duly.messages.delivered") == {"event": 2}

    @run_virtually
    async def test_delete_tells_what_became_of_the_others(self) -> None:
        told, store = Told(), WakingStore()
        verdicts = {"retry": duly.Retry(timedelta(hours=1)), "bury": duly.Bury("no"), "fine": None}

        async def publish(envelope: Envelope) -> None:
            if envelope.event_name != "fine":
                await fail(envelope)

        await client(store, told).schedule_many([message(name) for name in verdicts])
        options = {"recovery": lambda failure: verdicts[failure.message.event_name]}
        async with delivering(store, publish, **options, **told.options):
            await until(lambda: told.spans("delete"))
        assert facts(told.span("delete")) == {
            **operation("delete", "settle"),
            "messaging.batch.message_count": 3,
            "duly.batch.rescheduled": 1,
            "duly.batch.buried": 1,
        }

    @run_virtually
    async def test_a_claim_that_fails_is_told_and_an_empty_one_is_not(self) -> None:
        told, store = Told(), WakingStore()
        async with delivering(store, Probed(), **told.options):
            await asyncio.sleep(60)
            assert store.count("claim")
            assert not told.spans()
            store.faults.append(down("claim", error=StoreUnavailable("amqp://u:hunter2@host")))
            await until(lambda: told.spans("claim"))
            store.faults.clear()
        span = told.spans("claim")[0]
        assert span.status.description == "StoreUnavailable: amqp://u:***@host"
        assert facts(span)["messaging.batch.message_count"] == 0

    @run_virtually
    async def test_a_delete_that_fails_is_told(self) -> None:
        told, store = Told(), WakingStore()

        async def stop_with_the_store_down(envelope: Envelope) -> None:
            store.faults.append(down("settle", "claim"))

        running = scheduler(store, stop_with_the_store_down, **told.options)
        await running.schedule(message())
        async with running.running():
            await until(lambda: store.faults)
            stopping = asyncio.create_task(running.stop())
            await until(lambda: told.spans("delete"))
            store.faults.clear()
            await stopping
        *failed, done = told.spans("delete")
        assert {span.status.status_code for span in failed} == {StatusCode.ERROR}
        assert done.status.status_code is StatusCode.UNSET

    @run_virtually
    async def test_payloads_and_metadata_are_not_told(self) -> None:
        told, store = Told(), WakingStore()
        async with delivering(store, fail, **told.options) as running:
            await running.schedule(message("a", payload=b"TREASURE", metadata={"k": "TREASURE"}))
            await until(lambda: len(told.spans("publish a")) > 2)
        assert len(told.spans()) > 8
        assert not [span for span in told.spans() if "TREASURE" in span.to_json()]
        assert "TREASURE" not in str(told.metrics())
