"""Cases for brokers that a test can take away and bring back."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from duly.errors import TransportUnavailable
from duly.testing.transports.abilities import BatchCases, DeduplicationCases, batching
from duly.testing.transports.bench import Bench
from duly.testing.transports.harness import TransportHarness
from duly.transport import Envelope


class OutageCases(TransportHarness, needs="duly_outages"):
    """The broker is taken away and brought back. ``no_outages`` says why it cannot be."""

    keeps: ClassVar[bool] = True
    """Whether the broker still has what it accepted after it was away. Set it to False for one
    that acknowledges nothing."""

    async def test_opening_while_it_is_away(self, desk: Bench) -> None:
        transport = await desk.make()
        await desk.take_away()
        for _ in range(2):
            await self._unavailable(desk, transport.open())
        await desk.bring_back()
        await desk.soon(transport.open())
        await desk.publish(envelope := desk.envelope(), by=transport)
        await desk.arrived(envelope)

    async def test_publishing_while_it_is_away(self, desk: Bench) -> None:
        await desk.publish(first := desk.envelope())
        await desk.arrived(first)
        await desk.take_away()
        refused = desk.envelopes(3)
        for envelope in refused:
            await self._unavailable(desk, desk.transport.publish(envelope))
        await desk.bring_back()
        await desk.goes_on()
        await desk.never_came(refused)

    async def test_many_in_flight_when_it_goes(self, desk: Bench) -> None:
        envelopes = desk.envelopes(self.many(200))
        publishes = [asyncio.ensure_future(desk.transport.publish(each)) for each in envelopes]
        await asyncio.sleep(0)
        await desk.take_away()
        outcomes = await desk.soon(asyncio.gather(*publishes, return_exceptions=True))
        accepted = []
        for envelope, outcome in zip(envelopes, outcomes, strict=True):
            if isinstance(outcome, str | None):
                accepted.append(envelope)
            else:
                self._check(desk, outcome)
        await desk.bring_back()
        await desk.goes_on()
        if self.keeps:
            await self._all_came(desk, accepted)

    async def test_again_and_again(self, desk: Bench) -> None:
        for _ in range(3):
            await desk.take_away()
            await self._unavailable(desk, desk.transport.publish(desk.envelope()))
            await desk.bring_back()
            await desk.goes_on()

    async def test_closing_while_it_is_away(self, desk: Bench) -> None:
        await desk.publish(desk.envelope())
        await desk.take_away()
        await desk.soon(desk.transport.close())
        await self._unavailable(desk, desk.transport.open())
        await desk.soon(desk.transport.close())
        await desk.bring_back()
        await desk.goes_on()

    async def test_what_was_accepted_is_there_when_it_is_back(self, desk: Bench) -> None:
        envelopes = desk.envelopes(self.many(50))
        await desk.publish(*envelopes)
        await desk.take_away()
        await desk.bring_back()
        await desk.goes_on()
        if self.keeps:
            await self._all_came(desk, envelopes)

    async def test_away_and_back_in_mid_run(self, desk: Bench) -> None:
        """What is refused is sent again, as a scheduler does, and so nothing is lost."""
        envelopes = desk.envelopes(self.many(300))
        waiting, accepted = deque(envelopes), asyncio.Semaphore(0)

        async def publish() -> None:
            while waiting:
                envelope = waiting.popleft()
                try:
                    await desk.transport.publish(envelope)
                except TransportUnavailable as error:
                    self._check(desk, error)
                    waiting.append(envelope)
                    await asyncio.sleep(0.02)
                    with contextlib.suppress(TransportUnavailable):
                        await desk.transport.open()
                else:
                    accepted.release()

        run = asyncio.gather(*(publish() for _ in range(10)))
        for _ in range(len(envelopes) // 4):
            await desk.soon(accepted.acquire())
        await desk.take_away()
        await asyncio.sleep(0.05)
        await desk.bring_back()
        await desk.soon(run)
        await desk.goes_on()
        if self.keeps:
            await self._all_came(desk, envelopes)

    async def test_cancelling_while_it_is_away(self, desk: Bench) -> None:
        await desk.take_away()
        publish = asyncio.ensure_future(desk.transport.publish(envelope := desk.envelope()))
        await asyncio.sleep(0)
        publish.cancel()
        (outcome,) = await desk.soon(asyncio.gather(publish, return_exceptions=True))
        desk.told(outcome, cancelled=True)
        await desk.bring_back()
        await desk.goes_on()
        await desk.publish(last := desk.envelope())
        assert (await desk.comes(last)).count(envelope.payload) <= 1  # there was one attempt

    async def test_opening_cancelled_while_it_is_away(self, desk: Bench) -> None:
        transport = await desk.make()
        await desk.take_away()
        for steps in range(5):
            opening = asyncio.ensure_future(transport.open())
            for _ in range(steps):
                await asyncio.sleep(0)
            opening.cancel()
            await desk.opens_or_tells(opening, cancelled=True)
        await desk.bring_back()
        await desk.goes_on(by=transport)

    async def _all_came(self, desk: Bench, envelopes: Sequence[Envelope]) -> None:
        missing = {envelope.payload for envelope in envelopes}
        number = len(envelopes)

        async def read() -> None:
            nonlocal number
            while missing:
                got = await self.received(number)
                missing.difference_update(each.payload for each in got)
                number = len(got) + 1

        try:
            await desk.soon(read())
        except AssertionError:
            raise AssertionError(f"{len(missing)} were accepted and lost") from None

    async def _unavailable(self, desk: Bench, work: Any) -> None:
        with pytest.raises(TransportUnavailable) as told:
            await desk.soon(work)
        self._check(desk, told.value)

    def _check(self, desk: Bench, error: BaseException) -> None:
        assert isinstance(error, TransportUnavailable), (
            f"in an outage raise TransportUnavailable, not {error!r}"
        )
        desk.check_error(error)


class BatchOutageCases(BatchCases, OutageCases, needs="duly_outages"):
    """For transports that take batches."""

    async def test_a_batch_while_it_is_away(self, desk: Bench) -> None:
        await desk.take_away()
        await self._batch(desk, desk.envelopes(3), refused=True)
        await desk.bring_back()
        await desk.goes_on()

    async def test_batches_in_flight_when_it_goes(self, desk: Bench) -> None:
        batches = [desk.envelopes(50) for _ in range(4)]
        run = asyncio.gather(*(self._batch(desk, each, refused=False) for each in batches))
        await asyncio.sleep(0)
        await desk.take_away()
        accepted = [envelope for each in await desk.soon(run) for envelope in each]
        await desk.bring_back()
        await desk.goes_on()
        if self.keeps:
            await self._all_came(desk, accepted)

    async def _batch(
        self, desk: Bench, envelopes: Sequence[Envelope], *, refused: bool
    ) -> Sequence[Envelope]:
        """Those that were accepted; the others were refused, by an outcome or all at once."""
        outcomes: Sequence[Any]
        try:
            outcomes = await desk.soon(batching(desk).publish_many(envelopes))
        except TransportUnavailable as error:
            outcomes = [error] * len(envelopes)
        assert len(outcomes) == len(envelopes)
        wrong = [isinstance(outcome, BaseException) for outcome in outcomes]
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                self._check(desk, outcome)
        assert all(wrong) or not refused
        return [each for each, bad in zip(envelopes, wrong, strict=True) if not bad]


class DeduplicationOutageCases(DeduplicationCases, OutageCases, needs="duly_outages"):
    """For brokers that drop repeats even when they were away meanwhile."""

    async def test_a_repeat_after_the_broker_was_away_arrives_once(self, desk: Bench) -> None:
        delivery = {"message_id": "a", "delivery_id": "a:1:0"}
        first, second = (desk.envelope(b"once", attempt=attempt, **delivery) for attempt in (1, 2))
        await desk.publish(first)
        await desk.take_away()
        await desk.bring_back()
        await desk.goes_on()
        await desk.publish(second, new := desk.envelope(message_id="a", delivery_id="a:2:0"))
        got = await desk.comes(new)
        assert got.count(b"once") == 1
