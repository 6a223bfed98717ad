"""Bugs in what is told beside the payload."""

import asyncio
from typing import Any, ClassVar

import attrs
from tests.transports.postbox import PostboxTransport, found_by

from duly.transport import Envelope


@found_by("test_metadata_is_handed_on")
@found_by("test_the_trace_goes_on")
class HandsNoHeadersOn(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        own = {name: text for name, text in envelope.headers.items() if name.startswith("duly-")}
        return {**super().record(envelope), "headers": own}


@found_by("test_metadata_cannot_pose_as_duly")
class LetsMetadataWin(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        return {**super().record(envelope), "headers": {**envelope.headers, **envelope.metadata}}


@found_by("test_what_is_read_is_what_was_sent")
class LosesTheState(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        kept = {name: text for name, text in envelope.headers.items() if name != "tracestate"}
        return {**super().record(envelope), "headers": kept}


@found_by("test_any_metadata_is_read")
class EncodesForNobodyToDecode(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        encoded = {name: text.replace("\r", "%0D") for name, text in envelope.headers.items()}
        return {**super().record(envelope), "headers": encoded}


@found_by("test_every_attempt_is_numbered")
@found_by("test_what_duly_tells")
class NumbersNoAttempts(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        return super().record(attrs.evolve(envelope, attempt=1, headers=None))


@found_by("test_values_of_any_text", kind="unicode")
@found_by("test_ids_of_any_text")
class WritesHeadersInLatin(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        latin = {
            name: text.encode("latin-1", "replace").decode("latin-1")
            for name, text in envelope.headers.items()
        }
        return {**super().record(envelope), "headers": latin}


@found_by("test_values_of_any_text", kind="spaces around")
class StripsHeaders(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        bare = {name: text.strip() for name, text in envelope.headers.items()}
        return {**super().record(envelope), "headers": bare}


@found_by("test_odd_names")
class WritesHeaderNamesSmall(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        small = {name.lower(): text for name, text in envelope.headers.items()}
        return {**super().record(envelope), "headers": small}


@found_by("test_many_headers")
class HandsOnTwentyHeaders(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        return {**super().record(envelope), "headers": dict([*envelope.headers.items()][:20])}


@found_by("test_headers_do_not_mix")
class SharesItsHeaders(PostboxTransport):
    headers: ClassVar[dict[str, str]] = {}

    async def publish(self, envelope: Envelope) -> str | None:
        self.headers.update(envelope.headers)
        await asyncio.sleep(0)
        return await super().publish(envelope)

    def record(self, envelope: Envelope) -> dict[str, Any]:
        return {**super().record(envelope), "headers": dict(self.headers)}


@found_by("test_a_line_end_starts_no_header", end="\r\n")
@found_by("test_a_line_end_starts_no_header", end="\n")
class WritesHeadersAsLines(PostboxTransport):
    def record(self, envelope: Envelope) -> dict[str, Any]:
        lines = "\n".join(f"{name}: {text}" for name, text in envelope.headers.items())
        pairs = [line.partition(": ") for line in lines.splitlines()]
        return {**super().record(envelope), "headers": {name: text for name, _, text in pairs}}
