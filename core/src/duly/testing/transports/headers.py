"""Cases for transports that hand on headers."""

import contextlib
from typing import ClassVar

import pytest

from duly.errors import TransportError
from duly.testing.transports.bench import Bench
from duly.testing.transports.harness import Received, TransportHarness

TEXTS = {
    "a word": "7",
    "nothing": "",
    "spaces around": "  7  ",
    "unicode": "größe \U0001f4e6 注文",
    "latin-1": "größe",
    "punctuation": "a=b; c,d: \"e\" 'f' \\ %41 {g} <h>",
    "looks encoded": "=?utf-8?q?x?=",
    "long": "x" * 4000,
}


class HeaderCases(TransportHarness):
    """For transports whose consumers get headers: all of them, as they were."""

    odd_header_names: ClassVar[tuple[str, ...]] = ("tenant", "X-Tenant_Id", "tenant.id", "1")
    """Names of metadata that must pass, besides the common ones."""

    async def test_metadata_is_handed_on(self, desk: Bench) -> None:
        metadata = {"tenant": "7", "colour": "blue"}
        got = await self._sent(desk, metadata=metadata)
        assert {name: got.headers.get(name) for name in metadata} == metadata

    @pytest.mark.parametrize("kind", TEXTS)
    async def test_values_of_any_text(self, desk: Bench, kind: str) -> None:
        got = await self._sent(desk, metadata={"text": TEXTS[kind]})
        assert got.headers.get("text") == TEXTS[kind]

    async def test_odd_names(self, desk: Bench) -> None:
        metadata = {name: f"of {name}" for name in self.odd_header_names}
        got = await self._sent(desk, metadata=metadata)
        assert {name: got.headers.get(name) for name in metadata} == metadata

    async def test_many_headers(self, desk: Bench) -> None:
        metadata = {f"name-{number}": str(number) for number in range(50)}
        got = await self._sent(desk, metadata=metadata)
        assert {name: got.headers.get(name) for name in metadata} == metadata

    async def test_what_duly_tells(self, desk: Bench) -> None:
        got = await self._sent(desk, message_id="a", delivery_id="a:17:2", occurrence=2, attempt=3)
        assert {name: text for name, text in got.headers.items() if name.startswith("duly-")} == {
            "duly-message-id": "a",
            "duly-scheduled-at": "2030-01-01T12:30:15.123456+00:00",
            "duly-occurrence": "2",
            "duly-attempt": "3",
            "duly-delivery-id": "a:17:2",
        }

    async def test_ids_of_any_text(self, desk: Bench) -> None:
        id = "größe \U0001f4e6/1"
        got = await self._sent(desk, message_id=id, delivery_id=f"{id}:1:0")
        assert got.headers.get("duly-message-id") == id
        assert got.headers.get("duly-delivery-id") == f"{id}:1:0"

    async def test_every_attempt_is_numbered(self, desk: Bench) -> None:
        for attempt in (1, 2, 3):
            delivery = {"message_id": "a", "delivery_id": f"a:{attempt}:0"}
            await desk.publish(desk.envelope(attempt=attempt, **delivery))
        got = await desk.received(3)
        assert sorted(each.headers["duly-attempt"] for each in got) == ["1", "2", "3"]

    async def test_metadata_cannot_pose_as_duly(self, desk: Bench) -> None:
        got = await self._sent(desk, message_id="a", metadata={"duly-message-id": "b"})
        assert got.headers["duly-message-id"] == "a"

    async def test_the_trace_goes_on(self, desk: Bench) -> None:
        parent = f"00-{'ab' * 16}-{'cd' * 8}-01"
        got = await self._sent(desk, trace_context={"traceparent": parent})
        assert got.headers.get("traceparent") == parent

    async def test_headers_do_not_mix(self, desk: Bench) -> None:
        envelopes = [
            desk.envelope(str(number).encode(), metadata={"number": str(number)})
            for number in range(self.many(100))
        ]
        await desk.publish(*envelopes)
        for got in await desk.arrived(*envelopes):
            assert got.headers.get("number") == got.payload.decode()

    @pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
    async def test_a_line_end_starts_no_header(self, desk: Bench, end: str) -> None:
        """Such a value arrives as it was, or the message is refused."""
        text = f"7{end}injected: yes{end}{end}body"
        refused, last = desk.envelope(metadata={"text": text}), desk.envelope()
        sent = [last]
        with contextlib.suppress(TransportError):
            await desk.publish(refused)
            sent.append(refused)
        await desk.publish(last)
        for got in await desk.arrived(*sent):
            assert "injected" not in got.headers
            assert got.headers.get("text") in (None, text)

    async def _sent(self, desk: Bench, **fields: object) -> Received:
        envelope = desk.envelope(**fields)
        await desk.publish(envelope)
        (got,) = await desk.arrived(envelope)
        return got
