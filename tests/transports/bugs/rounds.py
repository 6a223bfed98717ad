"""Bugs that leave something behind each time that a connection ends."""

import asyncio
import os
import threading
from typing import ClassVar

from tests.transports.postbox import PostboxTransport, found_by


class LeavesSomething(PostboxTransport):
    """When a connection that was lost is made anew, not when it is closed."""

    left: ClassVar[list[object]] = []
    used = False

    async def open(self) -> None:
        anew = self._writer is None
        await super().open()
        if anew and self.used:
            self.leave()
        self.used = True

    def leave(self) -> None: ...


@found_by("test_nothing_grows_by_losses_cancels_and_silence")
class LeavesATaskForEachLoss(LeavesSomething):
    def leave(self) -> None:
        self.left.append(asyncio.create_task(asyncio.sleep(60)))


@found_by("test_nothing_grows_by_losses_cancels_and_silence")
class LeavesAThreadForEachLoss(LeavesSomething):
    def leave(self) -> None:
        threading.Thread(target=threading.Event().wait, args=(3,), daemon=True).start()


@found_by("test_nothing_grows_by_losses_cancels_and_silence")
class LeavesAFileForEachLoss(LeavesSomething):
    def leave(self) -> None:
        os.dup(0)
