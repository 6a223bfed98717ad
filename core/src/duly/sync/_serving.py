"""The event loop of :mod:`duly.sync`: the thread it runs in, and what has ended it."""

import asyncio
import contextlib
import threading
from typing import Any

from duly.errors import SchedulerStateError
from duly.sync._call import Call, Ended

__all__ = ["Serving"]


class Serving:
    """An event loop, the thread it runs in, and the calls under way on it."""

    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        self.calls: set[Call[Any]] = set()
        self.thread = threading.Thread(target=self._serve, name="duly-sync", daemon=True)
        self._begun = Ended()
        self._stop = asyncio.Event()
        self._stopped = False
        self.ending: BaseException | None = None
        """What has ended the loop: a handler that asks the whole process to end."""
        self.told = False
        """Whether that was raised in some caller."""

    def raise_ending(self) -> None:
        """Raise what has ended the loop, if anything has."""
        if self.ending is not None:
            self.told = True
            raise self.ending from None

    def begin(self, call: Call[Any]) -> None:
        """Have a call begin on the loop.

        Raises:
            SchedulerStateError: the loop has ended.
        """
        try:
            self.loop.call_soon_threadsafe(self._begin, call)
        except RuntimeError:
            call.never_begins()
            self.raise_ending()
            raise SchedulerStateError("closed: its event loop has ended") from None

    def _begin(self, call: Call[Any]) -> None:
        if self.ending is None:
            call.begin()
        else:  # the loop runs once more only to cancel what is under way
            call.never_begins()

    def cancel(self, call: Call[Any]) -> None:
        """Have a call cancelled on the loop."""
        try:
            self.loop.call_soon_threadsafe(call.cancel)
        except RuntimeError:
            call.never_begins()

    def start(self) -> None:
        """Return when there is a loop."""
        self.thread.start()
        self._begun.wait()
        if not hasattr(self, "loop"):
            raise SchedulerStateError("no event loop could be started: is a limit reached?")

    def end(self) -> None:
        """Have the loop end, which cancels what is under way; also when it has not begun."""
        self._stopped = True
        if hasattr(self, "loop"):
            with contextlib.suppress(RuntimeError):  # it has ended already
                self.loop.call_soon_threadsafe(self._stop.set)

    def _serve(self) -> None:
        try:
            with asyncio.Runner() as runner:  # made here, so that what never began leaves nothing
                self.loop = runner.get_loop()
                self._begun.set()
                if not self._stopped:
                    try:
                        runner.run(self._stop.wait())
                    except (KeyboardInterrupt, SystemExit) as error:
                        if not any(call.raised(error) for call in list(self.calls)):
                            self.ending = error  # it is raised in the next caller
        finally:  # whatever ended it, nobody waits for ever
            self._begun.set()
            for call in list(self.calls):
                call.ended.set()
