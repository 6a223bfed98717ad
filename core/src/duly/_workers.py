"""For how long a publish may take: a pool of lasting workers, and the deadlines of what they do.

Workers are started as they are needed and stay, so that a message costs no task and no timer of
its own: one ticker looks after all of them.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, cast

from duly._job import BY_ITSELF, Interrupted, Job, TimedOut, error_of
from duly._lanes import Lane, Lanes
from duly.errors import TransportError
from duly.transport import Envelope, SupportsBatches, Transport

__all__ = ["Workers"]

_ABANDON_AFTER: Final = 1.0  # seconds between cancelling a publish and going on without it
_TICK: Final = 0.05  # seconds until the next look at the deadlines
_YIELD_MESSAGES: Final = 256
_YIELD_SECONDS: Final = 0.005
_CHUNK: Final = 100  # messages of one publish_many


class _Worker:
    __slots__ = ("abandoned", "cancelled_at", "reason", "rest", "started", "taken", "task")

    task: asyncio.Task[None]

    def __init__(self) -> None:
        self.taken: Sequence[tuple[Lane[Job], Job]] = ()  # what it publishes just now
        self.started = 0.0
        self.reason: Exception | None = None  # why its publish was cancelled
        self.cancelled_at = 0.0
        self.abandoned = False
        self.rest: asyncio.Future[None] | None = None

    def end_cancel(self) -> None:
        """Forget a cancellation of ours that has done its work."""
        self.reason = None
        self.task.uncancel()

    def judge(self, error: Exception | None) -> Exception | None:
        """How a publish ended: what one that we interrupted raises is not the message's fault."""
        return self.reason if error is not None and isinstance(self.reason, Interrupted) else error


