"""Cases for stores that can list messages and leave their payloads where they are."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from duly.message import Filter, Message, State, with_changes
from duly.store import Bury, SupportsListingWithoutPayloads
from duly.testing.stores.bench import Bench
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import HOUR, retry

__all__ = ["ListingWithoutPayloadsCases", "both_lists", "emptied"]

LARGE = bytes(range(256)) * 1024
SIZES = [0, 1, 31, 32, 255, 256, 65_535, 65_536, len(LARGE)]
"""In bytes: around these sizes formats change how they write a length."""


class ListingWithoutPayloadsCases(StoreHarness):
    """For stores that are :class:`~duly.store.SupportsListingWithoutPayloads`."""

    async def test_without_payloads_the_rest_is_as_ever(self, desk: Bench) -> None:
        messages = [
            desk.message(f"m{size}", payload=LARGE[:size], metadata={"size": f"\n{size} \u00c4"})
            for size in SIZES
        ]
        await desk.put(*messages)
        for bounds in ({}, {"limit": 2}, {"limit": 3, "offset": 4}, {"event_name": "event"}):
            whole, lean = await both_lists(desk, **bounds)
            assert lean == emptied(whole)

    async def test_without_payloads_in_each_state(self, desk: Bench) -> None:
        (a, *_) = await desk.put(*(desk.message(id, payload=LARGE) for id in "abcd"))
        batch = await desk.claim(3)
        assert await desk.settle(batch, {"a": retry(a, HOUR), "b": Bury("broken")}, only=["a", "b"])
        for state in (None, *State):
            whole, lean = await both_lists(desk, state=state)
            assert whole
            assert lean == emptied(whole)

    async def test_without_payloads_from_a_place_on(self, desk: Bench) -> None:
        await desk.put(*(desk.message(id, payload=b"x" * 100) for id in "abc"))
        whole, lean = await both_lists(desk, from_key=(desk.start, "a"))
        assert [each.id for each in lean] == ["b", "c"]
        assert lean == emptied(whole)

    async def test_without_payloads_nothing_is_changed(self, desk: Bench) -> None:
        (message,) = await desk.put(desk.message("a", payload=LARGE))
        await both_lists(desk)
        assert await desk.store.get("a") == message
        (claim,) = (await desk.claim()).claims
        assert claim.message.payload == LARGE


async def both_lists(
    desk: Bench, from_key: tuple[datetime, str] | None = None, **bounds: Any
) -> tuple[Sequence[Message], Sequence[Message]]:
    """What a filter finds, with payloads and without."""
    store = cast(SupportsListingWithoutPayloads, desk.store)
    assert type(store).lists_without_payloads is True
    filter = Filter(**bounds)
    whole = await store.list(filter, from_key=from_key)
    lean = await store.list(filter, from_key=from_key, payload=False)
    assert type(lean) is list
    return list(whole), list(lean)


def emptied(messages: Sequence[Message]) -> Sequence[Message]:
    """The same with empty payloads."""
    return [with_changes(message, payload=b"") for message in messages]
