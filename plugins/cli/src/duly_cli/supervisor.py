"""Several processes that do the same: started, replaced when they die, drained together."""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from duly_cli.errors import FAULT, USAGE
from duly_cli.telling import Teller

__all__ = ["Supervisor"]

_PAUSES: Final = (0.5, 30.0)  # seconds before a dead one is replaced: at first, and at most
_LONG: Final = 60.0  # seconds: one that has run so long is well
_NUMBERS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """Keeps so many processes alive until a signal comes, ``command(number)`` being the first's.

    They are in sessions of their own, so that signals reach them from here alone, and they hold the
    end of a pipe: when this process is gone they see that, see :mod:`duly_cli.lifeline`.
    What shows how they are doing is a process more, number 0, which ends after all others.
    """

    def __init__(self, command: Callable[[int], Sequence[str]], number: int, to: Teller) -> None:
        self._command = command
        self._number = number
        self._tell = to.tell
        self._alive: dict[int, Process] = {}
        self._signals = 0
        self._refused = 0  # the exit code of one that cannot even start
        self._ending = asyncio.Event()
        self.front: Sequence[str] | None = None
        """The command of the process that shows how the others are doing, if there is one."""
        self.variables: Mapping[int, Mapping[str, str | None]] = {}
        """What each finds set besides; None: unset."""

    def run(self) -> int:
        """Until all have ended; the exit code: 0 after a signal."""
        return asyncio.run(self._run())

    async def _run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in _NUMBERS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as SIGHUP is under nohup
                loop.add_signal_handler(number, self._signalled, number)
        theirs, ours = os.pipe()
        try:
            everyone = [self._keep(each, theirs) for each in range(1, self._number + 1)]
            front = asyncio.ensure_future(self._keep_front(theirs))
            await asyncio.gather(*everyone)
            self._end(signal.SIGTERM, front=True)
            await front
        finally:
            os.close(ours)
            os.close(theirs)
        return self._refused

    def _signalled(self, number: signal.Signals) -> None:
        self._signals += 1
        said = {
            1: "no more is claimed, what is in hand is delivered; a second signal waits no more",
            2: "waits no more; a third signal kills",
        }.get(self._signals, "kills those that are left")
        self._tell(
            "signal",
            f"{number.name}: {said}",
            signal=number.name,
            alive=sum(map(bool, self._alive)),
        )
        self._end(signal.SIGTERM if self._signals < 3 else signal.SIGKILL)

    def _end(self, number: signal.Signals, *, front: bool = False) -> None:
        self._ending.set()
        for each, process in self._alive.items():
            if each or front or number is signal.SIGKILL:
                with contextlib.suppress(ProcessLookupError):  # it ends just now
                    process.send_signal(number)

    async def _keep_front(self, lifeline: int) -> None:
        if self.front is not None:
            await self._keep(0, lifeline)

    async def _keep(self, number: int, lifeline: int) -> None:
        """Keep one of them alive."""
        pause, most = _PAUSES
        first, loop = True, asyncio.get_running_loop()
        while not self._ending.is_set():
            started = loop.time()
            code = await self._one(number, lifeline)
            if self._ending.is_set():
                return
            if first and code == USAGE:
                self._refused = USAGE
                self._end(signal.SIGTERM)
                return
            first = False
            if loop.time() - started >= _LONG:
                pause = _PAUSES[0]
            self._tell(
                "restart", f"process {number} starts again in {pause:g} s", process=number,
                pause_seconds=pause,
            )  # fmt: skip
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), pause)
            pause = min(2 * pause, most)

    async def _one(self, number: int, lifeline: int) -> int:
        """Start it and wait for its end; its exit code, negative for a signal."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command_of(number), "--lifeline", str(lifeline),
                stdin=asyncio.subprocess.DEVNULL, pass_fds=[lifeline], start_new_session=True,
                env=self._environment(number),
            )  # fmt: skip
        except OSError as error:  # such as no memory left
            self._tell("death", f"process {number} cannot be started: {error}", process=number)
            return FAULT
        self._alive[number] = process
        if self._ending.is_set():  # a signal came while it was started
            self._end(signal.SIGTERM)
        facts = {"process": number, "pid": process.pid}
        self._tell("start", f"process {number} (pid {process.pid}) has started", **facts)
        try:
            code = await process.wait()
        finally:
            del self._alive[number]
        how = f"has ended with code {code}" if code >= 0 else f"was ended by {_name(-code)}"
        asked = self._ending.is_set() and code in (0, -signal.SIGTERM)
        event, how = ("stop", "has stopped") if asked else ("death", how)
        self._tell(event, f"process {number} (pid {process.pid}) {how}", code=code, **facts)
        return code

    def _command_of(self, number: int) -> Sequence[str]:
        return self._command(number) if number else self.front or ()

    def _environment(self, number: int) -> Mapping[str, str]:
        own = {"DULY_PROCESS": str(number), **self.variables.get(number, {})}
        kept = {name: each for name, each in os.environ.items() if name not in own}
        return kept | {name: each for name, each in own.items() if each is not None}


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
