"""A store for the tests of a service: in memory, with a clock to move."""

import asyncio
import threading
import weakref
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Never

from duly.errors import InvalidArgument
from duly.message import State
from duly.moment import as_moment, by_keyword
from duly.store import Batch, Group, Release, Settle
from duly.testing.moved_clock import MovedClock
from duly.testing.transacting import TransactingStore

__all__ = ["FakeStore"]

_STEPS: Final = 100  # of the event loop, which is all that most handlers of tests need
_PATIENCE: Final = 100  # looks in a row at what does not go on
_LOOKS: Final = 1000  # in all
_BETWEEN: Final = 0.005  # seconds of real time from one look to the next


class FakeStore(TransactingStore):
    """A memory store for tests, with a clock to move: ``await store.advance(days=1)``.

    Without ``now`` its clock goes with this host's, and is ahead of it by what it was moved. So
    ``duly.after(hours=1)`` is due when it was advanced by an hour. With ``now`` it stands still at
    that moment until it is moved. It alone decides what is due, while ``duly.after()``,
    ``datetime.now()`` and the ``created_at`` of a new message go by the host's: when it was
    advanced by two days, ``duly.after(days=1)`` is past for this store, and due at once; a line in
    the log says so. Use :meth:`after` of the store there, or move the host's clock with
    time-machine or freezegun: a store without ``now`` goes with it.

    ``within`` may be anything. What is scheduled, cancelled or moved within a session or connection
    of SQLAlchemy is applied when that commits, and dropped when it is rolled back, or goes back to
    a savepoint; reads within it see what is pending. Within anything else it is applied at once.
    Nothing is locked: what is pending does not keep a scheduler, or another transaction, from what
    is stored.

    Raises:
        InvalidArgument: ``now`` is no aware datetime.
    """

    def __init__(self, *, now: datetime | None = None) -> None:
        self._time = MovedClock(now)
        super().__init__(clock=self._time)
        self._holders: dict[str, weakref.ref[asyncio.Task[Any]]] = {}  # who claims, by owner
        self._ended = 0  # how often something was settled that was not merely put back

    @property
    def now(self) -> datetime:
        """What the clock shows, in UTC."""
        return self._time()

    def after(self, *unnamed: Never, **timedelta_arguments: float) -> datetime:
        """The moment that long from now by this store's clock: ``store.after(hours=1)``.

        Raises:
            InvalidArgument: an unknown keyword, or none, or a moment beyond the years 1 to 9999.
        """
        if unnamed:
            raise InvalidArgument(f"{unnamed[0]!r}: {by_keyword('store.after', unnamed[0])}")
        try:
            return self._time() + timedelta(**timedelta_arguments)
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidArgument(f"{timedelta_arguments} leads to no moment: {error}") from error

    async def advance(self, *unnamed: Never, **timedelta_arguments: float) -> datetime:
        """Let so much time pass: ``await store.advance(days=1)``; what the clock then shows.

        First, what is due or in hand may end. Then the clock goes from one due time to the next,
        and each time a running scheduler delivers what is due. So a daily series fires three times
        in three days, as in a service that runs all that time; if the clock jumped, it would find
        itself three days late, and deliver its last fire alone. What falls due on the way has been
        delivered when this returns. While no scheduler runs, the clock does jump, as in a downtime;
        ``scheduler.drain(until=store.after(days=3))`` delivers on the way.

        What does not end within half a second, because it hangs or because it awaits this very
        call, is not waited for. It keeps its claim however far the clock goes; the leases of
        schedulers that were killed lapse.

        In blocking code it is ``asyncio.run(store.advance(days=1))``.

        Raises:
            InvalidArgument: an unknown keyword, or none, a duration below 0 or beyond the calendar.
        """
        if unnamed:
            raise InvalidArgument(f"{unnamed[0]!r}: {by_keyword('store.advance', unnamed[0])}")
        now = self.now
        moment = self.after(**timedelta_arguments)
        if moment < now:
            raise InvalidArgument(f"advance({moment - now}): the clock does not go back")
        return await self.advance_to(moment)

    async def advance_to(self, moment: datetime) -> datetime:
        """Let it be that moment, as by :meth:`advance`; what the clock then shows.

        Raises:
            InvalidArgument: it is before the moment to which the clock was last moved.
        """
        moment = as_moment(moment, "moment")
        self._time.check(moment)
        patient = await self._let_end(patient=True)
        while self._live() and self.move_on(moment):
            patient = await self._let_end(patient=patient)
        self._go_to(moment)
        return self.now

    def move_on(self, until: datetime) -> bool:
        """Let it be the next moment at which something falls due, ``until`` at the latest.

        False, and nothing is moved, when it is ``until`` already. Nothing is waited for.
        """
        self._time.check(max(until, self.now))
        with self._lock:
            now = self._time()
            due = self._ledger.due_after(now, self._live())
        self._go_to(until if due is None else min(due, until))
        return now < until

    def _go_to(self, moment: datetime) -> None:
        with self._lock:
            by = moment - self._time()
            if by > timedelta(0):
                self._ledger.prolong(self._live(), by)
                self._time.go_to(moment)
        self._wakeups.changed()

    # --- what is scheduled

    async def put(
        self, groups: Sequence[Group], *, within: Any = None
    ) -> Sequence[Exception | None]:
        """As in every store. What seems to be scheduled by another clock is logged, once."""
        for group in groups:
            for message in group.messages:
                self._time.look_at(message.id, message.scheduled_at)
        return await super().put(groups, within=within)

    async def reschedule(
        self, id: str, at: datetime | None, *, of_state: State, within: Any = None
    ) -> State | None:
        """As in every store, and as :meth:`put`."""
        if at is not None:
            self._time.look_at(id, at)
        return await super().reschedule(id, at, of_state=of_state, within=within)

    # --- who is at work

    async def claim(self, *, owner: str, settle: Sequence[Settle] = (), **more: Any) -> Batch:
        """As in every store. Who claims is remembered, so that its leases outlast each move."""
        task = asyncio.current_task()
        if task is not None:
            self._holders[owner] = weakref.ref(task)
        self._count(settle)
        return await super().claim(owner=owner, settle=settle, **more)

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool]:
        """As in every store."""
        self._count(settles)
        return await super().settle(settles)

    def _count(self, settles: Sequence[Settle]) -> None:
        for each in settles:
            ends = [how for how in each.exceptions.values() if not isinstance(how, Release)]
            self._ended += bool(ends) or not each.exceptions

    def _live(self) -> set[str]:
        """The owners of claims who are still at work."""
        tasks = [(owner, holder()) for owner, holder in list(self._holders.items())]
        return {owner for owner, task in tasks if task is not None and _runs(task)}

    def _occupied(self) -> bool:
        with self._lock:
            live = self._live()
            return bool(live) and self._ledger.occupied(self._time(), live)

    async def _let_end(self, *, patient: bool) -> bool:
        """Whether schedulers have ended all there is to do, for which they are given some time."""
        for _ in range(_STEPS):
            await asyncio.sleep(0)
            if not self._occupied():
                return True
        if not patient:
            return False
        over = threading.Event()
        try:  # in a thread, where time passes as it really does: that of the loop may be frozen
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(None, self._look_on, over)
        finally:
            over.set()

    def _look_on(self, over: threading.Event) -> bool:
        ended, left = self._ended, _PATIENCE
        for _ in range(_LOOKS):
            if not self._occupied():
                return True
            left = left - 1 if ended == self._ended else _PATIENCE
            ended = self._ended
            if not left or over.wait(_BETWEEN):
                break
        return False


def _runs(task: "asyncio.Task[Any]") -> bool:
    return not task.done() and not task.get_loop().is_closed()
