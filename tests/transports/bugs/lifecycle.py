"""Bugs in opening and closing, and things left behind."""

import asyncio
import os
import threading
from typing import Any, ClassVar

from tests.transports.postbox import PostboxTransport, found_by

from duly.transport import Envelope


@found_by("test_opened_twice")
class CannotBeOpenedTwice(PostboxTransport):
    async def open(self) -> None:
        assert self._writer is None
        await super().open()


@found_by("test_opened_by_several_at_the_same_time")
class CannotBeOpenedByTwo(PostboxTransport):
    async def open(self) -> None:
        assert not self._opening.locked()
        await super().open()


@found_by("test_opened_while_it_publishes")
class OpensAnew(PostboxTransport):
    """Makes another connection, and whoever waits on the old one is never answered."""

    async def open(self) -> None:
        self._waiting = []
        await super().open()


@found_by("test_opening_cancelled")
class KeepsTheDoorLocked(PostboxTransport):
    async def open(self) -> None:
        await self._opening.acquire()
        await asyncio.sleep(0)
        self._opening.release()
        await super().open()


@found_by("test_closed_twice")
@found_by("test_closed_without_having_been_opened")
class MustBeOpenToClose(PostboxTransport):
    async def close(self) -> None:
        assert self._writer is not None
        await super().close()


@found_by("test_opened_again_after_close")
class ClosesForGood(PostboxTransport):
    closed = False

    async def open(self) -> None:
        if not self.closed:
            await super().open()

    async def close(self) -> None:
        self.closed = True
        await super().close()


@found_by("test_what_was_accepted_is_sent_before_it_closes")
class AcceptsWhatItHasNotSent(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        asyncio.get_running_loop().call_later(0.01, self._send, envelope)
        return None


@found_by("test_closing_does_not_wait_for_ever_for_a_publish")
class LeavesPublishesHanging(PostboxTransport):
    async def close(self) -> None:
        self._waiting = []
        await super().close()


@found_by("test_publishing_when_it_is_closed")
class TellsABareErrorWhenClosed(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        if self._writer is None:
            raise RuntimeError("the client is closed")
        return await super().publish(envelope)


@found_by("test_closing_does_not_wait_for_ever_for_a_publish")
class TellsABareErrorWhenItIsClosedMeanwhile(PostboxTransport):
    def _fail(self, answer: asyncio.Future[str | None], error: Exception) -> None:
        super()._fail(answer, ConnectionResetError(str(error)))


@found_by("test_opening_cancelled")
class TellsABareErrorWhenCancelled(PostboxTransport):
    async def open(self) -> None:
        try:
            await super().open()
        except asyncio.CancelledError as error:
            raise OSError("the client was interrupted") from error


@found_by("test_it_tells_nobody_what_it_sent_or_knows")
class TellsThePassword(PostboxTransport):
    def __repr__(self) -> str:
        return f"<PostboxTransport {self._password}>"


@found_by("test_it_tells_nobody_what_it_sent_or_knows")
class TellsTheLastMessage(PostboxTransport):
    last: Any = None

    async def publish(self, envelope: Envelope) -> str | None:
        self.last = envelope.payload
        return await super().publish(envelope)

    def __repr__(self) -> str:
        return f"<PostboxTransport {self.last}>"


@found_by("test_no_task_is_left")
class LeavesATask(PostboxTransport):
    left: ClassVar[list[asyncio.Task[None]]] = []

    async def open(self) -> None:
        await super().open()
        self.left.append(asyncio.create_task(asyncio.sleep(60)))


@found_by("test_no_thread_is_left")
class LeavesAThread(PostboxTransport):
    async def open(self) -> None:
        await super().open()
        threading.Thread(target=threading.Event().wait, args=(3,), daemon=True).start()


@found_by("test_no_file_is_left_open")
class LeavesAFileOpen(PostboxTransport):
    async def open(self) -> None:
        await super().open()
        os.dup(0)
