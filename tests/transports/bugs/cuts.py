"""Bugs that show when a connection ends in the middle of something."""

import asyncio
from typing import Any

from tests.transports.bugs.connections import Dialing
from tests.transports.postbox import PostboxTransport, found_by

from duly.errors import TransportError


class Greeting(Dialing):
    """Waits in ``open`` for a word of the broker."""

    polite = True


@found_by("test_cut_behind_each_piece_of_data", how="end")
class TellsOfAnEndInAHandshakeAsABareError(PostboxTransport):
    """The word of the broker comes with the end of the connection."""

    async def open(self) -> None:
        anew = self._writer is None
        await super().open()
        if anew:
            try:
                await self._ask({"name": None})
            except Exception:
                raise Exception from None  # as a driver of AMQP does it


@found_by("test_cut_behind_each_piece_of_data", how="torn")
class TakesHalfAnAnswerForOne(PostboxTransport):
    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65536):
            for line in data.splitlines():
                self._answer(self._waiting.pop(0), {"receipt": line.decode()})


@found_by("test_cut_behind_each_piece_of_data", how="reset")
class CountsAnAttemptWhenItIsReset(PostboxTransport):
    def _fail(self, answer: asyncio.Future[Any], error: Exception) -> None:
        super()._fail(answer, TransportError(str(error)))
