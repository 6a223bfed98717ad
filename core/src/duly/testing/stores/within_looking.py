"""Cases for reads within a caller's own transaction: they show what it sees, and no more."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, cast

import pytest

from duly.errors import InvalidArgument
from duly.message import Filter, Message, State
from duly.store import Bury, Group, SupportsTransactions
from duly.testing.stores.bench import Bench
from duly.testing.stores.listing_without_payloads import emptied
from duly.testing.stores.situations import HOUR
from duly.testing.stores.within import RollBack, WithinHarness


class WithinLookCases(WithinHarness):
    """What :meth:`~duly.store.Store.get` and :meth:`~duly.store.Store.list` show ``within``."""

    async def test_a_look_shows_what_the_transaction_did(self, desk: Bench) -> None:
        await desk.put("gone", "moved", "replaced", "same", after=HOUR)
        store, at = _looking(desk), desk.start + 2 * HOUR
        new = [desk.message("a", payload=b"a"), desk.message("replaced", HOUR, payload=b"new")]
        async with self.transaction(desk.namespace) as within:
            await desk.store.put([Group(new[:1]), Group(new[1:], replace=True)], within=within)
            await desk.store.cancel(["gone"], within=within)
            await desk.store.reschedule("moved", at, of_state=State.SCHEDULED, within=within)
            assert [await store.get(each.id, within=within) for each in new] == new
            assert await store.get("gone", within=within) is None
            moved = await store.get("moved", within=within)
            assert moved is not None
            assert moved.scheduled_at == moved.next_attempt_at == at
            seen = await store.list(Filter(), within=within)
            assert [each.id for each in seen] == ["a", "replaced", "same", "moved"]
            assert [await store.get(each.id, within=within) for each in seen] == list(seen)
        assert await store.list(Filter()) == seen

    async def test_a_look_without_the_transaction_shows_nothing_of_it(self, desk: Bench) -> None:
        (message,) = await desk.put("gone", after=HOUR)
        with suppress(RollBack):
            async with self.transaction(desk.namespace) as within:
                await desk.store.put([Group([desk.message("a")])], within=within)
                await desk.store.cancel(["gone"], within=within)
                assert await desk.store.get("a") is None
                assert await desk.store.get("gone") == message
                assert await desk.listed() == ["gone"]
                raise RollBack
        async with self.transaction(desk.namespace) as within:
            assert await _looking(desk).get("a", within=within) is None
            assert await _listed(desk, within) == ["gone"]

    async def test_a_look_within_shows_the_whole_message(self, desk: Bench) -> None:
        odd = desk.message(
            "\u0444 '\"\\ \U0001f511",
            payload=bytes(range(256)) * 300,
            metadata={"\u540d": 'a "quoted" \\ value\n', "empty": ""},
            expires_at=desk.start + HOUR,
        )
        await desk.put(odd, desk.message("plain"), "held", "buried")
        batch = await desk.claim(4)
        assert await desk.settle(batch, {"buried": Bury("broken")}, only=["buried"])
        stored = await desk.store.list(Filter())
        async with self.transaction(desk.namespace) as within:
            assert await _looking(desk).list(Filter(), within=within) == stored
            for message in stored:
                assert await _looking(desk).get(message.id, within=within) == message
            if getattr(type(desk.store), "lists_without_payloads", False):
                lean = await cast(Any, desk.store).list(Filter(), payload=False, within=within)
                assert list(lean) == emptied(stored)

    async def test_a_list_within_takes_every_filter(self, desk: Bench) -> None:
        await desk.put("a1", "a2", after=HOUR)
        async with self.transaction(desk.namespace) as within:
            other = desk.message("b", 2 * HOUR, event_name="other")
            await desk.store.put([Group([desk.message("a0", HOUR), other])], within=within)
            a, b = desk.start + HOUR, desk.start + 2 * HOUR
            for expected, bounds in (
                (["b"], {"event_name": "other"}),
                (["b"], {"after": b}),
                (["a0", "a1", "a2"], {"before": a, "state": State.SCHEDULED}),
                ([], {"state": State.DEAD}),
                ([], {"state": State.CLAIMED}),
                (["a1", "a2"], {"limit": 2, "offset": 1}),
                (["a1", "a2", "b"], {"from_key": (a, "a0")}),
                (["b"], {"from_key": (a, "a0"), "after": b}),
            ):
                assert await _listed(desk, within, **bounds) == expected, bounds

    async def test_looking_within_changes_nothing(self, desk: Bench) -> None:
        await desk.put("a", after=-HOUR)
        async with self.transaction(desk.namespace) as within:
            for id in ("a", "unknown", "\0", "\ud800"):
                await _looking(desk).get(id, within=within)
            await _listed(desk, within)
        with suppress(RollBack):
            async with self.transaction(desk.namespace) as within:
                await desk.store.put([Group([desk.message("never")])], within=within)
                assert await _listed(desk, within) == ["a", "never"]
                raise RollBack
        async with self.transaction(desk.namespace) as within:
            await desk.store.put([Group([desk.message("b")])], within=within)
            for id in ("unknown", "\0", "\ud800"):
                assert await _looking(desk).get(id, within=within) is None
            assert await _listed(desk, within, event_name="\ud800") == []
        assert [claim.message.id for claim in await desk.claim_all()] == ["a", "b"]

    async def test_a_look_elsewhere_is_refused(self, desk: Bench) -> None:
        """Nobody delivers what is there."""
        await desk.put("a", after=HOUR)
        async with self.transaction_elsewhere() as within:
            with pytest.raises(InvalidArgument):
                await _looking(desk).get("a", within=within)
            with pytest.raises(InvalidArgument):
                await _looking(desk).list(Filter(), within=within)


def _looking(desk: Bench) -> SupportsTransactions:
    assert isinstance(desk.store, SupportsTransactions)
    return desk.store


async def _listed(
    desk: Bench, within: Any, *, from_key: tuple[datetime, str] | None = None, **bounds: Any
) -> Sequence[str]:
    found: Sequence[Message] = await _looking(desk).list(
        Filter(**bounds), from_key=from_key, within=within
    )
    return [message.id for message in found]
