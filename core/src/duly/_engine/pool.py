"""A pool of tasks: woken one by one, or each used once, and replaced when they end."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import Final

from duly._engine.worker import Worker
from duly._telemetry.logging import get_logger
from duly._values.limits import works

__all__ = ["Pool"]

_ABANDON_AFTER: Final = 1.0  # seconds that the last ones have to end
_AT_ONCE: Final = 64  # workers that begin together

log = get_logger()


class Pool:
    """At most ``size`` workers, each of which does ``work`` whenever it is woken.

    A worker that was cancelled, by us or by anybody, is not used again: what is left of a
    cancellation must not reach the next message. With ``once``, for work that runs code of users,
    each is used only once, in a context of its own. ``lost`` is called when one has ended,
    whatever ended it.
    """

    def __init__(
        self,
        size: int,
        work: Callable[[Worker], Awaitable[None]],
        lost: Callable[[Worker], None],
        *,
        once: bool,
    ) -> None:
        self._size = size
        self._work = work
        self._lost = lost
        self._once = once
        self._context = contextvars.copy_context()  # before anybody has changed it
        # In the order in which they began, so that a simulated life goes the same way again.
        self.workers: dict[Worker, None] = {}
        self._abandoned: dict[asyncio.Task[None], None] = {}
        self._resting: list[Worker] = []
        self.stirred: dict[Worker, None] = {}
        """Who is about to look for something to do."""
        self.over = False
        """Whether nobody is to begin any more."""

    def stir(self, ready: Callable[[], int]) -> None:
        """Have a worker look for something to do, which then stirs the next one.

        With ``once``, as many workers begin as there are things ``ready`` to be done.
        """
        if self.stirred or self.over:
            return
        if self._resting:
            worker = self._resting.pop()
            self.stirred[worker] = None
            worker.wake()
            return
        number = min(ready(), _AT_ONCE) if self._once else 1
        for _ in range(min(number, self._size - len(self.workers))):
            worker = Worker()
            self.stirred[worker] = self.workers[worker] = None
            worker.task = asyncio.create_task(
                self._live(worker), name="duly-worker", context=self._context.copy()
            )

    def abandon(self, worker: Worker) -> None:
        """Go on without a worker that does not end."""
        worker.abandoned = True
        self.workers.pop(worker, None)
        if worker.task is not None:
            self._abandoned[worker.task] = None
            worker.task.add_done_callback(self._abandoned.pop)

    async def close(self) -> None:
        """End all workers; what still runs is cancelled and forgotten."""
        self.over = True
        tasks = [*self._abandoned]
        for worker in self.workers:
            worker.abandoned = True  # one whose publish goes on ends with it
            if worker.task is not None:
                tasks.append(worker.task)
        self.workers.clear()
        self._resting.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_ABANDON_AFTER)

    def look_after(self) -> None:
        """Call this now and then: a worker cancelled before it began has told nobody."""
        for worker in [each for each in self.workers if each.task and each.task.done()]:
            self._gone(worker)

    async def _live(self, worker: Worker) -> None:
        try:
            if worker.task is None:  # the loop starts tasks before they are known to anybody
                worker.task = asyncio.current_task()
                await asyncio.sleep(0)
            works.set(worker.works)
            while True:
                self.stirred.pop(worker, None)
                await self._work(worker)
                if self._once or worker.abandoned or worker.spent:
                    return
                self._resting.append(worker)
                await worker.rest()
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # whatever it is, another takes its place
            log.exception("worker_failed")
        finally:
            self._gone(worker)

    def _gone(self, worker: Worker) -> None:
        if worker in self._resting:
            self._resting.remove(worker)
        self.stirred.pop(worker, None)
        if worker in self.workers:
            del self.workers[worker]
            self._lost(worker)
