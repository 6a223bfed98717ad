"""What a retry is linked to is kept by every store, and seen by another scheduler alone."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from duly import Client, Envelope, Filter, Message, Retry, Scheduler, after

# The fixture of a server, and the address that becomes of what it yields.
STORES: dict[str, tuple[str, Callable[..., str]]] = {
    "sqlite": ("tmp_path", lambda folder: f"sqlite:///{folder}/shop.db"),
    "redis": ("empty_redis", str),
    "postgresql": ("shop_database", "postgresql:{}".format),
    "mongodb": ("empty_mongo", "{}/shop".format),
}


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest) -> str:
    fixture, address = STORES[request.param]
    return address(request.getfixturevalue(fixture))


async def test_a_retry_is_linked_to_the_attempt_before(url: str) -> None:
    exporter = InMemorySpanExporter()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))

    async def deliver(*, fails: bool) -> None:
        done = asyncio.Event()

        async def publish(envelope: Envelope) -> None:
            done.set()
            if fails:
                raise RuntimeError("nobody answers")

        again = Retry(timedelta(milliseconds=10))
        async with Scheduler(
            url, publish, recovery=lambda failure: again, tracer_provider=tracers
        ) as scheduler:
            async with scheduler.running():
                await done.wait()

    async with Client(url, tracer_provider=tracers) as client:
        await client.schedule(Message("orders.reminder", id="17", scheduled_at=after()))
        await deliver(fails=True)
        kept = await client.get("17")
        (listed,) = await client.list(Filter(error="RuntimeError: nobody answers"))
        assert kept.last_error == listed.last_error == "RuntimeError: nobody answers"
        await deliver(fails=False)
        assert not await client.list()
    spans = exporter.get_finished_spans()
    attempts = [span for span in spans if span.name == "publish orders.reminder"]
    schedule = next(span for span in spans if span.name == "schedule orders.reminder")
    for before, attempt in zip([schedule, *attempts], attempts, strict=False):
        contexts = [link.context.span_id for link in attempt.links]
        expected = {each.context.span_id for each in (schedule, before) if each.context}
        assert set(contexts) == expected
    assert len(attempts) >= 2
