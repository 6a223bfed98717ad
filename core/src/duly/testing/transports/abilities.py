"""Cases for what a transport may be able to do beyond its contract."""

import asyncio
from abc import abstractmethod
from collections.abc import Sequence

import pytest

from duly.errors import Rejected
from duly.testing.transports.bench import Bench
from duly.testing.transports.harness import TransportHarness
from duly.testing.transports.headers import HeaderCases
from duly.testing.transports.publishing import PAYLOADS
from duly.transport import Envelope, SupportsBatches


class ReceiptCases(TransportHarness):
    """For transports whose broker gives each message a receipt of its own."""

    async def test_each_has_a_receipt_of_its_own(self, desk: Bench) -> None:
        envelopes = desk.envelopes(20)
        receipts = [await desk.soon(desk.transport.publish(each)) for each in envelopes]
        receipts += await desk.soon(
            asyncio.gather(*map(desk.transport.publish, desk.envelopes(20)))
        )
        if isinstance(desk.transport, SupportsBatches):
            receipts += await desk.soon(desk.transport.publish_many(desk.envelopes(20)))
        assert all(isinstance(receipt, str) and receipt for receipt in receipts)
        assert len(set(receipts)) == len(receipts)


class DeduplicationCases(TransportHarness):
    """For transports whose broker drops repeats, which it recognises by the delivery id."""

    async def test_attempts_of_one_delivery_arrive_once(self, desk: Bench) -> None:
        delivery = {"message_id": "a", "delivery_id": "a:1:0"}
        attempts = [desk.envelope(b"once", attempt=attempt, **delivery) for attempt in (1, 2, 3)]
        for envelope in attempts:
            await desk.publish(envelope)
        await desk.publish(last := desk.envelope())
        await desk.arrived(attempts[0], last)

    async def test_also_those_of_another_process(self, desk: Bench) -> None:
        delivery = {"message_id": "a", "delivery_id": "a:1:0"}
        first, second = (desk.envelope(b"once", attempt=attempt, **delivery) for attempt in (1, 2))
        await desk.publish(first)
        await desk.publish(second, by=await desk.another())
        await desk.publish(last := desk.envelope())
        await desk.arrived(first, last)

    async def test_what_is_new_under_a_used_id_passes_between_repeats(self, desk: Bench) -> None:
        first, second = (desk.envelope(message_id="a", delivery_id=f"a:{n}:0") for n in (1, 2))
        for envelope in (first, second, first, second):
            await desk.publish(envelope)
        await desk.publish(last := desk.envelope())
        await desk.arrived(first, second, last)


class RefusalCases(TransportHarness):
    """For transports whose broker refuses some messages for good."""

    @abstractmethod
    def unacceptable(self, desk: Bench) -> Envelope:
        """An envelope that must be refused for good: too large, say."""

    async def test_what_can_never_pass_is_rejected(self, desk: Bench) -> None:
        with pytest.raises(Rejected) as told:
            await desk.soon(desk.transport.publish(self.unacceptable(desk)))
        assert str(told.value), "Rejected has no text that says why"
        await desk.publish(envelope := desk.envelope())
        await desk.arrived(envelope)

    async def test_its_neighbours_pass(self, desk: Bench) -> None:
        envelopes = desk.envelopes(20)
        mixed = [*envelopes[:10], self.unacceptable(desk), *envelopes[10:]]
        publishes = asyncio.gather(*map(desk.transport.publish, mixed), return_exceptions=True)
        outcomes = await desk.soon(publishes)
        wrong = [isinstance(outcome, BaseException) for outcome in outcomes]
        assert wrong == [envelope not in envelopes for envelope in mixed]
        await desk.arrived(*envelopes)


