"""Puts the parts of the engine together for one run, and keeps their duties alive."""

import asyncio
import functools
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import ClassVar, Final

from duly._caller.announcements import announcements_of
from duly._caller.calls import StoreCalls, cancelled_by_itself
from duly._caller.inquiry import Replies
from duly._engine.delivery import Deliveries
from duly._engine.glance import Glance
from duly._engine.introduction import Introduction, settings_of
from duly._engine.lanes import TICK, Lanes
from duly._engine.leases import Leases
from duly._engine.loop import Loop
from duly._engine.options import SchedulerOptions
from duly._engine.outage import Outage, Pauses
from duly._engine.presence import Presence
from duly._engine.probing import LONGEST_NAP
from duly._engine.pulse import Pulse
from duly._engine.takeover import Takeover
from duly._engine.waiting import ended_before
from duly._engine.workers import Workers
from duly._plugins.registry import Plugins
from duly._telemetry.gauges import Source
from duly._telemetry.logging import about, get_logger
from duly._telemetry.telemetry import Telemetry
from duly._values.error_text import error_text
from duly._values.publishing import Job
from duly._values.wording import decide_text
from duly.health import Report
from duly.recovery import Backoff
from duly.transport import SupportsBatches, Transport

__all__ = ["Engine"]

_NEWER_FOR: Final = 600.0  # seconds for which records of a newer format are told
_DRAIN: Final = timedelta(seconds=20)  # of a run that ends because a handler asks for it

log = get_logger()


