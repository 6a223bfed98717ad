"""What a scheduler's runs are: begun, waited for, stopped."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final, Self

from duly._engine.engine import Engine
from duly._engine.opening import opened
from duly._engine.options import SchedulerOptions
from duly._engine.own_series import ensured
from duly._engine.programs import noting, run_here, run_to_the_end, until_signalled
from duly._telemetry.logging import about, get_logger
from duly.client import Client
from duly.errors import SchedulerStateError
from duly.moment import as_duration
from duly.transport import Transport

__all__ = ["Runs"]

_DRAIN: Final = timedelta(seconds=20)
_AFTERWARDS: Final = 10.0  # seconds, beside two calls of the store, to settle and close
_CANCELLED: Final = 2.0  # seconds to end for a run that was cancelled

log = get_logger()


class Runs(Client):
    """The verbs of a scheduler that a client has not."""

    _transport: Transport
    _options: SchedulerOptions
    _engine: Engine | None
    _run: asyncio.Task[None] | None
    _fallen: BaseException | None  # what ended the last run, unasked
    _troubles: Sequence[str]  # with the series of the transport
    _starters: int  # how many wait for a run to end, to be told how

    async def start(self) -> None:
        """Deliver until :meth:`stop` is called from elsewhere; then drain and return.

        Cancelling the task that runs this drains likewise. It waits for a store that is away,
        unless told not to; :meth:`stop` ends the waiting.

        A handler that raises SystemExit or KeyboardInterrupt, as ``sys.exit()`` does, ends it
        likewise, and what it raised goes on outwards from here.

        Raises:
            SchedulerStateError: it runs already, or has ended though nobody asked for it.
            StoreUnavailable: the store is away (``wait_for_store=False`` only).
            StoreError: the store cannot be used.
        """
        await self._run_to_its_end(None)

    async def _run_to_its_end(self, engine: Engine | None) -> None:
        self._starters += 1
        try:
            run = await self._begin(engine)
            await asyncio.wait([run])
        except asyncio.CancelledError:
            await self.stop()
            raise
        finally:
            self._starters -= 1
        _raise_from(run)
        if self._fallen is not None:
            raise self._fallen

    async def stop(self, timeout: timedelta = _DRAIN) -> None:  # noqa: ASYNC109  # it returns in any case, cutting publishes short
        """Claim no more, let publishes in flight end, settle, and return in any case.

        Publishes that have not ended after ``timeout`` are cancelled and their messages put back,
        uncounted. Without a run under way it returns at once. Of several calls the shortest
        timeout holds; cancelling this leaves no time at all. A handler that awaits it waits for
        itself until the timeout: let it start a task for that.
        """
        timeout = as_duration(timeout, "timeout", at_least=timedelta(0))
        engine, run = self._engine, run_here(self._run)
        if engine is None or run is None:
            return
        engine.stop(timeout)
        try:
            longest = timeout.total_seconds() + 2 * self._calls.patience + _AFTERWARDS
            await self._end_of(run, longest)
        except asyncio.CancelledError:
            engine.stop(timedelta(0))  # what is done is settled all the same
            raise
        if run.done() and not run.cancelled():
            run.exception()  # start() raises it, if anybody waits for that

    async def _end_of(self, run: "asyncio.Task[None]", seconds: float) -> None:
        """Wait for the end of a run; one that a store or transport keeps from ending is left."""
        if not (await asyncio.wait([run], timeout=seconds))[0]:
            run.cancel()
            if not (await asyncio.wait([run], timeout=_CANCELLED))[0]:
                log.error("run_does_not_end", seconds=seconds)
                self._run = self._engine = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Deliver in the background of an ``async with`` block; drains at its end.

        It waits for a store that is away before the block begins, unless told not to. After a
        :meth:`stop` meanwhile the block begins without deliveries. An error of the block's own is
        the one that is raised.

        Raises:
            SchedulerStateError: it runs already.
            StoreUnavailable: the store is away (``wait_for_store=False`` only).
            StoreError: the store cannot be used.
        """
        run = await self._begin()
        try:
            yield self
        except BaseException as error:
            with noting(error):
                await self.stop()
                _raise_from(run)
            raise
        else:
            await self.stop()
            _raise_from(run)

    def run(self) -> None:
        """Open, deliver until SIGINT or SIGTERM, drain and close: a whole main program.

        A second signal stops waiting for publishes. It waits for a store that is away, unless told
        not to; the first signal ends the waiting.

        Raises:
            StoreUnavailable: the store is away (``wait_for_store=False`` only).
            StoreError: the store cannot be used.
            SchedulerStateError: called where an event loop runs: use :meth:`running` there; or in
                another than the main thread: use :class:`duly.sync.Scheduler` there.
        """
        run_to_the_end(self._main)

    async def __aenter__(self) -> Self:
        await opened(self._calls, patient=self._options["wait_for_store"])
        return self

    async def close(self) -> None:
        """Stop, wait for calls under way, then close the store if it was made from a URL."""
        await self.stop()
        await super().close()

    async def _main(self) -> None:
        def stop(timeout: timedelta) -> None:
            if self._engine is not None:
                self._engine.stop(timeout)

        try:
            await until_signalled(self.start, stop)
        finally:
            await self.close()

    async def _begin(self, engine: Engine | None = None) -> asyncio.Task[None]:
        """Start a run; it claims already, or is about to, when this returns."""
        if run_here(self._run) is not None:
            raise SchedulerStateError("this scheduler runs already: stop it first")
        if engine is None:
            engine = Engine(
                self._calls, self._transport, self._plugins, self._telemetry, self._options
            )
        self._engine = engine
        run = asyncio.create_task(self._deliver(engine), name="duly-scheduler")
        if not run.done():  # where the loop starts tasks at once it may be over already
            self._run = run
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
        self._run, self._fallen = asyncio.current_task(), None
        try:
            with about(**engine.who), self._telemetry.showing(engine.source):
                await self._told(engine)
        except BaseException as error:
            self._fallen = error
            raise
        finally:
            if self._engine is engine:
                self._run = self._engine = None
        self._fallen = engine.ending
        if engine.ending is not None and not self._starters:
            # Nobody waits here: it ends the event loop, as out of any task.
            asyncio.get_running_loop().call_soon(_raise, engine.ending)

    async def _told(self, engine: Engine) -> None:
        """Run it, and tell of its beginning and its end."""
        log.info("scheduler_starting", **engine.settings)
        try:
            self._plugins.begin("duly_starting", scheduler=self)
            if not await opened(
                self._calls,
                patient=self._options["wait_for_store"],
                stopped=engine.loop.stopped,
                tell=self._telemetry.outage,
            ):
                return
            engine.pulse.store_up = True
            self._troubles = await ensured(self._transport, self.ensure, engine.loop.stopped)
            self._plugins.tell("duly_started", scheduler=self)
            try:
                await engine.run()
            finally:
                self._plugins.tell("duly_stopped", scheduler=self)
        finally:
            self._plugins.tell("duly_ended", scheduler=self)
            log.info("scheduler_stopped")


def _raise_from(run: "asyncio.Task[None]") -> None:
    """Raise what ended a run that nobody has asked to end."""
    if not run.done():  # it was left, and logged
        return
    if run.cancelled():
        raise SchedulerStateError("delivery has ended: somebody has cancelled its task from within")
    run.result()


def _raise(error: BaseException) -> None:
    raise error
