"""Bugs in batches and refusals."""

import asyncio
from collections.abc import Sequence
from typing import Any

import attrs
from tests.transports.postbox import PostboxTransport, found_by

from duly.errors import Rejected, TransportError
from duly.transport import Envelope


@found_by("test_what_can_never_pass_is_rejected")
class CallsARefusalAFailure(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        try:
            return await super().publish(envelope)
        except Rejected as error:
            raise TransportError(str(error)) from error


@found_by("test_its_neighbours_pass")
class CallsARefusalASuccess(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        try:
            return await super().publish(envelope)
        except Rejected:
            return None


@found_by("test_one_outcome_each", number=0)
class CannotTakeAnEmptyBatch(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        await asyncio.wait([self._send(envelope) for envelope in envelopes])
        return await super().publish_many(envelopes)


@found_by("test_one_outcome_each", number=1000)
class TakesTheFirstHundred(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        return await super().publish_many(envelopes[:100])


@found_by("test_several_event_names_at_once")
class TakesABatchForOneEvent(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        name = envelopes[0].event_name
        return await super().publish_many([attrs.evolve(e, event_name=name) for e in envelopes])


@found_by("test_batches_side_by_side")
class TakesOneBatchAtATime(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        assert not self._waiting
        return await super().publish_many(envelopes)


@found_by("test_a_large_one_among_small_ones")
class CutsLargePayloadsInBatches(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        cut = [attrs.evolve(each, payload=each.payload[:1000]) for each in envelopes]
        return await super().publish_many(cut)


@found_by("test_a_cancelled_batch_does_no_harm")
class HoldsTheLineWhenCancelled(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        await self._opening.acquire()
        outcomes = await super().publish_many(envelopes)
        self._opening.release()
        return outcomes


@found_by("test_refused_within_a_batch", places=[4])
class TellsOutcomesInAnyOrder(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        return [*reversed(await super().publish_many(envelopes))]


@found_by("test_refused_within_a_batch", places=[2, 3])
class FailsTheWholeBatch(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        return await asyncio.gather(*map(self._send, envelopes))


@found_by("test_refused_within_a_batch", places=[0])
class TellsOnlyOfWhatPassed(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        outcomes = await super().publish_many(envelopes)
        return [each for each in outcomes if not isinstance(each, Exception)]
