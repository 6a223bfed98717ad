"""Bugs that show when a broker is there and says nothing."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from tests.transports.postbox import PostboxTransport, found_by

from duly.errors import TransportError
from duly.transport import Envelope


@found_by("test_nothing_is_accepted_while_nobody_answers")
class ConfirmsNothing(PostboxTransport):
    """Returns when the bytes are on their way."""

    async def publish(self, envelope: Envelope) -> str | None:
        await asyncio.wait([self._send(envelope)], timeout=0)
        return None


@found_by("test_cancelled_while_nobody_answers_nothing_is_accepted")
class SwallowsItsCancellation(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        try:
            return await super().publish(envelope)
        except asyncio.CancelledError:
            return None


@found_by("test_no_batch_is_accepted_while_nobody_answers")
class ConfirmsNoBatch(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        await asyncio.wait([self._send(each) for each in envelopes], timeout=0)
        return [None for _ in envelopes]


@found_by("test_nothing_is_accepted_while_nobody_answers")
class BlocksWhileItWaits(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        answer = self._send(envelope)
        await asyncio.wait([answer], timeout=0.05)
        if not answer.done():
            time.sleep(1)  # noqa: ASYNC251  # the bug
        return await answer


@found_by("test_what_failed_is_not_sent_later")
class SendsAgainByItself(PostboxTransport):
    """As clients do that keep what was not confirmed when the connection was lost."""

    _lost: tuple[Envelope, ...] = ()

    async def publish(self, envelope: Envelope) -> str | None:
        try:
            return await super().publish(envelope)
        except TransportError:
            self._lost = (*self._lost, envelope)
            raise

    async def open(self) -> None:
        await super().open()
        lost, self._lost = self._lost, ()
        for envelope in lost:
            await super().publish(envelope)


@found_by("test_what_failed_is_not_sent_later")
class BlamesWhatWasOnItsWay(PostboxTransport):
    def _fail(self, answer: asyncio.Future[str | None], error: Exception) -> None:
        super()._fail(answer, TransportError(str(error)))


@found_by("test_opening_while_nobody_answers")
class TellsABareErrorOfTime(PostboxTransport):
    async def open(self) -> None:
        await super().open()
        async with asyncio.timeout(0.05):
            await self._ask({"name": None})


@found_by("test_closing_while_nobody_answers")
class ClosesWhenAllIsAnswered(PostboxTransport):
    async def close(self) -> None:
        if self._waiting:
            await asyncio.wait(self._waiting)
        await super().close()


@found_by("test_connections_that_are_reset")
class TellsBareResets(PostboxTransport):
    def _fail(self, answer: asyncio.Future[str | None], error: Exception) -> None:
        super()._fail(answer, ConnectionResetError(str(error)))
