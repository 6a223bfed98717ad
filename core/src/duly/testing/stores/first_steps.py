"""What a store in the making can do first, one verb more in each case."""

from datetime import timedelta

from duly.message import Filter, Message, State
from duly.store import Batch, Group, Settle, Stats, Store
from duly.testing.stores.bench import LEASE, Bench
from duly.testing.stores.harness import StoreHarness

_OWNER = "host:1:case"


class FirstStepCases(StoreHarness):
    """The simplest cases, run before all others: the first that fails is what to write next."""

    async def test_first_it_opens_and_closes(self, bare: Bench) -> None:
        await bare.store.close()

    async def test_then_what_was_put_can_be_got(self, bare: Bench) -> None:
        message = await _put(bare)
        assert await bare.store.get("a") == message
        assert await bare.store.get("b") is None

    async def test_then_it_can_be_cancelled(self, bare: Bench) -> None:
        await _put(bare)
        assert list(await bare.store.cancel(["a", "b"])) == [State.SCHEDULED, None]
        assert await bare.store.get("a") is None

    async def test_then_it_can_be_moved(self, bare: Bench) -> None:
        await _put(bare)
        at = bare.start + timedelta(hours=1)
        found = await bare.store.reschedule("a", at, of_state=State.SCHEDULED)
        assert found is State.SCHEDULED
        moved = await bare.store.get("a")
        assert moved is not None
        assert moved.scheduled_at == moved.next_attempt_at == at

    async def test_then_it_can_be_listed(self, bare: Bench) -> None:
        message = await _put(bare)
        assert list(await bare.store.list(Filter())) == [message]

    async def test_then_it_can_be_claimed(self, bare: Bench) -> None:
        await _put(bare)
        (claim,) = (await _claim(bare.store)).claims
        assert (claim.message.id, claim.message.state) == ("a", State.CLAIMED)
        assert not (await _claim(bare.store)).claims

    async def test_then_the_lease_can_be_renewed(self, bare: Bench) -> None:
        await _put(bare)
        token = (await _claim(bare.store)).token
        assert token is not None
        assert [list(keys or ()) for keys in await bare.store.renew([token], LEASE)] == [[]]

    async def test_then_the_claim_can_be_settled(self, bare: Bench) -> None:
        await _put(bare)
        token = (await _claim(bare.store)).token
        assert token is not None
        assert list(await bare.store.settle([Settle(token, {})])) == [True]
        assert await bare.store.get("a") is None

    async def test_then_it_is_counted(self, bare: Bench) -> None:
        message = await _put(bare)
        assert await bare.store.stats() == Stats(
            scheduled=1, claimed=0, dead=0, oldest_due=message.scheduled_at, next_due=None
        )


async def _put(bare: Bench) -> Message:
    message = bare.message("a")
    assert list(await bare.store.put([Group([message])])) == [None]
    return message


async def _claim(store: Store) -> Batch:
    return await store.claim(limit=10, lease=LEASE, owner=_OWNER)
