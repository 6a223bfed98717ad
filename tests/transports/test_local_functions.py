"""The local transports: how functions are called, and what comes of their errors."""

import asyncio
import contextvars
import functools
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.transports.envelopes import envelope, twice

from duly.errors import Rejected, TransportError
from duly.local import FunctionTransport, LocalTransport
from duly.transport import Envelope, Transport


class AsyncObject:
    def __init__(self, heard: list[object]) -> None:
        self.heard = heard

    async def __call__(self, told: Envelope) -> None:
        await asyncio.sleep(0)
        self.heard.append((told.payload, threading.current_thread()))


class PlainObject:
    def __init__(self, heard: list[object]) -> None:
        self.heard = heard

    def __call__(self, told: Envelope) -> None:
        self.heard.append((told.payload, threading.current_thread()))


def plain(heard: list[object]) -> Callable[[Envelope], None]:
    def handle(told: Envelope) -> None:
        PlainObject(heard)(told)

    return handle


def returning(heard: list[object]) -> Callable[[Envelope], Awaitable[None]]:
    def handle(told: Envelope) -> Awaitable[None]:
        return AsyncObject(heard)(told)

    return handle


ASYNC: dict[str, Callable[[list[object]], Callable[[Envelope], object]]] = {
    "a partial": lambda heard: functools.partial(AsyncObject.__call__, AsyncObject(heard)),
    "an object": AsyncObject,
    "a method": lambda heard: AsyncObject(heard).__call__,
    "a plain function that returns an awaitable": returning,
}

PLAIN: dict[str, Callable[[list[object]], Callable[[Envelope], object]]] = {
    "a function": plain,
    "a partial": lambda heard: functools.partial(PlainObject.__call__, PlainObject(heard)),
    "an object": PlainObject,
    "a method": lambda heard: PlainObject(heard).__call__,
}


@pytest.mark.parametrize("kind", ASYNC)
async def test_what_is_async_is_awaited_on_the_loop(kind: str) -> None:
    heard: list[object] = []
    await twice(FunctionTransport(ASYNC[kind](heard)), envelope())
    assert heard == [(b"payload", threading.current_thread())] * 2


@pytest.mark.parametrize("kind", PLAIN)
async def test_what_is_plain_runs_in_a_thread(kind: str) -> None:
    heard: list[Any] = []
    await twice(FunctionTransport(PLAIN[kind](heard)), envelope())
    assert [payload for payload, _ in heard] == [b"payload"] * 2
    assert all(thread is not threading.current_thread() for _, thread in heard)
    assert all(thread.name.startswith("duly-local") for _, thread in heard)


async def test_a_plain_function_may_block_while_others_go_on() -> None:
    transport = LocalTransport()
    go_on = threading.Event()
    transport.on("blocks")(lambda told: go_on.wait(10))
    heard = transport.on("goes on")(AsyncObject([])).heard
    blocked = asyncio.create_task(transport.publish(envelope("blocks")))
    await transport.publish(envelope("goes on"))
    assert len(heard) == 1
    assert not blocked.done()
    go_on.set()
    await blocked
    await transport.close()


async def test_a_function_sees_the_context_of_its_publish_and_leaves_none() -> None:
    variable = contextvars.ContextVar[str]("variable", default="nothing")
    seen: list[str] = []

    def look(told: Envelope) -> None:
        seen.append(variable.get())
        variable.set("changed in the thread")

    variable.set("set by the caller")
    transport = FunctionTransport(look)
    await transport.publish(envelope())
    await transport.publish(envelope())
    await transport.close()
    assert seen == ["set by the caller"] * 2
    assert variable.get() == "set by the caller"


# --- what goes wrong


@pytest.mark.parametrize("error", [KeyError("x"), Rejected("never"), TransportError("later")])
@pytest.mark.parametrize("is_async", [True, False])
async def test_what_a_function_raises_is_raised(error: Exception, is_async: bool) -> None:
    def plain(told: Envelope) -> None:
        raise error

    async def async_(told: Envelope) -> None:
        raise error

    transport = FunctionTransport(async_ if is_async else plain)
    with pytest.raises(type(error)) as told:
        await transport.publish(envelope())
    assert told.value is error
    await transport.close()


async def test_a_function_cannot_stop_an_iteration_of_ours() -> None:
    def leave(told: Envelope) -> None:
        raise StopIteration("x")

    transport = FunctionTransport(leave)
    with pytest.raises(TransportError, match="leave raised StopIteration"):
        await transport.publish(envelope())
    await transport.close()


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("raised", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
async def test_what_is_no_error_is_raised_where_it_was_awaited(
    raised: BaseException, is_async: bool
) -> None:
    def plain(told: Envelope) -> None:
        raise raised

    async def async_(told: Envelope) -> None:
        raise raised

    transport = FunctionTransport(async_ if is_async else plain)
    with pytest.raises((SystemExit, KeyboardInterrupt, GeneratorExit)) as caught:
        await transport.publish(envelope())
    assert caught.value is raised
    await transport.close()


async def test_a_plain_function_is_not_started_again_while_it_runs() -> None:
    calls, go_on = 0, threading.Event()

    def block(told: Envelope) -> None:
        nonlocal calls
        calls += 1
        go_on.wait(10)

    transport = FunctionTransport(block)
    publish = asyncio.create_task(transport.publish(envelope()))
    while not calls:  # noqa: ASYNC110  # a thread counts it
        await asyncio.sleep(0.001)
    publish.cancel()
    await asyncio.wait([publish])
    again = asyncio.create_task(transport.publish(envelope()))
    await asyncio.sleep(0.01)
    go_on.set()
    await again
    assert calls == 1
    await transport.publish(envelope())
    assert calls == 2
    await transport.close()


async def test_an_event_without_a_function_is_a_failed_attempt() -> None:
    transport = LocalTransport()
    transport.on("another")(AsyncObject([]))
    with pytest.raises(TransportError, match="no handler is registered for 'orders.reminder'") as e:
        await transport.publish(envelope())
    assert type(e.value) is TransportError


async def test_a_publish_that_is_cancelled_leaves_its_thread_to_end() -> None:
    go_on, ended = threading.Event(), threading.Event()

    def block(told: Envelope) -> None:
        go_on.wait(10)
        ended.set()

    transport = FunctionTransport(block)
    publish = asyncio.create_task(transport.publish(envelope()))
    await asyncio.sleep(0)
    publish.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publish
    await transport.close()
    assert not ended.is_set()
    go_on.set()
    assert await asyncio.to_thread(ended.wait, 10)


async def test_one_scheduler_closing_does_not_fail_another_s_publishes() -> None:
    """A transport object may serve several schedulers, as that of ``local://`` does."""
    go_on = threading.Event()
    transport: Transport = FunctionTransport(lambda told: go_on.wait(10))
    publishes = asyncio.gather(*(transport.publish(envelope()) for _ in range(40)))
    await asyncio.sleep(0)
    await transport.close()
    late = asyncio.create_task(transport.publish(envelope()))
    go_on.set()
    assert await publishes == [None] * 40
    assert await late is None
    await transport.close()
