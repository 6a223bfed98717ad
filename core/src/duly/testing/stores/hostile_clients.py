"""Several clients at once: nothing is claimed twice, nothing is lost."""

import asyncio
from collections import Counter

from duly.message import State
from duly.store import Bury, Group, Settle, Store
from duly.testing.stores.bench import Bench, Outcomes, ids, settle_of
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.repeating import stored
from duly.testing.stores.situations import HOUR, retry


class ManyClientCases(StoreHarness):
    """Store objects side by side over one namespace."""

    async def test_claims_do_not_overlap(self, timed: Bench) -> None:
        number = self.many(600)
        names = [f"m{each:04}" for each in range(number)]
        await timed.put(*names)
        stores: list[Store] = [timed.store, *[await timed.another() for _ in range(3)]]

        async def take(store: Store) -> list[str]:
            taken: list[str] = []
            while (batch := await timed.claim(11, by=store)).claims:
                taken += ids(batch)
                await asyncio.sleep(0)
            return taken

        shares = await asyncio.gather(*(take(store) for store in stores))
        shares.append([claim.message.id for claim in await timed.claim_all()])
        assert sorted(id for share in shares for id in share) == names
        assert await timed.counts() == (0, number, 0)

    async def test_senders_and_receivers(self, timed: Bench) -> None:
        number = self.many(60)
        senders: list[Store] = [await timed.another() for _ in range(3)]
        receivers: list[Store] = [timed.store, await timed.another()]
        delivered: Counter[str] = Counter()
        total = 3 * number

        async def send(sender: int) -> None:
            for each in range(number):
                message = timed.message(f"s{sender}-{each}")
                assert list(await stored(senders[sender], [Group([message])])) == [None]

        async def receive(store: Store) -> None:
            settle: list[Settle] = []
            while delivered.total() < total:
                batch = await timed.claim(5, by=store, settle=settle)
                assert all(batch.settled)
                delivered.update(ids(batch))
                settle = [settle_of(batch)] if batch.claims else []
                await asyncio.sleep(0)
            assert all(await store.settle(settle))

        await asyncio.gather(
            *(send(each) for each in range(3)), *(receive(store) for store in receivers)
        )
        assert len(delivered) == delivered.total() == total
        assert await timed.counts() == (0, 0, 0)

    async def test_all_verbs_at_once(self, timed: Bench) -> None:
        """Each client keeps to ids of its own, and finds them as it left them."""

        async def live(client: int, store: Store) -> None:
            for turn in range(self.many(8)):
                first, second = f"c{client}-{turn}-a", f"c{client}-{turn}-b"
                group = Group([timed.message(first, HOUR), timed.message(second, HOUR)])
                assert list(await stored(store, [group])) == [None]
                at = timed.start + 2 * HOUR
                assert await store.reschedule(first, at, of_state=State.SCHEDULED)
                assert list(await store.cancel([second])) == [State.SCHEDULED]
                found = await store.get(first)
                assert found is not None
                assert found.scheduled_at == at
                assert await store.get(second) is None

        stores = [timed.store, *[await timed.another() for _ in range(3)]]
        await asyncio.gather(*(live(each, store) for each, store in enumerate(stores)))
        assert await timed.counts() == (4 * self.many(8), 0, 0)

    async def test_lapses_among_many_clients(self, desk: Bench) -> None:
        number = self.many(100)
        names = [f"m{each:03}" for each in range(number)]
        await desk.put(*names)
        stores: list[Store] = [desk.store, *[await desk.another() for _ in range(3)]]
        await asyncio.gather(*(desk.claim(number // 4 + 1, by=store) for store in stores))
        assert await desk.counts() == (0, number, 0)
        await desk.pass_time(HOUR)
        batches = await asyncio.gather(
            *(desk.claim(number // 2, by=store) for store in stores for _ in range(2))
        )
        claims = [claim for batch in batches for claim in batch.claims]
        claims += await desk.claim_all()
        assert sorted(claim.message.id for claim in claims) == names
        assert {claim.lapses for claim in claims} == {1}

    async def test_a_late_holder_among_many_clients(self, desk: Bench) -> None:
        messages = await desk.put("a", "b")
        late = await desk.claim()
        await desk.pass_time(HOUR)
        stores: list[Store] = [desk.store, *[await desk.another() for _ in range(2)]]
        outcomes: Outcomes = {"a": retry(messages[0]), "b": Bury("broken")}
        answers = await asyncio.gather(
            desk.settle(late, outcomes, by=stores[0]),
            desk.claim(by=stores[1]),
            desk.renew(late),
            desk.claim(by=stores[2]),
            desk.settle(late, by=stores[1]),
        )
        assert (answers[0], answers[2], answers[4]) == (False, None, False)
        claimed = [*ids(answers[1]), *ids(answers[3]), *ids(await desk.claim())]
        assert sorted(claimed) == ["a", "b"]
        assert await desk.counts() == (0, 2, 0)