class Engine:
    """One run of a scheduler, from the first claim to the last settlement."""

    lanes: ClassVar[type[Lanes[Job]]] = Lanes
    loops: ClassVar[type[Loop]] = Loop
    announces: ClassVar[bool] = True

    def __init__(
        self,
        calls: StoreCalls,
        transport: Transport,
        plugins: Plugins,
        telemetry: Telemetry,
        options: SchedulerOptions,
    ) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        plugins.owner = self.owner
        self.who: Mapping[str, object] = {"owner": self.owner, "store": telemetry.store}
        """What each line of its log has."""
        self.settings = settings_of(options, transport, calls.patience)
        """What the first line of its log has."""
        self.ready = asyncio.Event()
        """Set when the transport is open, or known to be away, and claiming begins."""
        self.ending: BaseException | None = None
        """KeyboardInterrupt or SystemExit, where a handler has asked the process to end."""
        self._told_as = options["error_text"]
        self._clock = asyncio.get_running_loop().time
        nap = max(LONGEST_NAP, options["poll_interval"].total_seconds())
        self.pulse = Pulse(slots=options["max_in_flight"], patience=calls.patience, nap=nap)
        self._duties: dict[str, asyncio.Task[None]] = {}
        with about(**self.who):  # what workers log has it too
            self.workers = Workers(
                transport,
                slots=options["max_in_flight"],
                timeout=options["publish_timeout"].total_seconds(),
                lanes=functools.partial(
                    self.lanes, options["max_in_flight"], options["batch_size"]
                ),
                wake=self._wake,
                end=self._end,
            )
        self.outage = Outage(
            transport,
            hold=self.workers.hold,
            resume=self.workers.resume,
            wake=self._wake,
            tell=telemetry.outage,
        )
        self.pulse.transport_up = lambda: not self.outage.away
        self.pulse.slots_used = lambda: self.workers.lanes.slots.running
        self.deliveries = Deliveries(
            calls,
            self.workers,
            self.outage,
            plugins,
            telemetry,
            owner=self.owner,
            lease=options["stuck_duration"],
            policy=Backoff() if options["recovery"] is None else options["recovery"],
            one_by_one=not isinstance(transport, SupportsBatches),
            most_bytes=options["max_bytes_in_flight"],
            told_as=options["error_text"],
            wake=self._wake,
        )
        self.hands = self.deliveries.hands
        self.source = Source(telemetry.store, self.pulse.here)
        glance = Glance(calls, self.deliveries.time)
        self._gauges = functools.partial(telemetry.watch, self.source, glance)
        self.leases = Leases(
            calls,
            self.hands.held,
            lease=options["stuck_duration"],
            keep_until=self.deliveries.keep_until,
            hold=self.workers.hold,
            resume=self.workers.resume,
            failed=telemetry.renew_failed,
        )
        self.loop = self.loops(
            calls,
            self.deliveries,
            self.workers,
            self.outage,
            batch_size=options["batch_size"],
            poll_interval=options["poll_interval"].total_seconds(),
            pulse=self.pulse,
            tell=telemetry.outage,
        )

        introduction = Introduction(
            self.owner,
            options,
            transport,
            workers=self.workers,
            hands=self.hands,
            outage=self.outage,
        )
        told = announcements_of(calls) if self.announces else None
        self.presence = Presence(told, introduction, self.hands, self.deliveries.time)
        self.takeover = Takeover(
            told, calls.store, instance=options["instance"], owner=self.owner, wake=self._wake
        )

    def _wake(self) -> None:
        self.loop.wake()

    async def run(self) -> None:
        """Open the transport, claim until stopped, drain, close the transport.

        Raises:
            Exception: what the transport's ``open`` raised, unless it was merely away.
        """
        try:
            await ended_before(self.loop.stopped, self.outage.open())
            for name, duty in self._all_duties().items():
                self._duties[name] = asyncio.create_task(self._keep(name, duty), name=name)
            await self.deliveries.controls.refresh()
            self.ready.set()
            await self.loop.run()
            await self.loop.drain()
            await self.deliveries.controls.drawing.end()
            await self.presence.leave()
        finally:
            self.presence.end()
            self.workers.begin_no_more()
            for task in self._duties.values():
                task.cancel()
            await self.loop.end()
            await self.deliveries.controls.end()
            await self.workers.close()
            try:
                await self.outage.close()
            except Exception as error:  # nothing is lost by it
                log.warning("transport_close_failed", exc_info=error)

    def stop(self, timeout: timedelta) -> None:
        """Claim no more, and cut publishes short when ``timeout`` has passed."""
        self.loop.stop(self._clock() + timeout.total_seconds())

    def _end(self, error: BaseException) -> None:
        if self.ending is None:
            if self._told_as is not None:
                decide_text(error, self._told_as)
            log.warning("handler_ends_process", error=error_text(error))
            self.ending = error
            self.stop(_DRAIN)

    def dead_duties(self) -> list[str]:
        """The duties that have ended although they never should; for health()."""
        return [name for name, task in self._duties.items() if task.done()]

    def examine(self, report: Report, replies: Replies) -> None:
        """Report how this run is doing; for health()."""
        report.details["last_turn_age"] = self.pulse.liveness().last_turn_age
        for name in self.dead_duties():
            report.ill(f"{name} has ended")
        if self.loop.trouble is not None:
            report.ill(f"the store fails: {error_text(self.loop.trouble)}")
        if self.outage.away:
            report.odd(self.outage.reason)
        else:
            replies.tell("transport", "the transport", report)
        for sentence in self.workers.lingering.sentences():
            report.odd(sentence)
        self.deliveries.time.examine(report)
        self.deliveries.controls.examine(report)
        self.takeover.examine(report)
        if self.deliveries.saw_newer(within=_NEWER_FOR):
            report.odd("records of a newer format are waiting: upgrade this host")

    def _all_duties(self) -> dict[str, Callable[[], Awaitable[None]]]:
        return {
            "duly-renew": self.leases.run,
            "duly-tick": self._tick,
            "duly-watch": self.loop.watch.run,
            "duly-gauges": self._gauges,
            "duly-controls": self.deliveries.controls.run,
            "duly-permits": self.deliveries.controls.drawing.run,
            "duly-presence": self.presence.run,
            "duly-takeover": self.takeover.run,
        }

    async def _keep(self, name: str, duty: Callable[[], Awaitable[None]]) -> None:
        """Run a duty, again when it fails."""
        pauses = Pauses()
        while True:
            try:
                await duty()
            except (Exception, asyncio.CancelledError) as error:  # a dead duty would cost more
                if isinstance(error, asyncio.CancelledError) and not cancelled_by_itself():
                    raise
                log.exception("duty_failed", duty=name)
                await asyncio.sleep(pauses.next())
            else:
                await asyncio.Event().wait()  # a duty with nothing to do here

    async def _tick(self) -> None:
        while True:
            await self.hands.some.wait()
            await asyncio.sleep(TICK)
            self.workers.lanes.spare = self.hands.spare(self.workers.lanes.waiting)
            self.workers.tick()
            self.hands.tick()