class BatchCases(TransportHarness):
    """For transports that are :class:`~duly.transport.SupportsBatches`."""

    @pytest.mark.parametrize("number", [0, 1, 2, 100, 1000])
    async def test_one_outcome_each(self, desk: Bench, number: int) -> None:
        envelopes = desk.envelopes(min(number, self.many(number)))
        await self._publish(desk, envelopes)
        await desk.arrived(*envelopes)

    async def test_several_event_names_at_once(self, desk: Bench) -> None:
        names = [*self.odd_event_names, self.event_name] * 3
        envelopes = [desk.envelope(event_name=name) for name in names]
        await self._publish(desk, envelopes)
        await desk.arrived(*envelopes)

    async def test_batches_side_by_side(self, desk: Bench) -> None:
        batches = [desk.envelopes(50) for _ in range(5)]
        async with asyncio.TaskGroup() as group:
            for batch in batches:
                group.create_task(self._publish(desk, batch))
            group.create_task(desk.publish(single := desk.envelope()))
        await desk.arrived(single, *(envelope for batch in batches for envelope in batch))

    async def test_a_large_one_among_small_ones(self, desk: Bench) -> None:
        envelopes = [desk.envelope(), desk.envelope(b"x" * self.largest), desk.envelope()]
        await self._publish(desk, envelopes)
        await desk.arrived(*envelopes)

    async def test_payloads_of_any_bytes_in_a_batch(self, desk: Bench) -> None:
        envelopes = [desk.envelope(payload) for payload in PAYLOADS.values()]
        await self._publish(desk, envelopes)
        await desk.arrived(*envelopes)

    async def test_ids_used_again_in_a_batch(self, desk: Bench) -> None:
        envelopes = [desk.envelope(b"the same", message_id="a") for _ in range(5)]
        await self._publish(desk, envelopes)
        await self._publish(desk, more := [desk.envelope(message_id="a") for _ in range(5)])
        await desk.arrived(*envelopes, *more)

    async def test_a_repeat_in_a_batch_is_no_error(self, desk: Bench) -> None:
        delivery = {"message_id": "a", "delivery_id": "a:1:0"}
        repeats = [desk.envelope(b"once", attempt=attempt, **delivery) for attempt in (1, 2)]
        await self._publish(desk, [*repeats, last := desk.envelope()])
        await desk.comes(last)  # before the others, where a broker has several partitions
        assert set(await desk.comes(repeats[0])) == {b"once", last.payload}

    async def test_a_cancelled_batch_does_no_harm(self, desk: Bench) -> None:
        transport = batching(desk)
        for steps in range(10):
            batch = desk.envelopes(20)
            publish = asyncio.ensure_future(transport.publish_many(batch))
            for _ in range(steps):
                await asyncio.sleep(0)
            publish.cancel()
            (outcome,) = await desk.soon(asyncio.gather(publish, return_exceptions=True))
            for each in outcome if isinstance(outcome, Sequence) else [outcome]:
                desk.told(each, cancelled=True)
        await desk.soon(desk.transport.close())
        await desk.soon(desk.transport.open())
        outcomes = await desk.soon(transport.publish_many(desk.envelopes(3)))
        assert len(outcomes) == 3
        assert not any(isinstance(outcome, BaseException) for outcome in outcomes)

    async def _publish(self, desk: Bench, envelopes: Sequence[Envelope]) -> None:
        outcomes = await desk.soon(batching(desk).publish_many(envelopes))
        assert isinstance(outcomes, Sequence), (
            f"publish_many returned {type(outcomes).__name__}, not a sequence"
        )
        assert len(outcomes) == len(envelopes)
        assert all(outcome is None or isinstance(outcome, str) for outcome in outcomes)


class BatchHeaderCases(BatchCases, HeaderCases):
    """For transports that take batches and hand headers on."""

    async def test_headers_in_a_batch(self, desk: Bench) -> None:
        envelopes = [
            desk.envelope(b"%d" % number, metadata={"number": f"größe {number}"})
            for number in range(20)
        ]
        await self._publish(desk, envelopes)
        for got in await desk.arrived(*envelopes):
            assert got.headers.get("number") == f"größe {got.payload.decode()}"
            delivery_id = envelopes[int(got.payload)].delivery_id
            assert got.headers.get("duly-delivery-id") == delivery_id


class BatchRefusalCases(BatchCases, RefusalCases):
    """For transports that take batches and refuse some messages."""

    @pytest.mark.parametrize("places", [[0], [4], [2, 3], [0, 1, 2, 3, 4]], ids=str)
    async def test_refused_within_a_batch(self, desk: Bench, places: Sequence[int]) -> None:
        envelopes = list(desk.envelopes(5))
        for place in places:
            envelopes[place] = self.unacceptable(desk)
        outcomes = await desk.soon(batching(desk).publish_many(envelopes))
        assert len(outcomes) == 5
        assert [isinstance(outcome, Rejected) for outcome in outcomes] == [
            place in places for place in range(5)
        ]
        await desk.publish(last := desk.envelope())
        passed = [each for place, each in enumerate(envelopes) if place not in places]
        await desk.arrived(*passed, last)


def batching(desk: Bench) -> SupportsBatches:
    """The transport, which has to be one that takes batches."""
    assert isinstance(desk.transport, SupportsBatches)
    return desk.transport
