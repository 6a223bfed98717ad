"""What the engine's tests share: stores and transports with faults, and a scheduler on virtual time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from duly import Delivery, Envelope, Failure, Message, MissedFires, Scheduler, hookimpl
from duly.errors import StoreUnavailable, TransportError
from duly.memory import MemoryStore
from duly.scheduler import Handler
from duly.store import Batch, Group, Settle, Stats, Store, Token
from duly.testing.clock import START
from duly.transport import Transport

Publish = Callable[[Envelope], Awaitable[Any]]

MICROSECOND: Final = timedelta(microseconds=1)
SOON: Final = 1e-5  # seconds: at once, sums of floating point numbers aside


def now() -> float:
    """Virtual seconds since the test began."""
    return asyncio.get_running_loop().time()


def at(seconds: float) -> datetime:
    """The moment so many virtual seconds after the test began."""
    return START + timedelta(seconds=seconds)


def message(name: str = "event", due: float = 0.0, **more: Any) -> Message:
    """A message that is due so many virtual seconds after the test began."""
    return Message(name, scheduled_at=at(due), created_at=more.pop("created_at", START), **more)


def messages(count: int, name: str = "event", due: float = -1.0) -> list[Message]:
    """That many messages, a microsecond apart; by default they are due already."""
    first = message(name, due).scheduled_at
    return [
        Message(name, scheduled_at=first + MICROSECOND * number, id=f"{name}-{number}")
        for number in range(count)
    ]


class WatchedStore:
    """A memory store that notes who calls what and when, and fails as it is told.

    ``faults`` are asked before and after each call: ``fault(verb, done)`` may raise or wait.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.inner: Store = MemoryStore(clock=lambda: at(loop.time()))
        self.calls: list[tuple[float, str]] = []
        self.settles: list[tuple[float, Settle]] = []
        self.limits: list[int] = []
        self.pages: list[int | None] = []
        self.faults: list[Callable[[str, bool], Awaitable[None]]] = []

    def count(self, *verbs: str, since: float = 0.0) -> int:
        """How often one of these verbs, or any, was called."""
        return sum((not verbs or verb in verbs) and time >= since for time, verb in self.calls)

    async def _call(self, verb: str, call: Callable[[], Awaitable[Any]]) -> Any:
        self.calls.append((now(), verb))
        for fault in list(self.faults):
            await fault(verb, False)
        answer = await call()
        for fault in list(self.faults):
            await fault(verb, True)
        return answer

    async def open(self) -> None:
        await self._call("open", self.inner.open)

    async def close(self) -> None:
        await self._call("close", self.inner.close)

    async def put(self, groups: Sequence[Group], *, within: Any = None) -> Any:
        return await self._call("put", lambda: self.inner.put(groups, within=within))

    async def cancel(self, ids: Sequence[str], **more: Any) -> Any:
        return await self._call("cancel", lambda: self.inner.cancel(ids, **more))

    async def reschedule(self, id: str, at: datetime | None, **more: Any) -> Any:
        return await self._call("reschedule", lambda: self.inner.reschedule(id, at, **more))

    async def get(self, id: str) -> Any:
        return await self._call("get", lambda: self.inner.get(id))

    async def list(self, filter: Any, **more: Any) -> Any:
        self.pages.append(filter.limit)
        return await self._call("list", lambda: self.inner.list(filter, **more))

    async def claim(self, *, settle: Sequence[Settle] = (), **more: Any) -> Batch:
        self.settles += [(now(), each) for each in settle]
        self.limits.append(more["limit"])
        batch: Batch = await self._call("claim", lambda: self.inner.claim(settle=settle, **more))
        return batch

    async def renew(self, tokens: Sequence[Token], lease: timedelta) -> Any:
        return await self._call("renew", lambda: self.inner.renew(tokens, lease))

    async def settle(self, settles: Sequence[Settle]) -> Any:
        self.settles += [(now(), each) for each in settles]
        return await self._call("settle", lambda: self.inner.settle(settles))

    async def stats(self) -> Stats:
        stats: Stats = await self._call("stats", self.inner.stats)
        return stats


class WakingStore(WatchedStore):
    """The same, and it can wake schedulers."""

    async def wait_for_change(self) -> None:
        assert isinstance(self.inner, MemoryStore)
        await self.inner.wait_for_change()


def down(*verbs: str, error: BaseException | None = None) -> Callable[[str, bool], Awaitable[None]]:
    """A fault: these verbs, or all, find nobody there and do nothing."""

    async def fault(verb: str, done: bool) -> None:
        if not done and (not verbs or verb in verbs):
            raise error or StoreUnavailable("nobody answers")

    return fault


