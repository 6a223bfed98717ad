"""Bugs that only a few messages bring to light."""

from typing import Any

from tests.transports.postbox import PostboxTransport, found_by

from duly.errors import TransportUnavailable
from duly.transport import Envelope


@found_by("test_messages_made_by_chance")
class CannotSaySomeNames(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        for name in envelope.metadata:
            name.encode("latin-1")
        return super().record(envelope)


@found_by("test_messages_made_by_chance")
class DropsLineEnds(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        record = super().record(envelope)
        headers = {
            name: text.replace("\r", "").replace("\n", "")
            for name, text in record["headers"].items()
        }
        return {**record, "headers": headers}


@found_by("test_messages_made_by_chance")
class TakesARefusalForAnOutage(PostboxTransport):
    async def publish(self, envelope: Envelope) -> str | None:
        if "\u200b" in envelope.message_id:
            raise TransportUnavailable("the broker hung up")
        return await super().publish(envelope)


@found_by("test_messages_made_by_chance")
class CutsAtAByteOrderMark(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        record = super().record(envelope)
        return {**record, "name": record["name"].removeprefix("\ufeff")}
