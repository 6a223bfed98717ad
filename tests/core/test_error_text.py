"""``error_text=``: what people read of an error, where its own text is not for them."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from tests.core.engine_kit import Probed, WakingStore, Witness, delivering, emptied, message, until
from tests.core.telemetry_kit import Told

import duly
from duly import Backoff, Envelope, Filter, InvalidArgument, State, TransportUnavailable
from duly.testing.clock import run_virtually

SECRET = "4111 1111 1111 1111"


class Odd(BaseException):
    """What is no Exception."""


def raising(error: type[BaseException]) -> Callable[[Envelope], Any]:
    async def publish(envelope: Envelope) -> None:
        try:
            raise KeyError(SECRET)
        except KeyError as cause:
            raise error(f"no customer for {SECRET}") from cause

    return publish


def hushed(error: Exception) -> str:
    return f"a {type(error).__name__}, say no more"


async def told_of(publish: Any, caplog: pytest.LogCaptureFixture, **options: Any) -> str:
    """All that is told of a message that fails twice and is buried; its ``last_error`` at last."""
    store, told, witness = WakingStore(), Told(), Witness()
    caplog.set_level(logging.DEBUG, "duly")
    more = {**told.options, "recovery": Backoff(max_retries=1), "plugins": [witness], **options}
    async with delivering(store, publish, **more) as running:
        await running.schedule(message(id="x"))
        await emptied(store)
        (dead,) = await running.list(Filter(state=State.DEAD))
    said = [record.getMessage() for record in caplog.records]
    said += [str(getattr(record, "duly", "")) for record in caplog.records]
    said += [str(record.exc_info) for record in caplog.records if record.exc_info]
    for span in told.spans():
        said += [str(span.status.description), str([dict(e.attributes or {}) for e in span.events])]
    assert all(SECRET in str(each.error) for batch in witness.failed for each in batch)
    return "\n".join([*said, str(dead.last_error)])


@run_virtually
async def test_by_default_it_is_told_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    assert SECRET in await told_of(Probed(raising(ValueError)), caplog)


@pytest.mark.parametrize("way", ["handler", "transport"])
@run_virtually
async def test_it_is_told_as_decided(caplog: pytest.LogCaptureFixture, way: str) -> None:
    publish = raising(ValueError) if way == "handler" else Probed(raising(ValueError))
    text = await told_of(publish, caplog, error_text=hushed)
    assert SECRET not in text
    assert text.endswith("\na ValueError, say no more")
    assert "delivery_failed" in text


@pytest.mark.parametrize("error", [KeyError, Odd])
@pytest.mark.parametrize(
    "decide", [lambda error: 1 / 0, lambda error: None, lambda error: str(error).encode()]
)
@run_virtually
async def test_where_that_fails_the_kind_alone_is_told(
    caplog: pytest.LogCaptureFixture, error: type[BaseException], decide: Any
) -> None:
    text = await told_of(Probed(raising(error)), caplog, error_text=decide)
    assert SECRET not in text
    assert text.splitlines()[-1] in (error.__name__, "TransportError")


@run_virtually
async def test_secrets_are_masked_in_what_was_decided(caplog: pytest.LogCaptureFixture) -> None:
    text = await told_of(
        Probed(raising(ValueError)), caplog, error_text=lambda _: "redis://user:word@host is away"
    )
    assert text.endswith("\nredis://user:***@host is away")


@run_virtually
async def test_an_outage_is_told_as_decided() -> None:
    async with delivering(
        WakingStore(), Probed(raising(TransportUnavailable)), error_text=hushed
    ) as running:
        await running.schedule(message(id="x"))
        engine = running._engine
        assert engine is not None
        await until(lambda: engine.outage.away)
        reason = (await running.health()).reason
    assert "a TransportUnavailable, say no more" in reason
    assert SECRET not in reason


def test_a_handler_that_ends_the_process(caplog: pytest.LogCaptureFixture) -> None:
    @run_virtually
    async def deliver() -> None:
        await told_of(raising(SystemExit), caplog, error_text=hushed)

    with pytest.raises(SystemExit):
        deliver()
    said = "\n".join(str(getattr(record, "duly", "")) for record in caplog.records)
    assert "handler_ends_process" in said
    assert SECRET not in said


async def _hushed(error: Exception) -> str:
    return ""


@pytest.mark.parametrize("door", [duly.Scheduler, duly.sync.Scheduler])
@pytest.mark.parametrize("odd", ["kind", str, _hushed, lambda: ""])
def test_what_cannot_decide_is_refused(door: Any, odd: Any) -> None:
    with pytest.raises(InvalidArgument, match="error_text must"):
        door("memory://", print, error_text=odd, load_plugins=False)
