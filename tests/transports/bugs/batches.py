"""Bugs in batches and refusals."""

import asyncio
from collections.abc import Sequence
from typing import Any

import attrs
from tests.transports.postbox import PostboxTransport, found_by

from duly.errors import Rejected, TransportError, TransportUnavailable
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


@found_by("test_a_cancelled_batch_does_no_harm")
class TellsABareErrorWhenABatchIsCancelled(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        try:
            return await super().publish_many(envelopes)
        except asyncio.CancelledError as error:
            raise OSError("the client was interrupted") from error


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


@found_by("test_payloads_of_any_bytes_in_a_batch")
class TakesPayloadsInBatchesForText(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        texts = [each.payload.decode(errors="replace").encode() for each in envelopes]
        return await super().publish_many(
            [attrs.evolve(e, payload=text) for e, text in zip(envelopes, texts, strict=True)]
        )


@found_by("test_ids_used_again_in_a_batch")
class TakesEachIdOnceInABatch(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        once = {envelope.message_id: envelope for envelope in envelopes}
        receipts = await super().publish_many([*once.values()])
        told = dict(zip(once, receipts, strict=True))
        return [told[envelope.message_id] for envelope in envelopes]


@found_by("test_a_repeat_in_a_batch_is_no_error")
class RefusesRepeatsInABatch(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        outcomes = [*await super().publish_many(envelopes)]
        known: set[str] = set()
        for place, envelope in enumerate(envelopes):
            if envelope.delivery_id in known:
                outcomes[place] = TransportError("had it already")
            known.add(envelope.delivery_id)
        return outcomes


@found_by("test_headers_in_a_batch")
class SharesHeadersInABatch(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        headers = envelopes[0].headers
        return await super().publish_many([attrs.evolve(e, headers=headers) for e in envelopes])


@found_by("test_one_outcome_each", number=2)
class GivesReceiptsById(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Any:
        receipts = await super().publish_many(envelopes)
        return {e.message_id: each for e, each in zip(envelopes, receipts, strict=True)}


@found_by("test_one_outcome_each", number=2)
class GivesNumbersForABatch(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        return [200 for _ in await super().publish_many(envelopes)]


@found_by("test_one_outcome_each", number=2)
class GivesOneOutcomeForABatch(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        return (await super().publish_many(envelopes))[:1]


@found_by("test_refused_within_a_batch", places=[2, 3])
class GivesTheClassForARefusal(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        outcomes = await super().publish_many(envelopes)
        return [Rejected if isinstance(each, Rejected) else each for each in outcomes]


@found_by("test_each_has_a_receipt_of_its_own")
class GivesOneReceiptForABatch(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        receipts = await super().publish_many(envelopes)
        return [receipts[0] for _ in envelopes]


@found_by("test_a_batch_while_it_is_away")
class CallsABatchAccepted(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        outcomes = await super().publish_many(envelopes)
        return [None if isinstance(each, TransportUnavailable) else each for each in outcomes]


@found_by("test_batches_in_flight_when_it_goes")
class BlamesABatchInFlight(PostboxTransport):
    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        outcomes = await super().publish_many(envelopes)
        return [
            TransportError(str(each)) if isinstance(each, TransportUnavailable) else each
            for each in outcomes
        ]
