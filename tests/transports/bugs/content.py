"""Bugs in what is sent: payloads, names, ids, repeats, receipts."""

from typing import Any

import attrs
from tests.transports.postbox import PostboxTransport, found_by

from duly.errors import Rejected
from duly.transport import Envelope


@found_by("test_a_payload_of_any_bytes", kind="empty")
class DropsEmptyPayloads(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        return await super().publish(envelope) if envelope.payload else None


@found_by("test_a_payload_of_any_bytes", kind="every byte")
@found_by("test_a_payload_of_any_bytes", kind="not text")
class TakesPayloadsForText(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        text = envelope.payload.decode(errors="replace")
        return await super().publish(attrs.evolve(envelope, payload=text.encode()))


@found_by("test_a_payload_of_any_bytes", kind="line ends")
class StripsPayloads(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        return await super().publish(attrs.evolve(envelope, payload=envelope.payload.strip()))


@found_by("test_a_large_payload")
class CutsLargePayloads(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        return await super().publish(attrs.evolve(envelope, payload=envelope.payload[: 1 << 19]))


@found_by("test_odd_event_names")
class LowersEventNames(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        return {**super().record(envelope), "name": envelope.event_name.lower()}


@found_by("test_odd_ids", id="größe-\U0001f4e6")
class TakesIdsInLatinOnly(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        envelope.message_id.encode("latin-1")
        return super().record(envelope)


@found_by("test_moments_far_away")
class KnowsNoTimeBefore1970(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        assert envelope.scheduled_at.year >= 1970
        return super().record(envelope)


@found_by("test_metadata_does_no_harm")
class WantsNamesInMetadata(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        assert all(envelope.metadata)
        return super().record(envelope)


@found_by("test_an_id_used_again_is_not_dropped")
@found_by("test_what_is_new_under_a_used_id_passes_between_repeats")
@found_by("test_occurrences_of_a_series")
class DeduplicatesByMessageId(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        return {**super().record(envelope), "delivery_id": envelope.message_id}


@found_by("test_different_messages_of_the_same_content")
@found_by("test_an_id_used_again_with_the_same_content")
class DeduplicatesByContent(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        return {**super().record(envelope), "delivery_id": str(envelope.payload)}


@found_by("test_attempts_of_one_delivery")
class RefusesRepeats(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        if envelope.attempt > 1:
            raise Rejected("had it already")
        return await super().publish(envelope)


@found_by("test_attempts_of_one_delivery_arrive_once")
@found_by("test_also_those_of_another_process")
class DoesNotDeduplicate(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        return {**super().record(envelope), "delivery_id": str(id(envelope))}


@found_by("test_the_envelope_stays_as_it_is")
class WritesIntoTheMetadata(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        receipt = await super().publish(envelope)
        envelope.metadata["receipt"] = receipt  # type: ignore[index]  # the bug
        return receipt


@found_by("test_one_after_the_other")
@found_by("test_a_thousand_at_once")
class SendsTwice(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        await super().publish(attrs.evolve(envelope, delivery_id=f"{envelope.delivery_id}+"))
        return await super().publish(envelope)


@found_by("test_a_message_arrives")
class GivesNumbersForReceipts(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        await super().publish(envelope)
        return 200  # type: ignore[return-value]  # the bug


@found_by("test_each_has_a_receipt_of_its_own")
class GivesOneReceiptForAll(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        await super().publish(envelope)
        return "ok"
