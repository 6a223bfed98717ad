"""One message after the other: whatever a message may hold arrives unchanged."""

import os
from datetime import UTC, datetime

import pytest

from duly.testing.transports.bench import Bench
from duly.testing.transports.harness import TransportHarness

PAYLOADS = {
    "empty": b"",
    "every byte": bytes(range(256)),
    "not text": b"\xff\xfe\x00\xc3\x28\xed\xa0\x80",
    "only NUL": b"\0\0\0",
    "line ends": b"\r\n\r\n\n\r.\r\n",
    "like JSON": b'{"payload": null}',
    "like base64": b"cGF5bG9hZA==",
    "a byte": b"\x80",
}

IDS = [
    "größe-\U0001f4e6",
    "a b",
    "a:b/c\\d|e",
    "%41%00%",
    '\'; drop "x" -- $1 {0}',
    "../../up",
    "*",
    "0",
    "x" * 255,
    "ß" * 255,
]


class PublishCases(TransportHarness):
    """Payloads, event names, ids, moments."""

    async def test_a_message_arrives(self, desk: Bench) -> None:
        envelope = desk.envelope(b"the payload")
        await desk.publish(envelope)
        (got,) = await desk.arrived(envelope)
        assert (got.event_name, got.payload) == (self.event_name, b"the payload")

    @pytest.mark.parametrize("kind", PAYLOADS)
    async def test_a_payload_of_any_bytes(self, desk: Bench, kind: str) -> None:
        envelope = desk.envelope(PAYLOADS[kind])
        await desk.publish(envelope)
        await desk.arrived(envelope)

    async def test_a_large_payload(self, desk: Bench) -> None:
        envelope = desk.envelope(os.urandom(self.largest))
        await desk.publish(envelope)
        await desk.arrived(envelope)

    async def test_odd_event_names(self, desk: Bench) -> None:
        envelopes = [desk.envelope(event_name=name) for name in self.odd_event_names]
        for envelope in envelopes:
            await desk.publish(envelope)
        await desk.arrived(*envelopes)

    @pytest.mark.parametrize("id", IDS)
    async def test_odd_ids(self, desk: Bench, id: str) -> None:
        envelope = desk.envelope(message_id=id)
        await desk.publish(envelope)
        await desk.arrived(envelope)

    async def test_moments_far_away(self, desk: Bench) -> None:
        years = (1, 1969, 2038, 9999)
        moments = [datetime(year, 12, 31, 23, 59, 59, 999_999, UTC) for year in years]
        envelopes = [desk.envelope(scheduled_at=moment) for moment in moments]
        for envelope in envelopes:
            await desk.publish(envelope)
        await desk.arrived(*envelopes)

    async def test_one_after_the_other(self, desk: Bench) -> None:
        envelopes = desk.envelopes(self.many(100))
        for envelope in envelopes:
            await desk.publish(envelope)
        await desk.arrived(*envelopes)

    async def test_metadata_does_no_harm(self, desk: Bench) -> None:
        """Metadata that a transport does not hand on does not make it fail."""
        metadata = {"": "", "tenant": "7", "größe": "\U0001f4e6", "long": "x" * 4000, "id": "id"}
        envelope = desk.envelope(metadata=metadata, trace_context={"traceparent": "00-ab-cd-01"})
        await desk.publish(envelope)
        await desk.arrived(envelope)


class RepeatCases(TransportHarness):
    """A new message is never taken for a repeat, and a repeat is never an error."""

    async def test_attempts_of_one_delivery(self, desk: Bench) -> None:
        first = desk.envelope(message_id="a", delivery_id="a:1:0")
        last = desk.envelope()
        for attempt in (1, 2, 3, 17):
            repeat = desk.envelope(
                first.payload, message_id="a", delivery_id="a:1:0", attempt=attempt
            )
            await desk.publish(repeat)
        await desk.publish(last)
        await desk.comes(last)  # before the others, where a broker has several partitions
        assert set(await desk.comes(first)) == {first.payload, last.payload}

    async def test_an_id_used_again_is_not_dropped(self, desk: Bench) -> None:
        envelopes = [desk.envelope(message_id="a") for _ in range(3)]
        assert len({envelope.delivery_id for envelope in envelopes}) == 3
        for envelope in envelopes:
            await desk.publish(envelope)
        await desk.arrived(*envelopes)

    async def test_an_id_used_again_with_the_same_content(self, desk: Bench) -> None:
        envelopes = [desk.envelope(b"the same", message_id="a") for _ in range(3)]
        await desk.publish(*envelopes)
        await desk.arrived(*envelopes)

    async def test_occurrences_of_a_series(self, desk: Bench) -> None:
        envelopes = [
            desk.envelope(message_id="a", delivery_id=f"a:1:{number}", occurrence=number)
            for number in range(5)
        ]
        for envelope in envelopes:
            await desk.publish(envelope)
        await desk.arrived(*envelopes)

    async def test_different_messages_of_the_same_content(self, desk: Bench) -> None:
        envelopes = [desk.envelope(b"the same") for _ in range(5)]
        await desk.publish(*envelopes)
        await desk.arrived(*envelopes)

    async def test_the_envelope_stays_as_it_is(self, desk: Bench) -> None:
        metadata = {"tenant": "7"}
        envelope = desk.envelope(metadata=metadata, attempt=3, occurrence=2)
        again = desk.envelope(
            envelope.payload,
            message_id=envelope.message_id,
            delivery_id=envelope.delivery_id,
            metadata={"tenant": "7"},
            attempt=3,
            occurrence=2,
        )
        assert envelope.headers == again.headers
        await desk.publish(envelope)
        assert envelope == again
        assert metadata == {"tenant": "7"}
