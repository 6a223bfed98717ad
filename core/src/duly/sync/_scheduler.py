"""The scheduler for blocking code."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import timedelta
from typing import Final, Self, Unpack

from duly._caller.options import takes
from duly._engine.options import SchedulerOptions
from duly._engine.programs import noting
from duly.errors import SchedulerStateError
from duly.health import Liveness
from duly.scheduler import Handler
from duly.scheduler import Scheduler as AsyncScheduler
from duly.store import Store
from duly.sync._client import Client, blocking
from duly.transport import Transport

__all__ = ["Scheduler"]

_DRAIN: Final = timedelta(seconds=20)


class _Scheduler(AsyncScheduler):
    """The async scheduler, with what it takes to be called from other threads."""

    @property
    def runs(self) -> bool:
        """Whether it delivers, or is about to."""
        return self._run is not None

    async def give_up(self) -> None:
        """Close, and wait for no publish."""
        await self.stop(timedelta(0))
        await self.close()


class Scheduler(Client):
    """Claims messages when they are due and publishes them; :class:`duly.Scheduler` tells the rest.

    Raises:
        InvalidArgument: an argument out of bounds or of the wrong type.
        PluginError: one of ``plugins`` is declared wrongly, or no plugin serves a URL.
    """

    _inner: _Scheduler

    @takes(SchedulerOptions)
    def __init__(
        self,
        store: str | Store,
        transport: str | Transport | Handler,
        **options: Unpack[SchedulerOptions],
    ) -> None:
        inner = _Scheduler(store, transport, **options)
        self._stand_before(inner, inner.give_up)

    def liveness(self) -> Liveness:
        """How it is doing, as far as that is known without asking anybody."""
        return self._inner.liveness()

    start = blocking(AsyncScheduler.start)
    drain = blocking(AsyncScheduler.drain)

    def stop(self, timeout: timedelta = _DRAIN) -> None:
        """Claim no more, let publishes in flight end, settle, and return in any case.

        A handler that calls this waits for itself until ``timeout`` has passed.
        """
        if not self._thread.over:  # when it is closed there is nothing to stop
            self._thread.call(self._inner.stop, timeout)

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Deliver in the background of a ``with`` block; drains at its end.

        An error of the block's own is the one that is raised.
        """
        block = self._inner.running()
        self._thread.call(block.__aenter__)
        try:
            yield self
        except BaseException as error:
            with noting(error):
                self._leave(block)
            raise
        else:
            self._leave(block)

    def _leave(self, block: AbstractAsyncContextManager[object]) -> None:
        if not self._thread.over:  # closed meanwhile it has ended; in a forked child it never ran
            self._thread.call(block.__aexit__, None, None, None)

    def run(self) -> None:
        """Open, deliver until SIGINT or SIGTERM, drain and close: a whole main program.

        A second signal stops waiting for publishes. Outside of the main thread no signal is
        received, and it goes on until :meth:`stop`.

        Raises:
            SchedulerStateError: it runs already.
        """
        if self._inner.runs:  # the end of the block below would stop that run
            raise SchedulerStateError("this scheduler runs already: stop it first")
        stops, asked = iter([_DRAIN]), threading.Event()

        def stop(*_: object) -> None:
            asked.set()
            self._thread.begin(self._inner.stop, next(stops, timedelta(0)))

        try:
            with _signals(stop):
                start = self._thread.begin(self._inner.start)
                if asked.is_set():  # before it ran, which stopped nothing
                    self._thread.begin(self._inner.stop, _DRAIN)
                self._thread.wait(start)
        finally:
            self.close()


@contextmanager
def _signals(handler: Callable[..., object]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, handler) for number in numbers]
    try:
        yield
    finally:
        for number, former in zip(numbers, before, strict=True):
            signal.signal(number, former or signal.SIG_DFL)
