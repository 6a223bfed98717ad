"""For how long a publish may take: a pool of workers, and the deadlines of what they do.

Workers are started as they are needed and stay, so that a message costs no task of its own, except
where functions of users are called (``own_tasks``). It never costs a timer: one ticker looks
after all of them. Whatever ends a worker, what it held gets an answer.
"""

import asyncio
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from duly._engine.lanes import TICK, Lanes
from duly._engine.limits import ToldLimits
from duly._engine.lingering import NOBODY, Lingering
from duly._engine.pool import Pool
from duly._engine.worker import Worker, finish
from duly._telemetry.logging import get_logger
from duly._values.answers import outcomes_of, receipt_of
from duly._values.publishing import Interrupted, Job, StillRunning, TimedOut
from duly.transport import Envelope, Limits, SupportsBatches, Transport

__all__ = ["Workers"]

_ABANDON_AFTER: Final = 1.0  # seconds between cancelling a publish and going on without it
_LOST: Final = 1.0  # seconds for which to put back what a worker held that has ended
_YIELD_MESSAGES: Final = 256
_YIELD_SECONDS: Final = 0.005
_CHUNK: Final = 100  # messages of one publish_many

log = get_logger()


class Workers:
    """Publishes jobs on at most ``slots`` slots; a publish takes at most ``timeout`` seconds.

    ``lanes`` makes the queues. ``wake`` is called when what :attr:`hungry` waits for has
    come, ``end`` with an exception of a handler that asks the whole process to end.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        slots: int,
        timeout: float,
        lanes: Callable[[Limits], Lanes[Job]],
        wake: Callable[[], None],
        end: Callable[[BaseException], None],
    ) -> None:
        self._transport = transport
        self.limits = ToldLimits(transport)
        self.lanes = lanes(self.limits.now)
        self._timeout = timeout
        self.lanes.held_back.wake = self._wake = wake
        self._end = end
        self._clock = asyncio.get_running_loop().time
        work = self._publish_many if isinstance(transport, SupportsBatches) else self._publish
        self._once = getattr(type(transport), "own_tasks", False) is True
        lost = functools.partial(self._let_go, error=Interrupted("its worker has ended", _LOST))
        self._pool = Pool(slots, work, lost, once=self._once)
        self._latest: Worker | None = None  # who started a publish last
        self._held: set[str] = set()
        self._until = math.inf  # no publish begins later, in loop time
        self.lingering = Lingering(self.lanes, self.stir)
        self.hungry = False
        """Whether to wake the loop as soon as all that can start has started."""

    def submit(self, jobs: Sequence[Job], *, took: float, in_any_case: bool = False) -> set[Job]:
        """Queue jobs whose claim ``took`` so long; those not to wait here end as Interrupted."""
        self._look_at_limits()
        sent_back = self.lanes.add(jobs, self._clock(), took=took, in_any_case=in_any_case)
        self.lanes.held_back.kept(len(sent_back) < len(jobs) or not jobs)
        self._send_back(sent_back)
        self.stir()
        return {job for job, _ in sent_back}

    def hold(self, reason: str) -> None:
        """Start no publish until :meth:`resume` was called for every reason given."""
        self._held.add(reason)

    def resume(self, reason: str) -> None:
        """Withdraw a reason that :meth:`hold` was given."""
        if reason in self._held:
            self._held.discard(reason)
            self.stir()

    def begin_until(self, moment: float) -> None:
        """No publish begins from that moment of loop time on."""
        self._until = moment
        self.stir()

    def send_back(self, reason: str) -> None:
        """Finish all waiting jobs as Interrupted."""
        for job in self.lanes.empty():
            finish(job, None, Interrupted(reason))

    def cut_short(self, reason: str) -> None:
        """Cancel all publishes in flight; their jobs end as Interrupted."""
        for worker in [each for each in self._pool.workers if each.taken and each.reason is None]:
            worker.interrupt(Interrupted(reason), self._clock())
        self.lingering.give_up(reason)

    def tick(self) -> None:
        """Call this every :data:`TICK`: deadlines, claims that end, names without a slot."""
        now, most, uncertain = self._clock(), self._timeout, 0
        for worker in [each for each in self._pool.workers if each.taken]:
            if worker.reason is not None:
                if now - worker.cancelled_at >= _ABANDON_AFTER:
                    self._pool.abandon(worker)
                    self._let_go(worker, worker.reason)
            elif now - worker.started >= (timeout := self.limits.longest(worker.taken, most)):
                worker.interrupt(TimedOut(f"publish took longer than {timeout:g} s"), now)
            elif any(now + TICK > job.keep_until() for _, job in worker.taken):
                worker.interrupt(Interrupted("its claim is no longer certain"), now)
                uncertain += 1
        if uncertain:  # another scheduler may begin them again
            log.warning("publishes_cut_short", count=uncertain, reason="claims are not certain")
        self._pool.look_after()
        self.lingering.tick(now + TICK)
        self._look_at_limits()
        self._send_back(self.lanes.tick(now))

    def begin_no_more(self) -> None:
        """Call this when the run ends: a worker that ends is not replaced from then on."""
        self._pool.over = True

    async def close(self) -> None:
        """End all workers; what still runs is cancelled and forgotten."""
        self.lingering.give_up("closing")
        await self._pool.close()

    def _send_back(self, jobs: Sequence[tuple[Job, float]]) -> None:
        for job, pause in jobs:
            aside = self.lanes.held_back.at_its_place(job.name)
            finish(job, None, Interrupted("no slot", pause, aside=aside))

    def _look_at_limits(self) -> None:
        if self.limits.changed():
            self.lanes.limit(self.limits.now, self._clock())
            self.stir()

    def _let_go(self, worker: Worker, error: Exception) -> None:
        """Answer for the jobs of a worker that has ended, or is taken for ended."""
        now = self._clock()
        while worker.taken:
            lane, job = worker.taken.popleft()
            finish(job, None, error)
            self.lanes.leave(lane, now, earned=False, took=now - worker.started)
        self.stir()

    def stir(self) -> None:
        """Have a worker look for a job; it will stir the next one if there are more."""
        if self._held:
            return
        if self.lanes.turns.waiting:
            if self._until == math.inf or self._clock() < self._until:
                self._pool.stir(self.lanes.ready)
        elif self.hungry:
            self.hungry = False
            self._wake()

    async def _publish(self, worker: Worker) -> None:
        publish, take, leave, clock = (
            self._transport.publish, self.lanes.take, self.lanes.leave, self._clock,
        )  # fmt: skip
        stirred, waiting = self._pool.stirred, self.lanes.turns.waiting
        cancelling, held = cast(asyncio.Task[None], worker.task).cancelling, worker.taken
        yielded_at, count = (now := clock()), 0
        while not self._held and now < self._until and (taken := take(now)) is not None:
            held.append(taken)
            if not (stirred and waiting):
                self.stir()
            lane, job = taken
            envelope = job.start(now)
            worker.started = now
            if envelope is not None:
                receipt: Any = None
                error: Exception | None = None
                self._latest = worker
                try:
                    receipt = await publish(envelope)
                    if receipt is not None and type(receipt) is not str:
                        receipt, error = receipt_of(receipt)
                except Exception as caught:  # noqa: BLE001  # whatever it raises is its answer
                    error = caught
                except BaseException as caught:  # noqa: BLE001  # even what is no error
                    job, error = self._odd_answer(worker, job, caught)
                if worker.abandoned:
                    return
                job.finish(receipt, worker.judged(receipt, error))
            held.pop()
            started, now = now, clock()
            begun = envelope is not None
            leave(lane, now, earned=worker.reason is None, took=now - started, begun=begun)
            if self._once or cancelling() or worker.used_up:
                return
            # Others had their turn if it waited.
            yielded_at, count = yielded_at if self._latest is worker else now, count + 1
            if now - yielded_at > _YIELD_SECONDS or not count % _YIELD_MESSAGES:
                await asyncio.sleep(0)
                yielded_at = now = clock()

    async def _publish_many(self, worker: Worker) -> None:
        transport = cast(SupportsBatches, self._transport)
        while envelopes := self._take_many(worker, now := self._clock()):
            worker.started, size = now, len(envelopes)
            self.stir()
            try:
                outcomes = outcomes_of(await transport.publish_many(envelopes), size)
            except Exception as caught:  # noqa: BLE001  # whatever it raises is its answer
                outcomes = [(None, caught)] * size
            except BaseException as caught:  # noqa: BLE001  # even what is no error
                outcomes = [(None, worker.odd_end(caught, self._end))] * size
            if worker.abandoned:
                return
            now, earned = self._clock(), worker.reason is None
            for receipt, error in outcomes:
                lane, job = worker.taken[0]
                job.finish(receipt, worker.judged(receipt, error))
                self.lanes.leave(lane, now, earned=earned, took=now - worker.started)
                worker.taken.popleft()
            if self._once or worker.spent:
                return
            await asyncio.sleep(0)

    def _take_many(self, worker: Worker, now: float) -> list[Envelope]:
        envelopes: list[Envelope] = []
        while len(envelopes) < _CHUNK and not self._held and now < self._until:
            if (taken := self.lanes.take(now)) is None:
                break
            worker.taken.append(taken)
            envelope = taken[1].start(now)
            if envelope is None:
                worker.taken.pop()
                self.lanes.leave(taken[0], now, earned=True, begun=False)
            else:
                envelopes.append(envelope)
        return envelopes

    def _odd_answer(
        self, worker: Worker, job: Job, caught: BaseException
    ) -> tuple[Job, Exception | None]:
        """The answer of a publish that ended in what is no error, and the job to give it to now."""
        if isinstance(caught, StillRunning) and isinstance(worker.reason, TimedOut):
            self.lingering.add(worker.taken[0][0], job, caught.outcome, worker.started)
            job.lingers(worker.reason)
            return NOBODY, None
        return job, worker.odd_end(caught, self._end)
