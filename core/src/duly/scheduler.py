"""The scheduler: a client that also delivers."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, Final, Self

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from duly._arguments import as_number, as_policy, as_transport
from duly._engine import Engine, Options
from duly._outcomes import error_text
from duly.client import Client
from duly.errors import SchedulerStateError
from duly.health import Report
from duly.message import Message
from duly.moment import as_duration
from duly.recovery import Backoff, Policy
from duly.store import Store, SupportsHealth
from duly.transport import Envelope, Transport

__all__ = ["Handler", "Scheduler"]

Handler = Callable[[Envelope], Any]
"""A function that takes an envelope, async or not; what it returns is ignored."""

_MILLISECOND: Final = timedelta(milliseconds=1)
_DRAIN: Final = timedelta(seconds=20)
_OFFSET: Final = timedelta(seconds=1)
_NEWER_FOR: Final = 600.0  # seconds for which records of a newer format are told


class Scheduler(Client):
    """Claims messages when they are due and publishes them to a transport.

    ``transport`` is a URL, a transport object or a function ``handler(envelope)``. Any number of
    schedulers may share one store; each must be able to deliver all that is in it.

    ``poll_interval`` is the longest nap where the store cannot wake the scheduler; ``batch_size``
    how many messages one claim takes at most; ``stuck_duration`` the lease of a claim: after a
    crash its messages are due again when it has lapsed; ``max_in_flight`` how many publishes run
    side by side; ``publish_timeout`` how long one may take; ``recovery`` decides after a failure,
    by default :class:`~duly.recovery.Backoff`. All else as for :class:`Client`.

    Raises:
        InvalidArgument: an argument out of bounds or of the wrong type.
        PluginError: a plugin with a misspelt hook, or no plugin for a URL.
    """

    def __init__(
        self,
        store: str | Store,
        transport: str | Transport | Handler,
        *,
        poll_interval: timedelta = timedelta(milliseconds=100),
        batch_size: int = 100,
        stuck_duration: timedelta = timedelta(minutes=5),
        max_in_flight: int = 1000,
        publish_timeout: timedelta = timedelta(seconds=30),
        recovery: Policy | None = None,
        max_payload: int = 1_048_576,
        store_timeout: timedelta = timedelta(seconds=10),
        plugins: Sequence[object] = (),
        load_plugins: bool | Collection[str] = True,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        if recovery is not None:
            as_policy(recovery)
        self._options = Options(
            poll_interval=as_duration(poll_interval, "poll_interval", at_least=_MILLISECOND),
            batch_size=as_number(batch_size, "batch_size", at_least=1, at_most=1000),
            stuck_duration=as_duration(
                stuck_duration, "stuck_duration", at_least=500 * _MILLISECOND
            ),
            max_in_flight=as_number(max_in_flight, "max_in_flight", at_least=1, at_most=100_000),
            publish_timeout=as_duration(publish_timeout, "publish_timeout", at_least=_MILLISECOND),
            policy=Backoff() if recovery is None else recovery,
        )
        super().__init__(
            store,
            max_payload=max_payload,
            store_timeout=store_timeout,
            plugins=plugins,
            load_plugins=load_plugins,
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
        )
        self._transport = as_transport(transport, self._plugins)
        self._engine: Engine | None = None
        self._run: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Deliver until :meth:`stop` is called from elsewhere; then drain and return.

        Cancelling the task that runs this drains likewise.

        Raises:
            SchedulerStateError: it runs already.
            StoreError: the store cannot be opened.
        """
        run = await self._begin()
        try:
            await asyncio.wait([run])
        except asyncio.CancelledError:
            await self.stop()
            raise
        _raise_from(run)

    async def stop(self, timeout: timedelta = _DRAIN) -> None:  # noqa: ASYNC109  # it returns in any case, cutting publishes short
        """Claim no more, let publishes in flight end, settle, and return in any case.

        Publishes that have not ended after ``timeout`` are cancelled and their messages put back,
        uncounted. Without a run under way it returns at once. Of several calls the shortest
        timeout holds; cancelling this leaves no time at all.
        """
        timeout = as_duration(timeout, "timeout", at_least=timedelta(0))
        engine, run = self._engine, self._run
        if engine is None or run is None:
            return
        engine.stop(timeout)
        try:
            await asyncio.wait([run])
        except asyncio.CancelledError:
            engine.stop(timedelta(0))  # what is done is settled all the same
            raise
        if not run.cancelled():
            run.exception()  # start() raises it, if anybody waits for that

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Deliver in the background of an ``async with`` block; drains at its end.

        Raises:
            SchedulerStateError: it runs already.
            StoreError: the store cannot be opened.
        """
        run = await self._begin()
        try:
            yield self
        finally:
            await self.stop()
            _raise_from(run)

    def run(self) -> None:
        """Open, deliver until SIGINT or SIGTERM, drain and close: a whole main program.

        A second signal stops waiting for publishes.

        Raises:
            SchedulerStateError: called where an event loop runs: use :meth:`running` there.
        """
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            raise SchedulerStateError("an event loop runs already: use running() or start() in it")
        asyncio.run(self._main())

    async def close(self) -> None:
        """Stop, wait for calls under way, then close the store if it was made from a URL."""
        await self.stop()
        await super().close()

    async def _main(self) -> None:
        loop = asyncio.get_running_loop()
        signals = 0

        def stop() -> None:
            nonlocal signals
            signals += 1
            if self._engine is not None:
                self._engine.stop(_DRAIN if signals == 1 else timedelta(0))

        async with self:
            for number in (signal.SIGINT, signal.SIGTERM):
                with suppress(NotImplementedError):  # where there are no signals
                    loop.add_signal_handler(number, stop)
            await (await self._begin())

    async def _begin(self) -> asyncio.Task[None]:
        """Start a run; it claims already, or is about to, when this returns."""
        if self._run is not None:
            raise SchedulerStateError("this scheduler runs already: stop it first")
        engine = self._engine = Engine(
            self._calls, self._transport, self._plugins, self._telemetry, self._options
        )
        run = self._run = asyncio.create_task(self._deliver(engine), name="duly-scheduler")
        ready = asyncio.create_task(engine.ready.wait())
        try:
            await asyncio.wait([run, ready], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self.stop()
            raise
        finally:
            ready.cancel()
        if run.done():
            await run  # it could not be opened, and says why
        return run

    async def _deliver(self, engine: Engine) -> None:
        try:
            await self._calls.open()
            self._plugins.tell("duly_started", scheduler=self)
            try:
                await engine.run()
            finally:
                self._plugins.tell("duly_stopped", scheduler=self)
        finally:
            self._run = self._engine = None

    def _stored(self, messages: Sequence[Message]) -> None:
        super()._stored(messages)
        if self._engine is not None and messages:
            self._engine.loop.expect(messages)

    def _now(self) -> datetime:
        return super()._now() if self._engine is None else self._engine.deliveries.time.now()

    async def _examine(self, report: Report) -> None:
        await super()._examine(report)
        engine = self._engine
        report.details["running"] = engine is not None
        if engine is None:
            return
        for name in engine.dead_duties():
            report.ill(f"{name} has ended")
        if engine.loop.trouble is not None:
            report.ill(f"the store fails: {error_text(engine.loop.trouble)}")
        if engine.outage.active:
            report.odd(engine.outage.reason)
        elif isinstance(self._transport, SupportsHealth):
            try:
                for reason in await self._transport.check():
                    report.odd(reason)
            except Exception as error:  # noqa: BLE001  # whatever it is, it is no good sign
                report.odd(f"the transport's check failed: {error_text(error)}")
        offset = engine.deliveries.time.offset
        report.details["clock_offset"] = offset
        if abs(offset) > _OFFSET:
            report.odd(f"this host's clock is {-offset.total_seconds():.1f} s off the store's")
        if engine.deliveries.saw_newer(within=_NEWER_FOR):
            report.odd("records of a newer format are waiting: upgrade this host")


def _raise_from(run: "asyncio.Task[None]") -> None:
    """Raise what ended a run, unless somebody cancelled it."""
    if not run.cancelled():
        run.result()
