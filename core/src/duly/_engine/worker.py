"""One worker of the pool: what it publishes, and why that was cancelled."""

import asyncio
import math
from collections import deque
from collections.abc import Callable

from duly._engine.lanes import Lane
from duly._telemetry.logging import get_logger
from duly._values.publishing import Interrupted, Job, TimedOut, as_error

__all__ = ["Worker", "finish"]

log = get_logger()


class Worker:
    """A task that publishes one job after the other, or one chunk of jobs."""

    __slots__ = (
        "_rest", "abandoned", "cancelled_at", "reason", "started", "taken", "task", "used_up",
    )  # fmt: skip

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.taken: deque[tuple[Lane[Job], Job]] = deque()  # what it publishes just now
        self.started = 0.0
        self.reason: Exception | None = None  # why its publish was cancelled
        self.cancelled_at = 0.0
        self.abandoned = False
        self.used_up = False  # by what it published
        self._rest: asyncio.Future[None] | None = None

    @property
    def spent(self) -> bool:
        """Whether it is to publish no more: somebody has cancelled it, say."""
        return self.used_up or (self.task is not None and self.task.cancelling() > 0)

    def works(self, going_on: bool) -> None:  # the one thing there is to say
        """Count the time of a publish from when it really begins."""
        self.started = asyncio.get_running_loop().time() if going_on else math.inf

    def interrupt(self, reason: Exception, now: float) -> None:
        """Cancel what it publishes."""
        self.reason, self.cancelled_at = reason, now
        if self.task is not None:
            self.task.cancel()

    def judged(self, receipt: str | None, error: Exception | None) -> Exception | None:
        """How a publish ended, whether or not we have cut it short.

        What a publish raises after we interrupted it is not the message's fault. If it returns
        without a receipt after it has timed out, that does not mean that it was accepted.
        """
        if self.reason is None:
            return error
        if error is None:
            return self.reason if receipt is None and isinstance(self.reason, TimedOut) else None
        return self.reason if isinstance(self.reason, Interrupted) else error

    def odd_end(self, caught: BaseException, end: Callable[[BaseException], None]) -> Exception:
        """The answer of a publish that ended in what is no error.

        ``end`` is called if that asks the whole process to end.
        """
        if isinstance(caught, asyncio.CancelledError):
            if self.abandoned:
                raise caught
            return self.reason or as_error(caught)
        if isinstance(caught, KeyboardInterrupt | SystemExit):
            end(caught)
        elif isinstance(caught, GeneratorExit):  # this very coroutine may be told to end
            self.used_up = True
        return as_error(caught)

    async def rest(self) -> None:
        """Do nothing until :meth:`wake`."""
        self._rest = asyncio.get_running_loop().create_future()
        await self._rest

    def wake(self) -> None:
        """Look for a job again."""
        if self._rest is not None and not self._rest.done():
            self._rest.set_result(None)


def finish(job: Job, receipt: str | None, error: Exception | None) -> None:
    """Tell a job what became of it, whatever that raises."""
    try:
        job.finish(receipt, error)
    except BaseException:  # the worker has others to see to
        log.exception("finish_failed")
