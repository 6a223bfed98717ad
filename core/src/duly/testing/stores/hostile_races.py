"""Several store objects at once: what must be true whoever comes first."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from duly.errors import DuplicateMessage
from duly.message import State
from duly.store import Batch, Bury, Group, Release, Settle, Store
from duly.testing.stores.bench import LEASE, Bench, Outcomes, ids, settle_of
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.repeating import stored
from duly.testing.stores.situations import MINUTE, retry


class RaceCases(StoreHarness):
    """Several store objects at once; what must be true whoever comes first."""

    async def _stores(self, bench: Bench, number: int) -> list[Store]:
        return [bench.store, *[await bench.another() for _ in range(number - 1)]]

    async def _names(self, bench: Bench) -> Sequence[str]:
        names = [f"m{each:04}" for each in range(self.many(120))]
        await bench.put(*names)
        return names

    async def _deliver(self, bench: Bench, store: Store, seen: list[tuple[str, bytes]]) -> None:
        """Claim and settle small batches until nothing comes."""
        settle: list[Settle] = []
        while (batch := await bench.claim(7, by=store, settle=settle)).claims:
            seen += [(claim.message.id, claim.message.payload) for claim in batch.claims]
            settle = [settle_of(batch)]
            await asyncio.sleep(0)

    async def test_cancel_against_claim(self, timed: Bench) -> None:
        names = await self._names(timed)
        first, second, third = await self._stores(timed, 3)
        found: dict[str, State | None] = {}
        seen: list[tuple[str, bytes]] = []

        async def cancel() -> None:
            for start in range(0, len(names), 5):
                some = names[start : start + 5]
                found.update(zip(some, await third.cancel(some), strict=True))
                await asyncio.sleep(0)

        await asyncio.gather(
            self._deliver(timed, first, seen), cancel(), self._deliver(timed, second, seen)
        )
        await self._deliver(timed, first, seen)
        claimed = Counter(id for id, _ in seen)
        for id, state in found.items():
            assert claimed[id] == (0 if state is State.SCHEDULED else 1), (id, state)
        assert await timed.counts() == (0, 0, 0)

    async def test_replace_against_claim_and_settle(self, timed: Bench) -> None:
        names = await self._names(timed)
        first, second, third = await self._stores(timed, 3)
        seen: list[tuple[str, bytes]] = []

        async def replace() -> None:
            for id in names:
                new = timed.message(id, payload=b"new")
                assert list(await stored(third, [Group([new], replace=True)])) == [None]

        await asyncio.gather(
            self._deliver(timed, first, seen), replace(), self._deliver(timed, second, seen)
        )
        await self._deliver(timed, first, seen)
        claimed = Counter(seen)
        assert {claimed[id, b"new"] for id in names} == {1}
        assert max(claimed[id, b""] for id in names) <= 1
        assert await timed.counts() == (0, 0, 0)

    async def test_reschedule_against_claim(self, timed: Bench) -> None:
        names = await self._names(timed)
        first, second, third = await self._stores(timed, 3)
        seen: list[tuple[str, bytes]] = []

        async def move() -> None:
            for id in reversed(names):
                await third.reschedule(id, timed.start - MINUTE, of_state=State.SCHEDULED)

        await asyncio.gather(
            self._deliver(timed, first, seen), move(), self._deliver(timed, second, seen)
        )
        await self._deliver(timed, first, seen)
        assert sorted(id for id, _ in seen) == names
        assert await timed.counts() == (0, 0, 0)

    async def test_cancel_against_every_settlement(self, timed: Bench) -> None:
        names = await self._names(timed)
        stores = await self._stores(timed, 3)
        batches = [await timed.claim(10) for _ in range(0, len(names), 10)]

        async def settle(batch: Batch) -> None:
            outcomes: Outcomes = {
                claim.message.id: (
                    retry(claim.message), Release(timed.start), Bury("broken")
                )[number % 3]
                for number, claim in enumerate(batch.claims)
            }  # fmt: skip
            half = ids(batch)[::2]
            early = {id: outcomes[id] for id in half}
            assert await timed.settle(batch, early, only=half, by=stores[1])
            assert await timed.settle(batch, outcomes, by=stores[0])

        await asyncio.gather(
            *(settle(batch) for batch in batches), *(stores[2].cancel([id]) for id in names)
        )
        assert await timed.listed() == []
        assert await timed.counts() == (0, 0, 0)
        assert ids(await timed.claim()) == []

    async def test_renew_against_cancel_and_settle(self, timed: Bench) -> None:
        names = await self._names(timed)
        stores = await self._stores(timed, 3)
        batch = await timed.claim(len(names))
        token = batch.token
        assert token is not None
        gone = names[::2]
        by_key = {claim.key: claim.message.id for claim in batch.claims}
        told: set[str] = set()

        async def renew() -> None:
            for _ in range(10):
                (keys,) = await stores[1].renew([token], LEASE)
                told.update(by_key[key] for key in keys or ())
                await asyncio.sleep(0)

        await asyncio.gather(
            renew(),
            *(stores[2].cancel([id]) for id in gone),
            *(timed.settle(batch, only=names[start::12]) for start in range(1, 12, 2)),
        )
        assert told <= set(gone)
        assert await timed.renew(batch) == gone
        assert await timed.settle(batch)
        assert await timed.counts() == (0, 0, 0)

    async def test_the_same_id_from_many(self, timed: Bench) -> None:
        stores = await self._stores(timed, 4)
        messages = [timed.message("a", payload=b"%d" % number) for number in range(12)]
        answers = await asyncio.gather(
            *(stored(stores[each % 4], [Group([message])]) for each, message in enumerate(messages))
        )
        kinds = [type(answer[0]) for answer in answers]
        assert kinds.count(type(None)) == 1
        assert kinds.count(DuplicateMessage) == 11
        assert await timed.store.get("a") == messages[kinds.index(type(None))]

    async def test_the_same_message_from_many(self, timed: Bench) -> None:
        stores = await self._stores(timed, 4)
        message = timed.message("a")
        answers = await asyncio.gather(*(stored(store, [Group([message])]) for store in stores * 3))
        assert [list(answer) for answer in answers] == [[None]] * 12
        assert await timed.counts() == (1, 0, 0)

    async def test_a_repeat_against_claim(self, timed: Bench) -> None:
        messages = [timed.message(f"m{each:04}") for each in range(self.many(120))]
        await timed.put(*messages)
        first, second, third = await self._stores(timed, 3)
        seen: list[str] = []

        async def claim(store: Store) -> None:
            while (batch := await timed.claim(7, by=store)).claims:
                seen.extend(ids(batch))
                await asyncio.sleep(0)

        async def repeat() -> None:
            for message in messages:
                assert list(await stored(third, [Group([message], replace=True)])) == [None]

        await asyncio.gather(claim(first), repeat(), claim(second), repeat())
        await claim(first)
        assert sorted(seen) == [message.id for message in messages]
        assert await timed.counts() == (0, len(messages), 0)

    async def test_cancelled_by_many(self, timed: Bench) -> None:
        stores = await self._stores(timed, 4)
        await timed.put("a")
        answers = await asyncio.gather(*(store.cancel(["a"]) for store in stores * 2))
        assert Counter(answer[0] for answer in answers) == {State.SCHEDULED: 1, None: 7}

    async def test_replayed_by_many(self, timed: Bench) -> None:
        stores = await self._stores(timed, 4)
        await timed.put("a")
        assert await timed.settle(await timed.claim(), {"a": Bury("broken")})
        answers = await asyncio.gather(
            *(store.reschedule("a", None, of_state=State.DEAD) for store in stores * 2)
        )
        assert Counter(answers) == {State.DEAD: 1, State.SCHEDULED: 7}
        assert ids(await timed.claim()) == ["a"]

    async def test_one_settle_from_many(self, timed: Bench) -> None:
        stores = await self._stores(timed, 4)
        (message, *_) = await timed.put("a", "b", "c")
        batch = await timed.claim()
        outcomes: Outcomes = {"a": retry(message), "b": Bury("broken")}
        answers = await asyncio.gather(
            *(timed.settle(batch, outcomes, by=store) for store in stores)
        )
        assert sorted(answers) == [False, False, False, True]
        assert await timed.counts() == (1, 0, 1)
