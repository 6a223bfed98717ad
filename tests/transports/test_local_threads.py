"""The local transports: how many plain functions run at a time, and of which event name."""

import asyncio
import logging
import threading

import pytest
from tests.transports.envelopes import envelope

from duly.local import FunctionTransport, LocalTransport
from duly.testing.clock import START
from duly.transport import Envelope, Transport


class Hanging:
    """A function that, for one event name, hangs until it may go on."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = 0
        self.go_on = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, told: Envelope) -> None:
        if told.event_name == self.name:
            with self._lock:
                self.calls += 1
            self.go_on.wait(10)

    async def called(self, times: int) -> None:
        while self.calls < times:  # noqa: ASYNC110  # threads count it
            await asyncio.sleep(0.001)


@pytest.fixture
def hanging() -> Hanging:
    return Hanging("hangs")


@pytest.fixture(params=["by name", "one for all"])
def transport(request: pytest.FixtureRequest, hanging: Hanging) -> Transport:
    if request.param == "one for all":
        return FunctionTransport(hanging)
    transport = LocalTransport()
    for name in ("hangs", "returns"):
        transport.on(name)(hanging)
    return transport


async def cancel(tasks: list[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def publishes(transport: Transport, number: int, kind: str = "one") -> list[asyncio.Task[object]]:
    """So many deliveries at the same time, each of its own."""
    told = [
        Envelope(
            message_id=f"{kind} {n}",
            event_name="hangs",
            scheduled_at=START,
            delivery_id=f"{kind} {n}:1:0",
        )
        for n in range(number)
    ]
    return [asyncio.create_task(transport.publish(each)) for each in told]


async def test_at_most_12_plain_functions_run_at_a_time() -> None:
    running, most = 0, 0
    lock, all_there = threading.Lock(), threading.Barrier(12)

    def count(told: Envelope) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        all_there.wait(10)
        with lock:
            running -= 1

    transport = FunctionTransport(count)
    told = [envelope(f"event-{number % 8}") for number in range(96)]
    await asyncio.gather(*map(transport.publish, told))
    await transport.close()
    assert most == 12


async def test_what_was_given_up_before_its_turn_never_runs(
    transport: Transport, hanging: Hanging
) -> None:
    hung = publishes(transport, 40)
    await hanging.called(12)
    await cancel(hung)
    (waiting,) = publishes(transport, 1, "another")
    await asyncio.sleep(0.01)
    assert not waiting.done()
    assert hanging.calls == 12  # still running, though nobody waits for them
    hanging.go_on.set()
    await waiting
    assert hanging.calls == 13
    await transport.close()


def test_what_hung_on_another_loop_is_in_nobody_s_way(
    transport: Transport, hanging: Hanging, caplog: pytest.LogCaptureFixture
) -> None:
    async def leave() -> None:
        hung = publishes(transport, 8)
        await hanging.called(8)
        await cancel(hung)

    async def publish() -> None:
        (last,) = publishes(transport, 1, "another")
        await hanging.called(9)
        hanging.go_on.set()
        await last
        await transport.close()

    before = set(threading.enumerate())
    with caplog.at_level(logging.DEBUG, "concurrent.futures"):
        asyncio.run(leave())
        asyncio.run(publish())
        for thread in set(threading.enumerate()) - before:
            thread.join(10)
    assert hanging.calls == 9
    assert not caplog.records
