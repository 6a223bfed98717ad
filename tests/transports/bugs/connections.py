"""Bugs that leave connections behind."""

import asyncio
from typing import ClassVar

from tests.transports.postbox import LINE_LIMIT, PostboxTransport, found_by

from duly.errors import TransportUnavailable

KEPT: list[asyncio.StreamWriter] = []  # as the event loop keeps what is registered with it


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=LINE_LIMIT)
    KEPT.append(writer)
    return reader, writer


def give_up() -> None:
    """Close what was left behind."""
    for writer in KEPT:
        writer.transport.abort()
    KEPT.clear()


class Dialing(PostboxTransport):
    """Waits for a word of the broker before it knows its connection."""

    polite: ClassVar[bool] = False

    async def open(self) -> None:
        if self._writer is None:
            reader, writer = await connect(self._port)
            if self.polite:
                writer.write(b'{"name": null, "number": 0}\n')
                await reader.readline()
            else:
                await asyncio.sleep(0.002)
            self._writer = writer
            self._answers = asyncio.create_task(self._listen(reader))


@found_by("test_opened_by_many_it_leaves_no_connection")
class OpensOneForEach(Dialing):
    """Nobody waits for whoever is at it already."""


class DialingOnce(Dialing):
    async def open(self) -> None:
        async with self._opening:
            await super().open()


@found_by("test_opening_cancelled_leaves_no_connection")
class ForgetsWhatItOpenedWhenCancelled(DialingOnce):
    """Between the connection and the note of it."""


@found_by("test_opening_cancelled_in_silence_leaves_no_connection")
class ForgetsWhomItGreetsWhenCancelled(DialingOnce):
    polite = True


@found_by("test_closed_in_silence_it_leaves_no_connection")
class WaitsForAFarewell(PostboxTransport):
    """Closes in the background, as soon as the broker has said something."""

    left: ClassVar[list[asyncio.Task[None]]] = []

    async def close(self) -> None:
        if self._waiting:
            self.left.append(asyncio.create_task(self._close_later(self._waiting[-1])))
            for answer in self._waiting[:-1]:
                self._fail(answer, TransportUnavailable("closed"))
            self._waiting = self._waiting[-1:]
        else:
            await super().close()

    async def _close_later(self, answer: asyncio.Future[str | None]) -> None:
        await asyncio.wait([answer])
        await super().close()


@found_by("test_connections_that_are_cut_leave_none")
class OpensASpareOne(PostboxTransport):
    """Another each time that it connects, and closes the last."""

    spare: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        anew = self._writer is None
        await super().open()
        if anew:
            _, self.spare = await connect(self._port)
