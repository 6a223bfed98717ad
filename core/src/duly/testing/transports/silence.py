"""Cases for a broker that is there and says nothing: a frozen gate before it."""

import asyncio

import pytest

from duly.errors import TransportUnavailable
from duly.testing.transports.bench import Bench
from duly.testing.transports.harness import TransportHarness
from duly.transport import SupportsBatches

_SILENT = 0.2
"""Seconds of silence, in which nothing may be called accepted."""


class SilenceCases(TransportHarness, needs="duly_gate"):
    """Nothing is accepted until the broker says so, and what failed is not sent later."""

    async def test_nothing_is_accepted_while_nobody_answers(self, desk: Bench) -> None:
        if self.no_confirmations:
            pytest.skip(f"no confirmations: {self.no_confirmations}")
        await desk.publish(desk.envelope())
        desk.gate.freeze()
        envelopes = desk.envelopes(3)
        publishes = [asyncio.ensure_future(desk.transport.publish(each)) for each in envelopes]
        done, _ = await asyncio.wait(publishes, timeout=_SILENT)
        early = [each for each in done if each.exception() is None]
        desk.gate.thaw()
        outcomes = await desk.soon(asyncio.gather(*publishes, return_exceptions=True))
        assert not early, "publish returned before the broker had said that it has the message"
        accepted = [desk.told(outcome) for outcome in outcomes]
        await desk.goes_on()
        for envelope, good in zip(envelopes, accepted, strict=True):
            if good:
                await desk.comes(envelope)

    async def test_no_batch_is_accepted_while_nobody_answers(self, desk: Bench) -> None:
        if self.no_confirmations:
            pytest.skip(f"no confirmations: {self.no_confirmations}")
        if not isinstance(desk.transport, SupportsBatches):
            pytest.skip("this transport is no SupportsBatches")
        await desk.publish(desk.envelope())
        desk.gate.freeze()
        envelopes = desk.envelopes(3)
        publish = asyncio.ensure_future(desk.transport.publish_many(envelopes))
        done, _ = await asyncio.wait([publish], timeout=_SILENT)
        desk.gate.thaw()
        (told,) = await desk.soon(asyncio.gather(publish, return_exceptions=True))
        outcomes = [told] * 3 if isinstance(told, BaseException) else told
        accepted = [desk.told(outcome) for outcome in outcomes]
        early = done and any(accepted)
        assert not early, "publish_many returned before the broker had said that it has them"
        await desk.goes_on()
        for envelope, good in zip(envelopes, accepted, strict=True):
            if good:
                await desk.comes(envelope)

    async def test_cancelled_while_nobody_answers_nothing_is_accepted(self, desk: Bench) -> None:
        """As a scheduler does when a publish takes too long."""
        if self.no_confirmations:
            pytest.skip(f"no confirmations: {self.no_confirmations}")
        await desk.publish(desk.envelope())
        desk.gate.freeze()
        publish = asyncio.ensure_future(desk.transport.publish(desk.envelope()))
        await asyncio.wait([publish], timeout=_SILENT)
        publish.cancel()
        done, _ = await asyncio.wait([publish], timeout=_SILENT)
        early = [each for each in done if not each.cancelled() and each.exception() is None]
        desk.gate.thaw()
        await desk.soon(asyncio.gather(publish, return_exceptions=True))
        assert not early, "publish swallowed its cancellation and returned as if accepted"
        await desk.goes_on()

    async def test_what_failed_is_not_sent_later(self, desk: Bench) -> None:
        """What was in flight is lost with the connection: the scheduler sends it again."""
        await desk.publish(desk.envelope())
        desk.gate.freeze()
        envelopes = desk.envelopes(3)
        publishes = [asyncio.ensure_future(desk.transport.publish(each)) for each in envelopes]
        await asyncio.wait(publishes, timeout=_SILENT)
        await desk.gate.shut()
        outcomes = await desk.soon(asyncio.gather(*publishes, return_exceptions=True))
        accepted = [desk.told(outcome) for outcome in outcomes]
        for outcome in outcomes:
            assert isinstance(outcome, str | None | TransportUnavailable), (
                f"the broker went away: raise TransportUnavailable, not {outcome!r}"
            )
        await desk.gate.open()
        await desk.goes_on()
        await desk.never_came(
            [each for each, good in zip(envelopes, accepted, strict=True) if not good]
        )

    async def test_opening_while_nobody_answers(self, desk: Bench) -> None:
        transport = await desk.make()
        desk.gate.freeze()
        opening = asyncio.ensure_future(transport.open())
        await asyncio.wait([opening], timeout=_SILENT)
        desk.gate.thaw()
        await desk.opens_or_tells(opening)
        await desk.goes_on(by=transport)

    async def test_closing_while_nobody_answers(self, desk: Bench) -> None:
        await desk.publish(desk.envelope())
        desk.gate.freeze()
        publish = asyncio.ensure_future(desk.transport.publish(desk.envelope()))
        await asyncio.sleep(0)
        await desk.soon(desk.transport.close())
        (outcome,) = await desk.soon(asyncio.gather(publish, return_exceptions=True))
        desk.told(outcome)
        await desk.gate.open()
        await desk.goes_on()

    async def test_connections_that_are_reset(self, desk: Bench) -> None:
        for _ in range(3):
            publishes = [
                asyncio.ensure_future(desk.transport.publish(each)) for each in desk.envelopes(5)
            ]
            await asyncio.sleep(0)
            await desk.gate.cut()
            for outcome in await desk.soon(asyncio.gather(*publishes, return_exceptions=True)):
                desk.told(outcome)
            await desk.goes_on()
