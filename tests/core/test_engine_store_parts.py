"""A store of which a part does not answer: the rest goes on, and what is there is sent again."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import attrs
import pytest
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    Witness,
    delivering,
    emptied,
    fail,
    logged,
    message,
    messages,
    now,
    scheduler,
    sleeping,
    until,
)

from duly import Envelope, State
from duly.store import Batch, Key, Settle, Token
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)


class InParts(WakingStore):
    """A part of it holds the batches in which there is anything called ``far``."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.loses_answers = False
        """Whether what is settled there is carried out all the same."""
        self.far: set[Token] = set()

    def _answers(self, token: Token) -> bool:
        return not (self.away and token in self.far)

    async def claim(self, *, settle: Sequence[Settle] = (), **more: Any) -> Batch:
        outcomes = await self.settle(settle)
        batch = await super().claim(**more)
        if any(claim.message.event_name == "far" for claim in batch.claims):
            self.far.add(batch.token or "")
        return attrs.evolve(batch, settled=outcomes)

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool | None]:
        self.settles += [(now(), each) for each in settles]
        sent = [each for each in settles if self._answers(each.token) or self.loses_answers]
        answers = dict(zip(map(id, sent), await self.inner.settle(sent), strict=True))
        return [answers[id(each)] if self._answers(each.token) else None for each in settles]

    async def renew(
        self, tokens: Sequence[Token], lease: timedelta
    ) -> Sequence[Collection[Key] | None]:
        self.calls.append((now(), "renew"))
        answers = await self.inner.renew([*filter(self._answers, tokens)], lease)
        found = iter(answers)
        return [next(found) if self._answers(token) else None for token in tokens]

    def tries(self) -> Sequence[float]:
        """When settlements of that part were sent."""
        return [time for time, settle in self.settles if settle.token in self.far]


@run_virtually
async def test_it_is_sent_again_each_second_until_there_is_an_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, transport, witness = InParts(), Probed(), Witness()
    async with delivering(store, transport, plugins=[witness]) as running:
        store.away = True
        await running.schedule(message("far", id="far"))
        await until(store.tries)
        first, claims = now(), store.count("claim")
        await running.schedule_many(messages(20, due=10))
        await until(lambda: now() > first + 30)
        assert 25 <= len(store.tries()) <= 32
        assert all(later - earlier >= 1 for earlier, later in pairwise(store.tries()))
        assert store.count("claim") - claims < 100
        delivered = [each.message.id for told in witness.delivered for each in told]
        assert sorted(delivered) == sorted(each.id for each in messages(20))
        store.away = False
        await emptied(store)
    delivered = [each.message.id for told in witness.delivered for each in told]
    assert len(transport.begun) == 21
    assert delivered.count("far") == 1
    told = logged(caplog)
    assert told == ["settlement_put_off"]


@run_virtually
async def test_what_follows_of_a_batch_does_not_overtake_it() -> None:
    """Else the end of the batch would delete what was to be tried again."""

    async def publish(envelope: Envelope) -> None:
        if envelope.message_id == "fails" and envelope.attempt == 1:
            await fail(envelope)
        if envelope.message_id == "slow":
            await sleeping(0.5)(envelope)

    store, transport = InParts(), Probed(publish)
    store.away = True
    async with delivering(store, transport) as running:
        await running.schedule_many([message("far", id="fails"), message("far", id="slow")])
        await until(lambda: len(transport.ended) == 1)
        await until(lambda: len(store.tries()) >= 3)
        store.away = False
        await emptied(store)
    parts = [settle.only is None for _, settle in store.settles if settle.token in store.far]
    assert parts[:2] == [False, False]
    assert transport.ids == ["slow", "fails"]


@run_virtually
async def test_what_was_carried_out_without_an_answer_is_not_done_twice() -> None:
    store, transport = InParts(), Probed()
    store.away = store.loses_answers = True
    async with delivering(store, transport) as running:
        await running.schedule_many(messages(5, "far"))
        await until(lambda: len(store.tries()) >= 3)
        store.away = False
        engine = running._engine
        assert engine is not None
        await until(lambda: not engine.hands.held)
    assert len(transport.begun) == 5


@run_virtually
async def test_leases_of_the_others_go_on_and_publishes_start() -> None:
    store, transport = InParts(), Probed(sleeping(40, only=["slow"]))
    store.away = True
    async with delivering(
        store, transport, stuck_duration=SECOND * 9, publish_timeout=SECOND * 60
    ) as running:
        await running.schedule(message("far", id="far"))
        await until(store.tries)
        await running.schedule(message("slow", due=1, id="slow"))
        await running.schedule_many(messages(30, due=20))
        await until(lambda: {each.id for each in messages(30)} <= {*transport.ids})
        assert now() < 21
        assert store.count("renew") > 3
        store.away = False
        await emptied(store)
    assert len(transport.times("slow")) == 1


@run_virtually
async def test_stopping_waits_for_it_as_long_as_it_may(caplog: pytest.LogCaptureFixture) -> None:
    store, transport = InParts(), Probed()
    store.away = True
    running = scheduler(store, transport)
    async with running.running():
        await running.schedule_many(messages(5, "far"))
        await until(store.tries)
        begun = now()
        await running.stop(SECOND * 3)
        assert 3 <= now() - begun < 6
    assert len(store.tries()) <= 8
    assert "stopped_with_claims_in_hand" in caplog.text
    assert {each.state for each in await running.list()} == {State.CLAIMED}


@run_virtually
async def test_stopping_ends_when_it_answers() -> None:
    store, transport = InParts(), Probed()
    store.away = True
    running = scheduler(store, transport)
    async with running.running():
        await running.schedule_many(messages(5, "far"))
        await until(lambda: len(store.tries()) >= 2)
        begun, store.away = now(), False
        await running.stop(SECOND * 20)
        assert now() - begun < 2
    assert not (await store.inner.stats()).claimed
