"""The thread that carries what waits to the database, however long that is away."""

import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

import attrs

from duly import DulyError
from duly_history.batch import Batch
from duly_history.errors import HistoryError, HistoryUnavailable, Unfit
from duly_history.ledger import Ledger
from duly_history.queue import Dropped, Queue, Told
from duly_history.upkeep import Upkeep

__all__ = ["Writer"]

_GATHER: Final = 0.1  # seconds that what comes is gathered for one transaction
_BEAT: Final = 5.0  # seconds between two signs of life
_SOONEST: Final = 0.2  # seconds until another try, then twice as long each time
_LATEST: Final = 10.0
_LAST: Final = 5.0  # seconds to write the rest when it is closed
_AT_ONCE: Final = 5000  # entries of a transaction

log = logging.getLogger("duly.history")

MakeBatch = Callable[[int, list[Told], Dropped | None], Batch]


@attrs.frozen(eq=False)
class _Job:
    """Something to write before all that waits, and to answer for."""

    work: Callable[[], None]
    future: "Future[None]"
    lasting: bool  # tried again and again until it is done


class Writer:
    """Begins with the first thing to write. Any thread may use it; it never waits for the database.

    ``batch_of`` makes a batch of what was taken out of the ``queue``.
    """

    def __init__(self, ledger: Ledger, queue: Queue, upkeep: Upkeep, batch_of: MakeBatch) -> None:
        self.ledger = ledger
        self._queue = queue
        self._upkeep = upkeep
        self._batch_of = batch_of
        self._sequence = 0
        self._batch: Batch | None = None
        self._jobs: deque[_Job] = deque()
        self._flushes: deque[Future[None]] = deque()
        self.busy = threading.Lock()
        """Held while it uses the database."""
        self._woken, self._urgent = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._closing: float | None = None  # by when, in monotonic time
        self._ended = False
        self._beaten = 0.0
        self._away = False
        self._thread = threading.Thread(target=self._run, name="duly-history", daemon=True)
        self._thread.start()
        atexit.register(self.close, wait=True)

    @property
    def open(self) -> bool:
        """Whether it takes more: not once it is closed."""
        return self._closing is None

    def reopen(self) -> bool:
        """Take more after all; False if it has ended."""
        with self._lock:
            if not self._ended:
                self._closing = None
            return not self._ended

    def wake(self) -> None:
        """Something was put into the queue."""
        if not self._woken.is_set():
            self._woken.set()

    def do(self, work: Callable[[], None], *, lasting: bool = False) -> "Future[None]":
        """Write this first, and at once; the answer is its end."""
        job = _Job(work, Future(), lasting)
        self._jobs.append(job)
        self._hurry()
        return job.future

    def flush(self) -> "Future[None]":
        """Write all that was put into the queue until now; the answer comes when it is written."""
        future: Future[None] = Future()
        self._flushes.append(future)
        self._hurry()
        return future

    def close(self, *, wait: bool = False) -> None:
        """Write the rest and end, in some seconds at most, whether or not that succeeds."""
        with self._lock:
            if self._closing is None:
                self._closing = time.monotonic() + _LAST
        self._hurry()
        if wait:
            self._thread.join(_LAST + 1)

    def _hurry(self) -> None:
        self._woken.set()
        self._urgent.set()

    def _run(self) -> None:
        pause = 0.0
        while True:
            self._woken.wait(_BEAT)
            if not self._urgent.is_set():
                self._urgent.wait(_GATHER)
            closing = self._closing
            self._woken.clear()
            self._urgent.clear()
            try:
                with self.busy:
                    self._turn()
                pause, self._away = 0.0, False
            except Exception as error:  # noqa: BLE001  # a fault of ours must not end it
                self._failed(error)
                pause = min(max(_SOONEST, pause * 2), _LATEST)
            if closing is not None and (not pause or time.monotonic() >= closing) and self._end():
                break
            if pause:
                self._woken.set()
                self._urgent.wait(pause if closing is None else _SOONEST)
        if self._batch is not None:
            self._queue.written(self._batch.number)  # it is lost, and this process is missed
        self.ledger.rest()
        atexit.unregister(self.close)
        self._answer(HistoryUnavailable("the history was closed"))

    def _end(self) -> bool:
        with self._lock:
            self._ended = self._closing is not None
            return self._ended

    def _turn(self) -> None:
        """Write all there is."""
        self.ledger.prepare()
        now, flushes = time.monotonic(), len(self._flushes)
        if now - self._beaten >= _BEAT and self._closing is None:
            self.ledger.beat()
            self._upkeep.name_the_killed(self.ledger.source)
            self._beaten = now
        self._do_jobs()
        while self._next() is not None:
            self._write()
            self._do_jobs()
        for _ in range(flushes):
            self._flushes.popleft().set_result(None)
        if self._closing is not None and not self._jobs:
            self.ledger.leave()
            return
        if self._upkeep.tidy():
            self._woken.set()

    def _next(self) -> Batch | None:
        if self._batch is None:
            told, hole = self._queue.take(_AT_ONCE)
            if told or hole is not None:
                self._sequence += 1
                self._batch = self._batch_of(self._sequence, told, hole)
        return self._batch

    def _write(self) -> None:
        batch = self._batch
        assert batch is not None  # noqa: S101  # the caller has looked
        try:
            self.ledger.write(batch)
        except Unfit as error:
            log.exception("history_unfit")
            self.ledger.give_up(batch, f"the database refused it: {error}"[:500])
        self._batch = None
        self._queue.written(batch.number)

    def _do_jobs(self) -> None:
        while self._jobs:
            job = self._jobs[0]
            if job.lasting or job.future.set_running_or_notify_cancel():
                try:
                    job.work()
                except Exception as error:
                    if job.lasting and not isinstance(error, Unfit):
                        raise  # it stays the first
                    self._jobs.popleft()
                    if not job.future.done():
                        job.future.set_exception(error)
                    raise
                if not job.future.done():
                    job.future.set_result(None)
            self._jobs.popleft()

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, HistoryUnavailable):
            self.ledger.doubt()
        if not self._away:
            self._away = True
            told = isinstance(error, DulyError)
            text = str(error) if told else f"{type(error).__name__}: {error}"
            log.warning(
                "history_away: %s; %d entries wait", text, len(self._queue), exc_info=not told
            )
        self._answer(error if isinstance(error, HistoryError) else HistoryError(str(error)))

    def _answer(self, error: HistoryError) -> None:
        """Whoever waits need not wait on."""
        for _ in range(len(self._jobs)):
            job = self._jobs.popleft()
            _refuse(job.future, error)
            if job.lasting:
                self._jobs.append(job)
        while self._flushes:
            _refuse(self._flushes.popleft(), error)


def _refuse(future: "Future[None]", error: HistoryError) -> None:
    if not future.done() and (future.running() or future.set_running_or_notify_cancel()):
        future.set_exception(error)
