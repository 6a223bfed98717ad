"""Puts the rooms of the engine together for one run, and keeps their duties alive."""

import asyncio
import functools
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import attrs

from duly._calls import StoreCalls, cancelled_by_itself
from duly._delivery import Deliveries
from duly._leases import Leases
from duly._logging import get_logger
from duly._loop import Loop
from duly._outage import Outage, Pauses
from duly._plugins import Plugins
from duly._telemetry import Telemetry
from duly._workers import Workers
from duly.recovery import Policy
from duly.transport import SupportsBatches, Transport

__all__ = ["Engine", "Options"]

_TICK: Final = 0.05  # seconds between two looks at deadlines and batches in hand

log = get_logger()


@attrs.frozen(kw_only=True)
class Options:
    """How a scheduler runs; see there."""

    poll_interval: timedelta
    batch_size: int
    stuck_duration: timedelta
    max_in_flight: int
    publish_timeout: timedelta
    policy: Policy


class Engine:
    """One run of a scheduler, from the first claim to the last settlement."""

    def __init__(
        self,
        calls: StoreCalls,
        transport: Transport,
        plugins: Plugins,
        telemetry: Telemetry,
        options: Options,
    ) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.ready = asyncio.Event()
        """Set when the transport is open, or known to be away, and claiming begins."""
        self._clock = asyncio.get_running_loop().time
        self._duties: dict[str, asyncio.Task[None]] = {}
        self.workers = Workers(
            transport,
            slots=options.max_in_flight,
            timeout=options.publish_timeout.total_seconds(),
            keep=max(1, options.batch_size // 2),
        )
        self.outage = Outage(transport, hold=self.workers.hold, wake=self._wake)
        self.deliveries = Deliveries(
            calls,
            self.workers,
            self.outage,
            plugins,
            telemetry,
            owner=self.owner,
            lease=options.stuck_duration,
            policy=options.policy,
            one_by_one=not isinstance(transport, SupportsBatches),
            wake=self._wake,
        )
        self.hands = self.deliveries.hands
        self._gauges = functools.partial(telemetry.watch, calls, self.deliveries.time)
        self.leases = Leases(
            calls,
            self.hands.held,
            lease=options.stuck_duration,
            keep_until=self.deliveries.keep_until,
            hold=self.workers.hold,
            resume=self.workers.resume,
        )
        self.loop = Loop(
            calls,
            self.deliveries,
            self.workers,
            self.outage,
            batch_size=options.batch_size,
            poll_interval=options.poll_interval.total_seconds(),
        )

    def _wake(self) -> None:
        self.loop.wake()

    async def run(self) -> None:
        """Open the transport, claim until stopped, drain, close the transport.

        Raises:
            Exception: what the transport's ``open`` raised, unless it was merely away.
        """
        try:
            await self._open()
            for name, duty in self._all_duties().items():
                self._duties[name] = asyncio.create_task(self._keep(name, duty), name=name)
            self.ready.set()
            await self.loop.run()
            await self.loop.drain()
        finally:
            for task in self._duties.values():
                task.cancel()
            await self.loop.end()
            await self.workers.close()
            try:
                await self.outage.close()
            except Exception as error:  # nothing is lost by it
                log.warning("transport_close_failed", exc_info=error)

    def stop(self, timeout: timedelta) -> None:
        """Claim no more, and cut publishes short when ``timeout`` has passed."""
        self.loop.stop(self._clock() + timeout.total_seconds())

    def dead_duties(self) -> list[str]:
        """The duties that have ended although they never should; for health()."""
        return [name for name, task in self._duties.items() if task.done()]

    async def _open(self) -> None:
        """Open the transport, unless stopped before it is."""
        opening = asyncio.create_task(self.outage.open())
        stopped = asyncio.create_task(self.loop.stopped.wait())
        try:
            await asyncio.wait([opening, stopped], return_when=asyncio.FIRST_COMPLETED)
            if opening.done():
                opening.result()
        finally:
            opening.cancel()
            stopped.cancel()

    def _all_duties(self) -> dict[str, Callable[[], Awaitable[None]]]:
        return {
            "duly-renew": self.leases.run,
            "duly-tick": self._tick,
            "duly-watch": self.loop.watch,
            "duly-gauges": self._gauges,
        }

    async def _keep(self, name: str, duty: Callable[[], Awaitable[None]]) -> None:
        """Run a duty, again when it fails."""
        pauses = Pauses()
        while True:
            try:
                await duty()
            except (Exception, asyncio.CancelledError) as error:  # one that died would cost more
                if isinstance(error, asyncio.CancelledError) and not cancelled_by_itself():
                    raise
                log.exception("duty_failed", duty=name)
                await asyncio.sleep(pauses.next())
            else:
                await asyncio.Event().wait()  # a duty with nothing to do here

    async def _tick(self) -> None:
        while True:
            await self.hands.some.wait()
            await asyncio.sleep(_TICK)
            self.workers.tick()
            self.hands.tick()
