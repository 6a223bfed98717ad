"""Cases for transports whose plugin has a function by which consumers read what was written."""

import random
from typing import Any, Final

from duly.testing.transports.bench import Bench
from duly.testing.transports.harness import TransportHarness
from duly.testing.transports.headers import TEXTS
from duly.transport import Envelope

# Names that some protocol or escaping gives a meaning.
_NAMES: Final = (
    "tenant", "Tenant_Id", "event_name", "payload", "duly-more", "metadata-", "metadata-tenant",
    "metadata-metadata-CC", "CC", "BCC", "Status", "Nats-Msg-Id", "Host", "x-forwarded-for",
    "ce-id", "größe", "a b", "50%", "%41", "star*", "star**", "1", "\U0001f4e6",
)  # fmt: skip
_LETTERS: Final = "aZ0 %25\r\n\t*=?:;,\"'\\/{}äöü注\U0001f4e6\u2028\x7f\ufeff"
_TRACE: Final = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "tracestate": "a=50%25,b=c"}
_FIELDS: Final = (
    "message_id", "event_name", "payload", "metadata", "scheduled_at", "occurrence", "attempt",
    "trace_context", "delivery_id",
)  # fmt: skip


class ReadingCases(TransportHarness):
    """For transports that come with a function by which consumers read messages back.

    Give its result for each message as ``envelope`` of :class:`Received`.
    """

    async def test_what_is_read_is_what_was_sent(self, desk: Bench) -> None:
        await self._round_trip(
            desk,
            *(desk.envelope(event_name=name) for name in self.odd_event_names),
            *(desk.envelope(metadata={"text": text}) for text in TEXTS.values()),
            desk.envelope(b"", occurrence=2, attempt=3, trace_context=_TRACE),
            desk.envelope(b"\xff\x00", message_id="größe \U0001f4e6/1"),
        )

    async def test_any_metadata_is_read(self, desk: Bench) -> None:
        """Names that have a meaning and values of odd characters, drawn at random."""
        chance = random.Random(17)  # noqa: S311  # no secret, and the same at each run
        await self._round_trip(desk, *(self._any(desk, chance) for _ in range(self.many(60))))

    def _any(self, desk: Bench, chance: random.Random) -> Envelope:
        names = chance.sample(_NAMES, chance.randrange(6))
        values = ("".join(chance.choices(_LETTERS, k=chance.randrange(12))) for _ in names)
        return desk.envelope(
            metadata=dict(zip(names, values, strict=True)),
            trace_context=_TRACE if chance.random() < 0.3 else {},
            occurrence=chance.randrange(3),
            attempt=chance.randrange(1, 4),
        )

    async def _round_trip(self, desk: Bench, *envelopes: Envelope) -> None:
        await desk.publish(*envelopes)
        read = [each.envelope for each in await desk.arrived(*envelopes)]
        assert None not in read, "received() gives no envelope, see ReadingCases"
        found = {each.message_id: _facts(each) for each in read if each is not None}
        for each in envelopes:
            assert found.get(each.message_id) == _facts(each)


def _facts(envelope: Envelope) -> dict[str, Any]:
    return {name: getattr(envelope, name) for name in _FIELDS}
