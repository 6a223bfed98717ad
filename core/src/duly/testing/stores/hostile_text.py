"""Odd text and large values."""

from datetime import UTC, datetime, timedelta

import pytest

from duly.errors import InvalidMessage
from duly.message import Filter, Message, State
from duly.store import Bury, Counters, Group, Reschedule
from duly.testing.stores.bench import Bench, ids, settle_of
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import HOUR, retry

NAMES = {
    "one character": "x",
    "spaces": " a  b ",
    "quotes": "'a\"`b\\'); --",
    "format": "%s %(a)s {0} {a} $1 ?1 :a",
    "glob": "a*?[b]",
    "separators": "a:b/c|d,e;f",
    "combining": "e\u0301",
    "composed": "\u00e9",
    "right to left": "\u05d0\u05d1\u05d2",
    "beyond the basic plane": "\U0001f600\U00010000",
    "the last character": "\U0010fffd",
    "byte order mark": "\ufeffa",
    "no-break": "\u00a0\u2028",
    "the longest": "\U0001f600" * 255,
    "a number": "007",
    "null": "null",
    "json": '{"a": [1, "b"]}',
}

NEVER_STORED = {
    "empty": "",
    "lone surrogate": "\ud800",
    "surrogate within": "a\udfffb",
    "NUL": "a\0b",
    "control": "a\nb\x7f",
    "endless": "x" * 10_000,
}


class TextCases(StoreHarness):
    """Everything that a message may hold and that a caller may ask for."""

    @pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
    async def test_odd_names_through_a_life(self, desk: Bench, name: str) -> None:
        message = desk.message(name, event_name=name, metadata={name: name})
        await desk.put(message, desk.message("neighbour", HOUR))
        assert await desk.store.get(name) == message
        assert await desk.listed(event_name=name) == [name]
        assert await desk.listed(from_key=(message.scheduled_at, name)) == ["neighbour"]
        back = retry(message, timedelta(0), error=name)
        assert await desk.settle(await desk.claim(), {name: back})
        batch = await desk.claim()
        (claim,) = batch.claims
        assert (claim.message.id, claim.message.last_error) == (name, name)
        assert claim.message.metadata == {name: name}
        assert await desk.settle(batch, {name: Bury(name)})
        assert await desk.store.reschedule(name, None, of_state=State.DEAD) is State.DEAD
        await desk.put(desk.message(name, payload=name.encode()), replace=True)
        assert list(await desk.store.cancel([name])) == [State.SCHEDULED]
        assert await desk.listed() == ["neighbour"]

    async def test_all_odd_names_together(self, desk: Bench) -> None:
        await desk.put(*NAMES.values())
        assert await desk.listed() == sorted(NAMES.values())
        batch = await desk.claim()
        assert ids(batch) == list(NAMES.values())
        assert await desk.settle(batch, only=["e\u0301"])
        assert await desk.state("\u00e9") is State.CLAIMED

    @pytest.mark.parametrize("id", NEVER_STORED.values(), ids=NEVER_STORED)
    async def test_ids_that_no_message_has(self, desk: Bench, id: str) -> None:
        await desk.put("a")
        assert await desk.store.get(id) is None
        assert list(await desk.store.cancel(["unknown", id, "a"])) == [None, None, State.SCHEDULED]
        for of_state in (State.SCHEDULED, State.DEAD):
            assert await desk.store.reschedule(id, desk.start, of_state=of_state) is None
        await desk.put("a")
        assert await desk.store.list(Filter(event_name=id)) == []
        assert await desk.listed(from_key=(desk.start, "")) == ["a"]

    @pytest.mark.parametrize("name", ["\ud800", "a\udc00", "a\0b", "\n"], ids=ascii)
    async def test_what_cannot_be_stored_is_no_message(self, name: str) -> None:
        moment = datetime(2030, 1, 1, tzinfo=UTC)
        with pytest.raises(InvalidMessage):
            Message("event", id=name, scheduled_at=moment)
        with pytest.raises(InvalidMessage):
            Message(name, scheduled_at=moment)
        with pytest.raises(InvalidMessage):
            Message("event", metadata={name: ""}, scheduled_at=moment)

    async def test_metadata_of_all_kinds(self, desk: Bench) -> None:
        metadata = {f"{name}={value}": value for name, value in NAMES.items()}
        metadata |= {"lines": "a\r\nb\tc\x7f", "empty": "", "duly-message-id": "mine"}
        (message,) = await desk.put(desk.message("a", metadata=metadata))
        (claim,) = (await desk.claim()).claims
        assert claim.message.metadata == message.metadata
        assert list(claim.message.metadata) == list(metadata)

    @pytest.mark.parametrize(
        "payload", [b"\0", b"\0" * 1000, b"\xff\xfe\x00", b"\xed\xa0\x80", b"'; --"], ids=repr
    )
    async def test_payloads_are_bytes(self, desk: Bench, payload: bytes) -> None:
        await desk.put(desk.message("a", payload=payload))
        (claim,) = (await desk.claim()).claims
        assert claim.message.payload == payload

    async def test_large_payloads(self, desk: Bench) -> None:
        payloads = [bytes([number]) * 1024 * 1024 for number in range(3)]
        await desk.put(*(desk.message(f"m{n}", payload=each) for n, each in enumerate(payloads)))
        batch = await desk.claim()
        assert [claim.message.payload for claim in batch.claims] == payloads
        found = await desk.store.list(Filter(limit=2, offset=1))
        assert [each.payload for each in found] == payloads[1:]
        settle = settle_of(batch, {"m1": Bury("too large")})
        assert list((await desk.claim(settle=[settle])).settled) == [True]
        dead = await desk.store.get("m1")
        assert dead is not None
        assert dead.payload == payloads[1]

    async def test_large_metadata(self, desk: Bench) -> None:
        metadata = {f"{number:04}": "\u00e9" * 126 for number in range(256)}
        await desk.put(desk.message("a", metadata=metadata))
        (claim,) = (await desk.claim()).claims
        assert claim.message.metadata == metadata

    async def test_counts_and_moments_at_their_bounds(self, desk: Bench) -> None:
        last = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
        first = datetime(1900, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
        messages = [
            Message("event", id="a", scheduled_at=first, expires_at=last, created_at=first),
            Message("event", id="b", scheduled_at=last, created_at=last),
        ]
        await desk.put(*messages)
        assert list(await desk.store.list(Filter())) == messages
        batch = await desk.claim()
        assert ids(batch) == ["a"]
        counters = Counters(first, 2**31 - 1, 2**53 - 1, None)
        assert await desk.settle(batch, {"a": Reschedule(last, counters)})
        found = await desk.store.get("a")
        assert found is not None
        assert (found.retry_count, found.occurrence_count) == (2**31 - 1, 2**53 - 1)
        assert found.next_attempt_at == last

    async def test_odd_owners(self, desk: Bench) -> None:
        await desk.put("a", "b")
        for owner in ("h\u00f6st:1:\U0001f600", "'x\"\\ " + "y" * 300):
            batch = await desk.store.claim(limit=1, lease=HOUR, owner=owner)
            assert batch.token is not None
            assert len(batch.claims) == 1
            assert await desk.settle(batch)

    async def test_lone_surrogates_do_not_fail_neighbours(self, desk: Bench) -> None:
        await desk.put("a")
        group = Group([desk.message("b")])
        assert await desk.store.get("\udfff") is None
        assert await desk.outcomes(group) == [None]
        assert await desk.listed(event_name="event") == ["a", "b"]
