"""Takes what hooks tell, and answers for what people change; any number of clients may use one."""

import asyncio
import contextlib
import functools
import itertools
import os
import secrets
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Final

from duly import Change, Changing
from duly_history import audit
from duly_history.batch import batch_of
from duly_history.database import Database
from duly_history.errors import HistoryUnavailable
from duly_history.ledger import Ledger
from duly_history.queue import Queue, Told
from duly_history.rows import Picked, instant
from duly_history.upkeep import Upkeep
from duly_history.values import What
from duly_history.writer import Writer

__all__ = ["Recorder", "Silence"]

_PATIENCE: Final = 10.0  # seconds for the row of a change to be written before it is made
_ENDING: Final = 2.0  # seconds to wait for how it ended; it is written in any case
_FORK: Final = 2.0  # seconds for the database to be at rest
_KNOWN: Final = 10_000  # event names of which is remembered whether they are wanted


class Recorder:
    """Writes to a database, in the background, what became of messages of the event names ``of``.

    The arguments are those of :class:`duly_history.History`.
    """

    def __init__(
        self,
        database: Database,
        *,
        keep: timedelta,
        keep_changes: timedelta,
        of: Sequence[str],
        messages: bool,
        audit: bool,
        most_waiting: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._keep = keep, keep_changes
        wanted = functools.lru_cache(_KNOWN)(functools.partial(_matches, tuple(of)))
        self._wanted = None if "*" in of else wanted
        self._messages = messages
        self._audit = audit
        self._most = most_waiting
        self._clock = clock
        self._lock = threading.Lock()
        self._turns = itertools.count()
        self._held: threading.Lock | None = None
        self._writer: Writer | None = None
        self._changes: dict[str, Future[None]] = {}  # that are under way
        self._begin()

    def put(
        self, what: What, owner: str | None, picked: Picked, at: datetime | None = None
    ) -> None:
        """Keep this, of now unless told; it returns at once, whatever the state of the database."""
        if picked:
            writer = self.writer()
            self._queue.put(Told(what, at or self._clock(), owner or self._process, picked))
            writer.wake()

    def begin(self) -> None:
        """Make this process known, so that it is missed if it is killed."""
        self.writer().wake()

    def writer(self) -> Writer:
        """The one that writes just now; after a fork the child has one of its own."""
        writer = self._writer
        if writer is not None and writer.open and self._pid == os.getpid():
            return writer
        if self._pid != os.getpid():
            self._begin()
            self._database.forget()
        with self._lock:
            if self._writer is None or not self._writer.reopen():
                self._writer = self._new_writer()
            return self._writer

    def before_fork(self) -> None:
        """Close all connections: a child that has one of SQLite open loses what it writes."""
        writer = self._writer
        if writer is not None and writer.busy.acquire(timeout=_FORK):
            self._held = writer.busy
            self._database.engine.dispose()

    def after_fork(self) -> None:
        """Go on, in parent and child."""
        held, self._held = self._held, None
        if held is not None:
            held.release()

    def close(self, *, wait: bool = False) -> None:
        """Write what waits, in the background; what comes later begins anew."""
        if self._writer is not None and self._pid == os.getpid():
            self._writer.close(wait=wait)

    def changing(self, change: Change, owner: str | None) -> Awaitable[object] | None:
        """Write down what somebody is about to do; the answer raises where that fails.

        Raises:
            HistoryUnavailable: the answer, when the database is away: nothing is to be changed.
        """
        if not self._audit:
            return None
        row = audit.beginning(
            change, instant(self._clock()), next(self._turns), owner or self._process
        )
        writer = self.writer()
        written = writer.do(functools.partial(writer.ledger.begin, row))
        self._changes[change.id] = written
        return _answer(written, _PATIENCE, self._database.place)

    def changed(
        self, change: Change, done: Changing, error: BaseException | None
    ) -> Awaitable[object] | None:
        """Write down how it ended, in any case; the answer waits for that only a moment."""
        written = self._changes.pop(change.id, None)
        if written is None or written.cancelled() or (written.done() and written.exception()):
            return None
        values = audit.ending(instant(self._clock()), done, error)
        writer = self.writer()
        ended = writer.do(functools.partial(writer.ledger.end, change.id, values), lasting=True)
        return _answer(ended, _ENDING, None)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._process = f"{socket.gethostname()}:{self._pid}"
        self._queue = Queue(self._most)
        self._writer = None
        self._changes = {}

    def _new_writer(self) -> Writer:
        source = f"{self._process}:{secrets.token_hex(4)}"
        ledger = Ledger(self._database, source, self._clock, messages=self._messages)
        upkeep = Upkeep(self._database, ledger.days, self._clock, *self._keep)
        make = functools.partial(batch_of, wanted=self._wanted)
        return Writer(ledger, self._queue, upkeep, make)


class Silence:
    """Keeps nothing."""

    def put(
        self, what: What, owner: str | None, picked: Picked, at: datetime | None = None
    ) -> None:
        pass

    def begin(self) -> None:
        pass

    def close(self) -> None:
        pass

    def changing(self, change: Change, owner: str | None) -> None:
        pass

    def changed(self, change: Change, done: Changing, error: BaseException | None) -> None:
        pass


def _answer(written: "Future[None]", seconds: float, place: str | None) -> Awaitable[object]:
    """For the event loop: the end of what is being written, waited for so long at most.

    With a ``place`` it raises where it was not written, else never.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if answer.done():
            return
        if error is None or place is None:
            answer.set_result(None)
        else:
            told = f"the change cannot be written down, so nothing was changed: {error}"
            answer.set_exception(HistoryUnavailable(told))

    def written_or_not(future: "Future[None]") -> None:
        error = None if future.cancelled() else future.exception()
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, error)

    def too_long() -> None:
        if place is not None:
            written.cancel()
        settle(HistoryUnavailable(f"history {place}: it does not answer within {seconds:g} s"))

    timer = loop.call_later(seconds, too_long)
    answer.add_done_callback(lambda _: timer.cancel())
    written.add_done_callback(written_or_not)
    return answer


def _matches(patterns: Sequence[str], name: str | None) -> bool:
    """Whether an event name is one of those that are kept; of none that is not known."""
    return name is None or any(
        pattern in ("*", name) or (pattern.endswith(".*") and name.startswith(pattern[:-1]))
        for pattern in patterns
    )
