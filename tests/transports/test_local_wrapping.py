"""What is entered round each call of a function of this process."""

import asyncio
import functools
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import pytest

import duly
from duly import Envelope, Event, InvalidArgument, LocalTransport, Rejected
from duly._values.publishing import StillRunning

SESSION: ContextVar[str] = ContextVar("SESSION", default="none")


def envelope(name: str = "event", id: str = "m") -> Envelope:
    return Envelope(message_id=id, event_name=name, payload=b"7", scheduled_at=duly.after())


class Noted:
    """Notes who was entered and left, and with which error."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def named(self, name: str) -> Any:
        @asynccontextmanager
        async def around(told: Envelope) -> AsyncIterator[None]:
            self.lines.append(f"enter {name}")
            token = SESSION.set(f"{name} of {told.message_id}")
            try:
                yield
            except BaseException as error:
                self.lines.append(f"{type(error).__name__} in {name}")
                raise
            finally:
                SESSION.reset(token)
                self.lines.append(f"leave {name}")

        return around


@pytest.fixture
def noted() -> Noted:
    return Noted()


@pytest.fixture
def transport(noted: Noted) -> LocalTransport:
    transport = LocalTransport()
    transport.wrap(noted.named("outer"))
    transport.wrap(noted.named("inner"))
    return transport


ENTERED = ["enter outer", "enter inner"]
LEFT = ["leave inner", "leave outer"]


async def session(_: Envelope) -> str:
    return SESSION.get()


def plain_session(_: Envelope) -> str:
    return SESSION.get()


@pytest.mark.parametrize("function", [session, plain_session])
async def test_it_is_entered_and_left_and_its_variables_are_seen(
    transport: LocalTransport, noted: Noted, function: Any
) -> None:
    transport.on("event")(function)
    assert await transport.call(envelope()) == "inner of m"
    assert noted.lines == [*ENTERED, *LEFT]
    assert SESSION.get() == "none"
    await transport.close()


class TestErrors:
    @pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
    @pytest.mark.parametrize("plain", [False, True])
    async def test_it_sees_what_a_function_raises(
        self, transport: LocalTransport, noted: Noted, error: Any, plain: bool
    ) -> None:
        async def raising(_: Envelope) -> None:
            raise error

        def raising_in_a_thread(_: Envelope) -> None:
            raise error

        transport.on("event")(raising_in_a_thread if plain else raising)
        with pytest.raises(error):
            await transport.publish(envelope())
        name = error.__name__
        seen = [f"{name} in inner", "leave inner", f"{name} in outer", "leave outer"]
        assert noted.lines == [*ENTERED, *seen]
        await transport.close()

    async def test_it_sees_a_payload_that_cannot_be_read(
        self, transport: LocalTransport, noted: Noted
    ) -> None:
        transport.on(Event("event", bool))(lambda payload: None)
        with pytest.raises(Rejected):
            await transport.publish(envelope())
        assert "Rejected in inner" in noted.lines
        await transport.close()

    @pytest.mark.parametrize("plain", [False, True])
    async def test_what_it_suppresses_counts_as_delivered(self, plain: bool) -> None:
        transport = LocalTransport()

        @transport.wrap
        @asynccontextmanager
        async def forgiving(_: Envelope) -> AsyncIterator[None]:
            with suppress(ValueError):
                yield

        async def raising(_: Envelope) -> None:
            raise ValueError

        def raising_in_a_thread(_: Envelope) -> None:
            raise ValueError

        transport.on("event")(raising_in_a_thread if plain else raising)
        await transport.publish(envelope())
        await transport.close()

    @pytest.mark.parametrize("function", [session, plain_session])
    async def test_if_it_cannot_be_entered_nothing_is_called(
        self, noted: Noted, function: Any
    ) -> None:
        transport = LocalTransport()
        transport.wrap(noted.named("outer"))
        transport.wrap(lambda told: None)  # type: ignore[type-var]  # it makes no manager
        transport.on("event")(function)
        with pytest.raises(TypeError):
            await transport.publish(envelope())
        assert noted.lines == ["enter outer", "TypeError in outer", "leave outer"]
        await transport.close()


class TestCancelling:
    async def test_an_async_function_is_left_at_once(
        self, transport: LocalTransport, noted: Noted
    ) -> None:
        begun = asyncio.Event()

        async def hanging(_: Envelope) -> None:
            begun.set()
            await asyncio.Event().wait()

        transport.on("event")(hanging)
        publish = asyncio.create_task(transport.publish(envelope()))
        await begun.wait()
        publish.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publish
        assert noted.lines[-1] == "leave outer"

    @pytest.mark.parametrize("error", [None, ValueError, SystemExit])
    async def test_a_plain_one_is_left_when_it_has_ended(
        self, transport: LocalTransport, noted: Noted, error: Any
    ) -> None:
        begun, go_on = threading.Event(), threading.Event()
        seen: list[str] = []

        def hanging(_: Envelope) -> None:
            begun.set()
            go_on.wait(10)
            seen.append(SESSION.get())
            if error is not None:
                raise error

        transport.on("event")(hanging)
        publish = asyncio.create_task(transport.publish(envelope()))
        await asyncio.to_thread(begun.wait, 10)
        publish.cancel()
        with pytest.raises(StillRunning) as still:
            await publish
        assert noted.lines == ENTERED
        again = asyncio.create_task(self._publish_again(transport, error))
        await asyncio.sleep(0)
        assert noted.lines == ENTERED
        go_on.set()
        await again
        if error is None:
            await still.value.outcome
        else:
            with pytest.raises((ValueError, duly.TransportError)):
                await still.value.outcome
        assert seen == ["inner of m"]
        assert noted.lines[-1] == "leave outer"
        await transport.close()

    async def _publish_again(self, transport: LocalTransport, error: Any) -> None:
        """Await the same call; a task must not raise SystemExit."""
        if error is None:
            await transport.publish(envelope())
            return
        with pytest.raises(error):
            await transport.publish(envelope())

    async def test_one_that_waits_for_a_thread_is_left_at_once_and_never_called(
        self, noted: Noted
    ) -> None:
        transport = LocalTransport(threads=1)
        transport.wrap(noted.named("around"))
        go_on = threading.Event()
        called: list[str] = []

        def waiting(told: Envelope) -> None:
            called.append(told.message_id)
            go_on.wait(10)

        transport.on("event")(waiting)
        first = asyncio.create_task(transport.publish(envelope(id="first")))
        while not called:  # noqa: ASYNC110  # a thread brings it about
            await asyncio.sleep(0.001)
        second = asyncio.create_task(transport.publish(envelope(id="second")))
        while noted.lines.count("enter around") < 2:  # noqa: ASYNC110  # a task does
            await asyncio.sleep(0.001)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert noted.lines[2:] == ["CancelledError in around", "leave around"]
        go_on.set()
        await first
        assert called == ["first"]
        await transport.close()


async def bare_generator(told: Envelope) -> AsyncIterator[None]:
    yield


@contextmanager
def plain_manager(told: Envelope) -> Iterator[None]:
    yield


@pytest.mark.parametrize(
    ("around", "why"),
    [
        (7, "wrap\\(\\) takes a function of the envelope, not 7"),
        (session, "session must return an async context manager, and not be async"),
        (bare_generator, "must be decorated with contextlib.asynccontextmanager$"),
        (
            plain_manager,
            "plain_manager must be async and decorated with .* not with contextmanager",
        ),
        (
            functools.partial(plain_manager),
            "decorated with contextlib.asynccontextmanager, not with",
        ),
        (lambda: None, "must take one argument, the envelope"),
    ],
)
def test_what_makes_no_manager_is_refused(around: Any, why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        LocalTransport().wrap(around)


async def test_what_makes_an_async_manager_of_a_plain_one_is_taken() -> None:
    @functools.wraps(plain_manager)
    @asynccontextmanager
    async def around(told: Envelope) -> AsyncGenerator[None]:
        with plain_manager(told):
            yield

    transport = LocalTransport()
    transport.wrap(around)
    transport.on("event")(session)
    assert await transport.call(envelope()) == "none"
