"""Bugs that show when the broker is away."""

import asyncio
from typing import Any, ClassVar

from tests.transports.postbox import PostboxTransport, found_by

from duly.errors import Rejected, TransportError, TransportUnavailable
from duly.transport import Envelope


@found_by("test_opening_while_it_is_away")
class TellsTheBareErrorOfTheSystem(PostboxTransport):
    async def open(self) -> None:
        try:
            await super().open()
        except TransportUnavailable as error:
            raise ConnectionRefusedError(str(error)) from error


@found_by("test_publishing_while_it_is_away")
@found_by("test_again_and_again")
class RejectsWhenAway(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        try:
            return await super().publish(envelope)
        except TransportUnavailable as error:
            raise Rejected(str(error)) from error


@found_by("test_many_in_flight_when_it_goes")
class BlamesTheMessagesInFlight(PostboxTransport):
    def _fail(self, answer: asyncio.Future[str | None], error: Exception) -> None:
        super()._fail(answer, TransportError(str(error)))


@found_by("test_many_in_flight_when_it_goes")
class ForgetsWhatWasInFlight(PostboxTransport):
    def _fail(self, answer: asyncio.Future[str | None], error: Exception) -> None:
        """Nobody is told."""


@found_by("test_publishing_while_it_is_away")
class CallsItAccepted(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        try:
            return await super().publish(envelope)
        except TransportUnavailable:
            return None


@found_by("test_publishing_while_it_is_away")
class TellsThePasswordWhenAway(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        try:
            return await super().publish(envelope)
        except TransportUnavailable as error:
            raise TransportUnavailable(f"{self._password}@{self._port}") from error


@found_by("test_again_and_again")
@found_by("test_cancelling_while_it_is_away")
class NeverComesBack(PostboxTransport):
    async def open(self) -> None:
        if self._answers is None:
            await super().open()


@found_by("test_closing_while_it_is_away")
class CannotCloseWhenAway(PostboxTransport):
    async def close(self) -> None:
        if self._writer is None or self._writer.is_closing():
            raise TransportUnavailable("not connected")
        await super().close()


@found_by("test_what_was_accepted_is_there_when_it_is_back")
class AcceptsWhatItSendsLater(PostboxTransport):
    _sent_later: ClassVar[list[asyncio.Future[str | None]]] = []

    async def publish(self, envelope: Envelope) -> str | None:
        writer = self._writer

        def send() -> None:
            if writer is self._writer:  # not so when the connection was lost
                self._sent_later.append(self._send(envelope))

        asyncio.get_running_loop().call_later(0.005, send)
        return None


@found_by("test_away_and_back_in_mid_run")
class CallsWhatWasInFlightAccepted(PostboxTransport):
    def _fail(self, answer: asyncio.Future[str | None], error: Exception) -> None:
        if not answer.done():
            answer.set_result(None)


@found_by("test_a_repeat_after_the_broker_was_away_arrives_once")
class DeduplicatesWhileConnected(PostboxTransport):
    times = 0

    async def open(self) -> None:
        self.times += self._writer is None
        await super().open()

    def record(self, envelope: Envelope) -> dict[str, Any]:
        return {**super().record(envelope), "delivery_id": f"{envelope.delivery_id}-{self.times}"}


@found_by("test_publishing_while_it_is_away")
class TellsThePasswordByTheCause(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        try:
            return await super().publish(envelope)
        except TransportUnavailable as error:
            told = ConnectionError(f"box://user:{self._password}@127.0.0.1")
            raise TransportUnavailable(str(error)) from told


@found_by("test_publishing_while_it_is_away")
class SendsWhatFailedWhenItIsBack(PostboxTransport):
    """Keeps it, although the scheduler was told that it failed, and will send it again."""

    _kept: list[Envelope]

    async def publish(self, envelope: Envelope) -> str | None:
        if self._writer is not None:
            return await super().publish(envelope)
        self._kept = [*getattr(self, "_kept", ()), envelope]
        await asyncio.sleep(0)
        raise TransportUnavailable("not connected")

    async def open(self) -> None:
        await super().open()
        for envelope in getattr(self, "_kept", ()):
            await super().publish(envelope)
        self._kept = []


@found_by("test_opening_cancelled_while_it_is_away")
class StaysLockedWhenCancelledWhileAway(PostboxTransport):
    async def open(self) -> None:
        await self._opening.acquire()
        await asyncio.sleep(0)
        self._opening.release()
        await super().open()
