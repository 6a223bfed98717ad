"""What is handed over as a store or a transport: what can never work is refused by name at once."""

import functools
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest
from tests.core.engine_kit import Probed, WatchedStore, delivering, emptied, message

from duly import Client, InvalidArgument, PluginError, Scheduler, hookimpl
from duly._caller.required_methods import STORE, TRANSPORT, plain_of
from duly.memory import MemoryStore
from duly.testing.clock import run_virtually


class Base:
    """A transport that lacks nothing but what the cases below give it."""

    inner: Any = None

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def publish(self, envelope: Any) -> str | None:
        return None


class Plain(Base):
    def publish(self, envelope):  # type: ignore[no-untyped-def, override]  # the mistake
        ...


class PlainWithAnAnswer(Base):
    def publish(self, envelope: Any) -> str:  # type: ignore[override]  # the mistake
        return f"{envelope} was sent"


class PlainClient(Base):
    """Calls a driver that is not async, by a method of the same name."""

    def publish(self, envelope: Any) -> None:  # type: ignore[override]  # the mistake
        self.inner.publish(envelope)


class Yields(Base):
    async def publish(self, envelope: Any) -> Any:  # type: ignore[override]  # the mistake
        yield "receipt"


class Inherits(Plain):
    """The mistake is further up."""


class PlainOpen(Base):
    def open(self) -> None:  # type: ignore[override]  # the mistake
        ...


class PlainMany(Base):
    def publish_many(self, envelopes: Sequence[Any]) -> Sequence[Any]:
        return [None for _ in envelopes]


class PlainCheck(Base):
    def check(self) -> list[str]:
        return []


@pytest.mark.parametrize(
    ("kind", "verb"),
    [
        (Plain, "publish"), (PlainWithAnAnswer, "publish"), (PlainClient, "publish"),
        (Yields, "publish"), (Inherits, "publish"), (PlainOpen, "open"),
        (PlainMany, "publish_many"), (PlainCheck, "check"),
    ],
)  # fmt: skip
def test_a_plain_method_of_a_transport_is_refused_by_name(kind: type[Any], verb: str) -> None:
    with pytest.raises(
        InvalidArgument, match=f"{kind.__name__} cannot be used: its {verb} must be"
    ):
        Scheduler("memory://", kind(), load_plugins=False)


@pytest.mark.parametrize("verb", [*STORE.needed, *STORE.optional])
def test_a_plain_method_of_a_store_is_refused_by_name(verb: str) -> None:
    space: dict[str, Any] = {}
    exec(f"def {verb}(self, *args, **more):\n    return [None for _ in args]", space)  # ours
    store = type("Mine", (MemoryStore,), {verb: space[verb]})()
    with pytest.raises(InvalidArgument, match=f"Mine cannot be used: its {verb} must be async"):
        Client(store, load_plugins=False)


def test_all_of_them_are_named() -> None:
    class Sync:
        def open(self) -> None: ...

        def close(self) -> None: ...

        def publish(self, envelope: Any) -> None: ...

    transport: Any = Sync()
    with pytest.raises(InvalidArgument, match="its open, close, publish must be async"):
        Scheduler("memory://", transport, load_plugins=False)


def test_what_a_plugin_makes_is_looked_at_too() -> None:
    class Offering:
        @hookimpl
        def duly_transports(self) -> Any:
            return {"mine": lambda _: Plain()}

    with pytest.raises(PluginError, match="for mine:// made a Plain"):
        Scheduler("memory://", "mine://", plugins=[Offering()], load_plugins=False)


# --- what may well work is not refused


def wrapped(function: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **more: Any) -> Any:
        return function(*args, **more)

    return wrapper


def bare(function: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    def wrapper(*args: Any, **more: Any) -> Any:
        return function(*args, **more)

    return wrapper


async def send(*args: Any) -> str | None:
    return None


class Wrapped(Base):
    publish = wrapped(Base.publish)  # type: ignore[assignment]  # as a decorator does


class Bare(Base):
    publish = bare(Base.publish)  # type: ignore[assignment]  # as a careless decorator does


class Annotated(Base):
    def publish(self, envelope: Any) -> Coroutine[Any, Any, str | None]:
        return send(envelope)


class AnnotatedInText(Base):
    def publish(self, envelope: Any) -> "Awaitable[str | None]":  # type: ignore[override]  # awaited all the same
        return send(envelope)


class HandsOn(Base):
    def publish(self, envelope):  # type: ignore[no-untyped-def, override]  # as people write it
        return self.inner.publish(envelope)


class AsksItsParent(Base):
    def publish(self, envelope):  # type: ignore[no-untyped-def, override]  # as people write it
        return super().publish(envelope)


class OldCoroutine(Base):
    @types.coroutine
    def publish(self, envelope: Any) -> Generator[Any, Any, str | None]:  # type: ignore[override]  # of old
        yield
        return None


class Partial(Base):
    publish = staticmethod(functools.partial(send))  # type: ignore[assignment]  # no function at all


class Static(Base):
    @staticmethod
    async def publish(envelope: Any) -> str | None:  # type: ignore[override]  # without self
        return None


class Lambda(Base):
    publish = lambda self, envelope: send(envelope)  # type: ignore[assignment]  # noqa: E731  # as people write it


class NoCheck(Base):
    check = None


class Proxy:
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class OfTheInstance(Plain):
    def __init__(self) -> None:
        self.publish = send  # type: ignore[method-assign]  # as tests do


@pytest.mark.parametrize(
    "transport",
    [
        Base(), Wrapped(), Bare(), Annotated(), AnnotatedInText(), HandsOn(), AsksItsParent(),
        OldCoroutine(), Partial(), Static(), Lambda(), NoCheck(), Proxy(Base()), OfTheInstance(),
        MagicMock(), AsyncMock(), AsyncMock(spec=Base),
    ],
    ids=lambda transport: type(transport).__name__,
)  # fmt: skip
def test_what_may_hand_on_an_awaitable_is_taken(transport: Any) -> None:
    assert plain_of(transport, TRANSPORT) == []
    Scheduler("memory://", transport, load_plugins=False)


@pytest.mark.parametrize("kind", [Wrapped, Annotated, HandsOn, AsksItsParent, Lambda, Static])
@run_virtually
async def test_what_is_taken_works(kind: type[Base]) -> None:
    store, transport = WatchedStore(), kind()
    transport.inner = Probed()
    async with delivering(store, transport, recovery=None) as running:
        await running.schedule(message())
        await emptied(store)


def test_the_stores_and_transports_here_are_async() -> None:
    assert plain_of(MemoryStore(), STORE) == []