def lost_answer(*verbs: str, times: int = 1) -> Callable[[str, bool], Awaitable[None]]:
    """A fault: these verbs are carried out, but the answer is lost, so many times."""
    left = times

    async def fault(verb: str, done: bool) -> None:
        nonlocal left
        if done and left and verb in verbs:
            left -= 1
            raise StoreUnavailable("the connection broke before the answer")

    return fault


def hanging(*verbs: str) -> Callable[[str, bool], Awaitable[None]]:
    """A fault: these verbs, or all, never answer and do nothing."""

    async def fault(verb: str, done: bool) -> None:
        if not done and (not verbs or verb in verbs):
            await asyncio.Event().wait()

    return fault


class Probed:
    """A transport that notes what it is given and does with it what ``publish`` does."""

    def __init__(self, publish: Publish | None = None) -> None:
        self._publish = publish
        self.begun: list[tuple[float, Envelope]] = []
        self.ended: list[tuple[float, Envelope]] = []
        self.running = 0
        self.most = 0
        self.opened = 0
        self.closed = 0

    @property
    def ids(self) -> list[str]:
        """The ids of what was published and accepted, in that order."""
        return [envelope.message_id for _, envelope in self.ended]

    def times(self, id: str) -> list[float]:
        """When the publishes of one message began."""
        return [time for time, envelope in self.begun if envelope.message_id == id]

    async def open(self) -> None:
        self.opened += 1

    async def close(self) -> None:
        self.closed += 1

    async def publish(self, envelope: Envelope) -> Any:
        self.begun.append((now(), envelope))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            receipt = None if self._publish is None else await self._publish(envelope)
        finally:
            self.running -= 1
        self.ended.append((now(), envelope))
        return receipt


class ManyProbed(Probed):
    """The same, many at a time; what ``publish`` raises for one is its outcome."""

    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        return await asyncio.gather(*map(self.publish, envelopes), return_exceptions=True)


class Witness:
    """A plugin that notes what it is told."""

    def __init__(self) -> None:
        self.claimed: list[list[Message]] = []
        self.delivered: list[list[Delivery]] = []
        self.failed: list[list[Failure]] = []
        self.missed: list[list[MissedFires]] = []

    @hookimpl
    def duly_claimed(self, messages: Sequence[Message]) -> None:
        self.claimed.append(list(messages))

    @hookimpl
    def duly_delivered(self, deliveries: Sequence[Delivery]) -> None:
        self.delivered.append(list(deliveries))

    @hookimpl
    def duly_failed(self, failures: Sequence[Failure]) -> None:
        self.failed.append(list(failures))

    @hookimpl
    def duly_missed(self, missed: Sequence[MissedFires]) -> None:
        self.missed.append(list(missed))


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The events of duly's log, but for those of each start and stop."""
    records = (each for each in caplog.records if hasattr(each, "duly"))
    events = [str(each.duly["event"]) for each in records]  # type: ignore[attr-defined]  # just seen
    return [each for each in events if not each.startswith("scheduler_")]


def scheduler(store: Any, transport: Transport | Publish | Handler, **options: Any) -> Scheduler:
    """A scheduler that knows no installed plugin."""
    return Scheduler(store, transport, **{"load_plugins": False, **options})


@asynccontextmanager
async def delivering(
    store: Any, transport: Transport | Publish | Handler, **options: Any
) -> AsyncIterator[Scheduler]:
    """A scheduler at work; it drains at the end."""
    async with scheduler(store, transport, **options).running() as running:
        yield running


async def kill(victim: Scheduler) -> None:
    """End a scheduler as a crash would: nothing is settled, nothing drained."""
    run = victim._run
    assert run is not None
    run.cancel()
    await asyncio.wait([run])


async def until(holds: Callable[[], object], *, within: float = 60.0) -> None:
    """Let virtual time pass until it holds.

    Raises:
        AssertionError: it did not within so many seconds.
    """
    end = now() + within
    while not holds():
        assert now() < end, "it did not happen in time"
        await asyncio.sleep(max(0.01, within / 10_000))


async def emptied(store: WatchedStore, *, within: float = 60.0) -> None:
    """Let virtual time pass until nothing is left to deliver in a store."""
    end = now() + within
    while True:
        stats = await store.inner.stats()
        if not stats.scheduled and not stats.claimed:
            return
        assert now() < end, f"not emptied in time: {stats}"
        await asyncio.sleep(max(0.01, within / 10_000))


async def fail(envelope: Envelope) -> None:
    """A publish that fails."""
    raise TransportError("it does not work")


def sleeping(seconds: float, *, only: Collection[str] = ()) -> Publish:
    """A publish that takes so long, for these event names or for all."""

    async def publish(envelope: Envelope) -> None:
        if not only or envelope.event_name in only:
            await asyncio.sleep(seconds)

    return publish
