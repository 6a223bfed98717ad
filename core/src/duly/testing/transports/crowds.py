"""Many messages at the same time, some of them cancelled, through one transport or several."""

import asyncio
import os

from duly.testing.transports.bench import Bench
from duly.testing.transports.harness import TransportHarness
from duly.transport import Limits, SupportsLimits


class CrowdCases(TransportHarness):
    """Side by side."""

    async def test_a_thousand_at_once(self, desk: Bench) -> None:
        envelopes = desk.envelopes(self.many(1000))
        await desk.publish(*envelopes)
        await desk.arrived(*envelopes)

    async def test_large_and_small_ones_do_not_mix(self, desk: Bench) -> None:
        large = [desk.envelope(os.urandom(self.largest // 8)) for _ in range(8)]
        small = desk.envelopes(50)
        await desk.publish(*large[:4], *small, *large[4:])
        await desk.arrived(*large, *small)

    async def test_several_transports_side_by_side(self, desk: Bench) -> None:
        transports = [desk.transport, await desk.another(), await desk.another()]
        shares = [desk.envelopes(20) for _ in transports]
        async with asyncio.TaskGroup() as group:
            for transport, share in zip(transports, shares, strict=True):
                group.create_task(desk.publish(*share, by=transport))
        await desk.arrived(*(envelope for share in shares for envelope in share))

    async def test_limits_are_told_and_can_be_used_up(self, desk: Bench) -> None:
        if not isinstance(desk.transport, SupportsLimits):
            return
        await desk.publish(first := desk.envelope())
        limits: object = desk.transport.limits()
        assert isinstance(limits, Limits), "limits() must be a plain method that returns Limits"
        again = [desk.transport.limits() for _ in range(10)]
        assert all(each is limits for each in again), "limits() must be the same until they change"
        number = self.many(min(limits.in_all or 100, 100))
        await desk.publish(*(envelopes := desk.envelopes(number)))
        await desk.arrived(first, *envelopes)

    async def test_closing_one_leaves_the_others(self, desk: Bench) -> None:
        other = await desk.another()
        await desk.publish(first := desk.envelope(), by=other)
        await desk.soon(other.close())
        await desk.publish(second := desk.envelope())
        await desk.arrived(first, second)


class CancelCases(TransportHarness):
    """A publish may be cancelled at any moment, and the transport goes on."""

    async def test_cancelled_on_its_way(self, desk: Bench) -> None:
        for steps in range(self.many(30)):
            publish = asyncio.ensure_future(desk.transport.publish(desk.envelope()))
            for _ in range(steps):
                await asyncio.sleep(0)
            await self._cancel(desk, publish)
        await self._goes_on(desk)
        # The answer to a cancelled publish may have been taken for that of the next, and so on.
        await asyncio.sleep(0.05)
        await self._goes_on(desk)

    async def test_a_large_one_cancelled_on_its_way(self, desk: Bench) -> None:
        payload = os.urandom(self.largest)
        for steps in range(10):
            publish = asyncio.ensure_future(desk.transport.publish(desk.envelope(payload)))
            for _ in range(steps):
                await asyncio.sleep(0)
            await self._cancel(desk, publish)
        await self._goes_on(desk)

    async def test_some_of_many_cancelled(self, desk: Bench) -> None:
        envelopes = desk.envelopes(self.many(200))
        tasks = [asyncio.ensure_future(desk.transport.publish(each)) for each in envelopes]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        outcomes = await desk.soon(asyncio.gather(*tasks, return_exceptions=True))
        for outcome in outcomes[::2]:
            desk.told(outcome, cancelled=True)
        errors = [each for each in outcomes[1::2] if isinstance(each, BaseException)]
        assert not errors, "publishes failed because others were cancelled"
        await self._goes_on(desk)
        for kept in envelopes[1::2]:
            assert (await desk.comes(kept)).count(kept.payload) == 1

    async def _cancel(self, desk: Bench, publish: "asyncio.Future[str | None]") -> None:
        publish.cancel()
        (outcome,) = await desk.soon(asyncio.gather(publish, return_exceptions=True))
        assert outcome is None or isinstance(outcome, str | asyncio.CancelledError)

    async def _goes_on(self, desk: Bench) -> None:
        """The transport still publishes; this message arrives exactly once."""
        last = desk.envelope()
        await desk.publish(last)
        assert (await desk.comes(last)).count(last.payload) == 1
