"""Bugs that show when several publishes or transports are at work, or are cancelled."""

import asyncio
import json
from typing import ClassVar

from tests.transports.postbox import PostboxTransport, found_by

from duly.errors import TransportError
from duly.transport import Envelope, Limits


@found_by("test_a_thousand_at_once")
class GivesUpInACrowd(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        if len(self._waiting) > 500:
            raise TransportError("too busy")
        return await super().publish(envelope)


@found_by("test_limits_are_told_and_can_be_used_up")
class SaysItsLimitsLater(PostboxTransport):
    async def limits(self) -> Limits:
        return Limits(in_all=5)


@found_by("test_limits_are_told_and_can_be_used_up")
class SaysItsLimitsAnew(PostboxTransport):
    def limits(self) -> Limits:
        return Limits(in_all=5)


@found_by("test_limits_are_told_and_can_be_used_up")
class SaysMoreThanItTakes(PostboxTransport):
    said = Limits(in_all=5)

    def limits(self) -> Limits:
        return self.said

    async def publish(self, envelope: Envelope) -> str | None:
        if len(self._waiting) > 3:
            raise TransportError("too busy")
        return await super().publish(envelope)


@found_by("test_cancelled_on_its_way")
class ForgetsWhoIsNext(PostboxTransport):
    """Takes a cancelled publish out of the line in which answers are expected."""

    async def publish(self, envelope: Envelope) -> str | None:
        answer = self._send(envelope)
        try:
            return await answer
        except asyncio.CancelledError:
            self._waiting.remove(answer)
            raise


@found_by("test_some_of_many_cancelled")
class FailsTheNeighbours(PostboxTransport):
    """Drops the connection, and with it all others, when one publish is cancelled."""

    async def publish(self, envelope: Envelope) -> str | None:
        try:
            return await super().publish(envelope)
        except asyncio.CancelledError:
            if self._writer is not None:
                self._writer.transport.abort()
            raise


@found_by("test_a_large_one_cancelled_on_its_way")
class LeavesHalfOfALine(PostboxTransport):
    """Sends in parts and stops in the middle when it is cancelled."""

    async def publish(self, envelope: Envelope) -> str | None:
        assert self._writer is not None
        if len(envelope.payload) > 1000:
            self._writer.write(b'{"payload": "')
            await asyncio.sleep(0)
            self._writer.write(b'", "name": "", "delivery_id": "", "number": 0, "headers": {}}\n')
            self._waiting.append(asyncio.get_running_loop().create_future())
        return await super().publish(envelope)


@found_by("test_some_of_many_cancelled")
class TellsABareErrorWhenAPublishIsCancelled(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        try:
            return await super().publish(envelope)
        except asyncio.CancelledError as error:
            raise KeyError(envelope.message_id) from error


@found_by("test_large_and_small_ones_do_not_mix")
class SendsInParts(PostboxTransport):
    """Lets others write while it is in the middle of a line."""

    async def publish(self, envelope: Envelope) -> str | None:
        assert self._writer is not None
        line = json.dumps({**self.record(envelope), "number": envelope.message_id}).encode()
        for start in range(0, len(line), 1000):
            self._writer.write(line[start : start + 1000])
            await asyncio.sleep(0)
        self._writer.write(b"\n")
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        return await answer


@found_by("test_several_transports_side_by_side")
class TakesTheLineOfTheOthers(PostboxTransport):
    """As brokers do with two connections of the same name: the first is cut."""

    latest: ClassVar[PostboxTransport | None] = None

    async def open(self) -> None:
        await super().open()
        latest, type(self).latest = self.latest, self
        if latest is not None and latest is not self and latest._writer is not None:
            latest._writer.transport.abort()


@found_by("test_closing_one_leaves_the_others")
class SharesOneConnection(PostboxTransport):
    shared: ClassVar[list[PostboxTransport]] = []

    async def open(self) -> None:
        await super().open()
        self.shared.append(self)

    async def close(self) -> None:
        while self.shared:
            await PostboxTransport.close(self.shared.pop())