class Workers:
    """Publishes jobs on at most ``slots`` slots; a publish takes at most ``timeout`` seconds."""

    def __init__(self, transport: Transport, *, slots: int, timeout: float, keep: int) -> None:
        self.lanes: Lanes[Job] = Lanes(slots, keep)
        self._transport = transport
        self._timeout = timeout
        self._clock = asyncio.get_running_loop().time
        # In the order in which they began, so that a simulated life goes the same way again.
        self._workers: dict[_Worker, None] = {}
        self._abandoned: dict[asyncio.Task[None], None] = {}
        self._resting: list[_Worker] = []
        self._stirring = False
        self._latest: _Worker | None = None  # who started a publish last
        self._held: set[str] = set()

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queue jobs; what finds no room is finished as Interrupted at once."""
        for job, pause in self.lanes.add(jobs, self._clock()):
            job.finish(None, Interrupted("no slot", pause))
        self._stir()

    def hold(self, reason: str) -> None:
        """Start no publish until :meth:`resume` was called for every reason given."""
        self._held.add(reason)

    def resume(self, reason: str) -> None:
        """Take one reason to hold back."""
        if reason in self._held:
            self._held.discard(reason)
            self._stir()

    def send_back(self, reason: str) -> None:
        """Finish all waiting jobs as Interrupted."""
        for job in self.lanes.empty():
            job.finish(None, Interrupted(reason))

    def cut_short(self, reason: str) -> None:
        """Cancel all publishes in flight; their jobs end as Interrupted."""
        for worker in self._workers:
            if worker.taken and worker.reason is None:
                self._interrupt(worker, Interrupted(reason), self._clock())

    def tick(self) -> None:
        """To be called some twenty times a second: deadlines, claims that end, stalled lanes."""
        now = self._clock()
        for worker in list(self._workers):
            if not worker.taken:
                continue
            if worker.reason is not None:
                if now - worker.cancelled_at >= _ABANDON_AFTER:
                    self._abandon(worker, now)
            elif now - worker.started >= self._timeout:
                error = TimedOut(f"publish took longer than {self._timeout:g} s")
                self._interrupt(worker, error, now)
            elif any(now + _TICK > job.keep_until() for _, job in worker.taken):
                self._interrupt(worker, Interrupted("its claim is no longer certain"), now)
        for job, pause in self.lanes.refuse_stalled(now):
            job.finish(None, Interrupted("no slot", pause))

    async def close(self) -> None:
        """End all workers; what still runs is cancelled and forgotten."""
        for worker in self._workers:
            worker.abandoned = True  # one whose publish goes on ends with it
        tasks = [*(worker.task for worker in self._workers), *self._abandoned]
        self._workers.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_ABANDON_AFTER)

    def _interrupt(self, worker: _Worker, reason: Exception, now: float) -> None:
        worker.reason, worker.cancelled_at = reason, now
        worker.task.cancel()

    def _abandon(self, worker: _Worker, now: float) -> None:
        worker.abandoned = True
        self._workers.pop(worker, None)
        self._abandoned[worker.task] = None
        worker.task.add_done_callback(self._abandoned.pop)
        for lane, job in worker.taken:
            job.finish(None, worker.reason)
            self.lanes.leave(lane, now, earned=False)
        self._stir()

    def _stir(self) -> None:
        """See to it that a worker looks for a job; it will stir the next one if there are more."""
        if self._stirring or self._held or not self.lanes.startable:
            return
        if self._resting:
            worker = self._resting.pop()
            if worker.rest is not None and not worker.rest.done():
                worker.rest.set_result(None)
                self._stirring = True
        elif len(self._workers) < self.lanes.slots:
            worker = _Worker()
            self._workers[worker] = None
            worker.task = asyncio.create_task(self._work(worker), name="duly-worker")
            self._stirring = True

    async def _rest(self, worker: _Worker) -> None:
        worker.rest = asyncio.get_running_loop().create_future()
        self._resting.append(worker)
        await worker.rest
        self._stirring = False

    async def _work(self, worker: _Worker) -> None:
        many = isinstance(self._transport, SupportsBatches)
        self._stirring = False
        while True:
            # Apart from here, so that a worker at rest keeps nothing of what it published.
            await (self._publish_many(worker) if many else self._publish(worker))
            if worker.abandoned:
                return
            await self._rest(worker)

    async def _publish(self, worker: _Worker) -> None:
        publish, take, leave, clock = (
            self._transport.publish, self.lanes.take, self.lanes.leave, self._clock,
        )  # fmt: skip
        yielded_at = now = clock()
        count = 0
        while not self._held and (taken := take(now)) is not None:
            self._stir()
            lane, job = taken
            envelope, earned = job.start(now), True
            if envelope is not None:
                receipt: str | None = None
                error: Exception | None = None
                worker.taken, worker.started = (taken,), now
                self._latest = worker
                try:
                    receipt = await publish(envelope)
                except asyncio.CancelledError:
                    error = self._why(worker)
                except Exception as caught:  # noqa: BLE001  # whatever it raises is its answer
                    error = caught
                if worker.abandoned:
                    return
                earned = worker.reason is None
                if not earned:
                    error = worker.judge(error)
                    worker.end_cancel()
                worker.taken = ()
                job.finish(receipt, error)
            started, now = now, clock()
            leave(lane, now, earned=earned, took=now - started)
            if self._latest is not worker:  # others had their turn while it waited
                yielded_at = now
            count += 1
            if now - yielded_at > _YIELD_SECONDS or not count % _YIELD_MESSAGES:
                await asyncio.sleep(0)
                yielded_at = now = clock()

    async def _publish_many(self, worker: _Worker) -> None:
        transport = cast(SupportsBatches, self._transport)
        while taken := self._take_many(now := self._clock()):
            self._stir()
            worker.taken, worker.started = [each for each, _ in taken], now
            outcomes: Sequence[Any]
            try:
                outcomes = await transport.publish_many([envelope for _, envelope in taken])
                if len(outcomes) != len(taken):
                    text = f"publish_many gave {len(outcomes)} outcomes for {len(taken)} messages"
                    outcomes = [TransportError(text)] * len(taken)
            except asyncio.CancelledError:
                outcomes = [self._why(worker)] * len(taken)
            except Exception as caught:  # noqa: BLE001  # whatever it raises is its answer
                outcomes = [caught] * len(taken)
            if worker.abandoned:
                return
            earned = worker.reason is None
            answers = [(outcome, worker.judge(error_of(outcome))) for outcome in outcomes]
            if not earned:
                worker.end_cancel()
            worker.taken = ()
            now = self._clock()
            for ((lane, job), _), (outcome, error) in zip(taken, answers, strict=True):
                job.finish(outcome if error is None else None, error)
                self.lanes.leave(lane, now, earned=earned, took=now - worker.started)
            await asyncio.sleep(0)

    def _take_many(self, now: float) -> list[tuple[tuple[Lane[Job], Job], Envelope]]:
        found: list[tuple[tuple[Lane[Job], Job], Envelope]] = []
        while len(found) < _CHUNK and not self._held:
            taken = self.lanes.take(now)
            if taken is None:
                break
            envelope = taken[1].start(now)
            if envelope is None:
                self.lanes.leave(taken[0], now, earned=True)
            else:
                found.append((taken, envelope))
        return found

    def _why(self, worker: _Worker) -> Exception:
        """Why a publish ended in CancelledError; raises it again when we are to end ourselves."""
        if worker.reason is not None:
            return worker.reason
        if worker.task.cancelling():
            raise  # noqa: PLE0704  # called while CancelledError is being handled
        return TransportError(BY_ITSELF)
