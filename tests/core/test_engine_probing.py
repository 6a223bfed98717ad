"""What is sent in an outage to see whether it is over, and how it ends with nothing to send."""

import asyncio
import itertools
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    ManyProbed,
    Probed,
    WakingStore,
    WatchedStore,
    Witness,
    at,
    delivering,
    emptied,
    logged,
    message,
    messages,
    now,
    until,
)

from duly import (
    Backoff,
    Envelope,
    Every,
    Filter,
    Scheduler,
    State,
    Status,
    TransportUnavailable,
)
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)
ONCE = Backoff(max_retries=1)


class Silent(Probed):
    """Away until some moment; opening it tells nothing."""

    def __init__(self, end: float = 1e9, *, away: bool = True) -> None:
        super().__init__(self._publish_or_not)
        self.end, self.away = end, away

    @property
    def gone(self) -> bool:
        return self.away and now() < self.end

    async def _publish_or_not(self, envelope: Envelope) -> None:
        if self.gone:
            raise TransportUnavailable("gone")
        await asyncio.sleep(0.001)


class Honest(Silent):
    """Opening it tells."""

    async def open(self) -> None:
        await super().open()
        if self.gone:
            raise TransportUnavailable("nobody there")


class Looked(Silent):
    """Its check tells."""

    async def check(self) -> Sequence[str]:
        return ["no connection"] if self.gone else []


class Deceived(Silent):
    """Its check never finds anything."""

    async def check(self) -> Sequence[str]:
        return []


class DeceivedMany(Deceived, ManyProbed):
    """The same, many at a time."""


class Perplexed(Honest):
    """Can be opened, but its check tells nothing."""

    async def check(self) -> Sequence[str]:
        raise ValueError("?")


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged, warnings and the good news."""
    return logged(caplog)


@pytest.fixture(autouse=True)
def _all_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="duly")


# --- nothing to probe with


@pytest.mark.parametrize("kind", [Honest, Looked])
@pytest.mark.parametrize("store_kind", [WakingStore, WatchedStore])
@run_virtually
async def test_it_is_over_when_the_transport_says_so_though_nothing_is_due(
    kind: type[Silent], store_kind: type[WatchedStore], caplog: pytest.LogCaptureFixture
) -> None:
    store, witness = store_kind(), Witness()
    transport = kind(60, away=False)
    async with delivering(store, transport, plugins=[witness]) as running:
        await asyncio.sleep(0.5)
        transport.away = True
        await running.schedule(message(id="x"))
        await running.schedule(message(id="later", due=100))
        await asyncio.sleep(1)
        assert (await running.health()).status is Status.DEGRADED
        await running.cancel("x")  # or another scheduler has delivered it
        await asyncio.sleep(50)
        assert (await running.health()).status is Status.DEGRADED
        await asyncio.sleep(66 - now())
        assert "transport" not in (await running.health()).reason
        assert told(caplog) == ["transport_unavailable", "transport_back"]
        begun = store.count()
        await asyncio.sleep(99 - now())
        assert store.count() - begun < (360 if store_kind is WatchedStore else 33)
        await running.schedule_many(messages(20, due=100.001))
        await emptied(store)
        assert told(caplog) == ["transport_unavailable", "transport_back"]
    assert transport.ids[0] == "later"
    assert len(transport.ids) == 21
    lateness = [each.lateness for batch in witness.delivered for each in batch]
    assert max(lateness) < SECOND / 50


@run_virtually
async def test_one_that_was_away_at_start_is_back_though_nothing_is_due(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, transport = WakingStore(), Honest(30)
    async with delivering(store, transport) as running:
        await asyncio.sleep(29)
        assert (await running.health()).status is Status.DEGRADED
        await asyncio.sleep(7)
        assert "transport" not in (await running.health()).reason
        assert told(caplog) == ["transport_unavailable", "transport_back"]
        await running.schedule(message(id="x", due=36.5))
        await emptied(store)
    assert transport.times("x") == [pytest.approx(36.5, abs=0.002)]


@run_virtually
async def test_a_check_that_fails_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    store, transport = WakingStore(), Perplexed(30)
    async with delivering(store, transport) as running:
        await asyncio.sleep(100)
        assert (await running.health()).status is Status.DEGRADED
        await running.schedule(message())
        await emptied(store)
        assert told(caplog) == [
            "transport_unavailable", "transport_check_failed", "transport_back",
        ]  # fmt: skip


# --- one that says that it is there, and takes nothing


@pytest.mark.parametrize("kind", [Silent, Deceived, DeceivedMany])
@run_virtually
async def test_its_own_word_is_worth_less_each_time_it_proves_wrong(
    kind: type[Silent], caplog: pytest.LogCaptureFixture
) -> None:
    """Messages come and are cancelled: in between there is nothing to try it with."""
    store, transport, witness = WakingStore(), kind(), Witness()
    async with delivering(store, transport, plugins=[witness], recovery=ONCE) as running:
        for number in range(150):
            await running.schedule_many([message(id=f"{number}a"), message(id=f"{number}b")])
            await asyncio.sleep(0.5)
            assert {each.retry_count for each in await running.list()} <= {0}
            await running.cancel_many(Filter(before=at(1e6)))
            await asyncio.sleep(11.5)
        assert not witness.failed
        times = [time for time, _ in transport.begun]
        assert len(times) < 150 * 2
        assert len([time for time in times if time < 60]) > 5
        assert len(told(caplog)) <= 2 * 9  # of some 150 times that it said so
        assert store.count() < 1800 * 3
        transport.away = False
        begun = now()
        await running.schedule_many(messages(50))
        await emptied(store)
        assert now() - begun < 6


@pytest.mark.parametrize("kind", [Silent, Deceived, DeceivedMany])
@run_virtually
async def test_with_something_due_its_own_word_ends_nothing(
    kind: type[Silent], caplog: pytest.LogCaptureFixture
) -> None:
    store, transport, witness = WakingStore(), kind(), Witness()
    async with delivering(store, transport, plugins=[witness], recovery=ONCE) as running:
        await running.schedule_many(messages(5))
        await asyncio.sleep(900)
        assert not witness.failed
        assert told(caplog) == ["transport_unavailable"]
        times = sorted({time for time, _ in transport.begun})
        pauses = [after - before for before, after in itertools.pairwise(times)]
        assert max(pauses) == pytest.approx(5)
        assert pauses[:6] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2], abs=0.001)
        assert len(pauses) < 190
        transport.away = False
        await emptied(store)


@pytest.mark.parametrize("kind", [Silent, Honest, Looked, Deceived])
@run_virtually
async def test_several_schedulers_that_probe_at_once(
    kind: type[Silent], caplog: pytest.LogCaptureFixture
) -> None:
    """What one of them probes with is not due for the others meanwhile."""
    store, transport, witness = WakingStore(), kind(240), Witness()
    options: dict[str, Any] = {"plugins": [witness], "recovery": ONCE}
    async with (
        delivering(store, transport, **options) as first,
        delivering(store, transport, **options),
        delivering(store, transport, **options),
    ):
        await first.schedule_many([message(id="a"), message(id="b")])
        await asyncio.sleep(120)
        await first.schedule_many(messages(200, due=120))
        await asyncio.sleep(239 - now())
        assert {each.retry_count for each in await first.list()} == {0}
        assert len(told(caplog)) < 3 * 9
        await emptied(store, within=20)
    assert not witness.failed
    assert len(transport.ids) == 202


# --- which ones


@run_virtually
async def test_each_of_a_few_is_probed_in_its_turn() -> None:
    store, transport = WakingStore(), Silent(200)
    async with delivering(store, transport) as running:
        await running.schedule_many(messages(3))
        await asyncio.sleep(199)
        tried = [each.message_id for _, each in transport.begun[1:]]
        assert tried == [f"event-{number % 3}" for number in range(len(tried))]
        assert len(tried) > 30
        await emptied(store)


async def _made_suspect(store: WatchedStore, *ids: str) -> None:
    """Claimed twice by schedulers that died."""
    for _ in range(2):
        batch = await store.inner.claim(limit=100, lease=SECOND / 10, owner="victim")
        assert {*ids} <= {claim.message.id for claim in batch.claims}
        await asyncio.sleep(0.2)


@run_virtually
async def test_a_suspect_does_not_stand_before_the_others() -> None:
    store, transport, witness = WakingStore(), Silent(600), Witness()
    async with Scheduler(store, transport, load_plugins=False) as client:
        await client.schedule_many([message(id="s1", due=-3), message(id="s2", due=-2)])
        await _made_suspect(store, "s1", "s2")
    async with delivering(store, transport, plugins=[witness], batch_size=20) as running:
        await running.schedule_many(messages(100))
        await asyncio.sleep(599)
        tried = [each.message_id for _, each in transport.begun if each.message_id in ("s1", "s2")]
        others = {each.message_id for _, each in transport.begun} - {"s1", "s2"}
        assert len(others) == 19  # the second to the twentieth, and the suspect in place of one
        assert 5 <= len(tried) <= 12
        assert (await running.stats()).dead == 0
        await emptied(store)
    assert not witness.failed
    assert len(transport.ids) == 102


@run_virtually
async def test_suspects_alone_are_probed_with_as_well() -> None:
    store, transport = WakingStore(), Silent(60)
    async with Scheduler(store, transport, load_plugins=False) as client:
        await client.schedule(message(id="s", due=-3))
        await _made_suspect(store, "s")
    async with delivering(store, transport) as running:
        await asyncio.sleep(59)
        assert len(transport.times("s")) > 10
        assert (await running.get("s")).retry_count == 0
        await emptied(store)


@run_virtually
async def test_fires_that_were_claimed_in_time_are_not_missed_for_the_outage() -> None:
    """Nor do those come back that had been missed before."""
    store, transport = WakingStore(), Silent(60)
    series = Every(timedelta(hours=1), missed="skip", grace=SECOND * 5)
    async with delivering(store, transport) as running:
        await running.schedule_many(
            [message(id=f"in time {number}", due=1, recurrence=series) for number in range(5)]
        )
        await asyncio.sleep(5.5)  # by then each of them was in hand
        await running.schedule_many(
            [message(id=f"missed {number}", due=-10, recurrence=series) for number in range(5)]
        )
        await until(lambda: len(transport.ids) == 5, within=70)
        await asyncio.sleep(10)
        waiting = await running.list()
        assert {each.scheduled_at for each in waiting} == {at(3601), at(3590)}
        assert all(each.retry_count == 0 for each in waiting)
    assert {*transport.ids} == {f"in time {number}" for number in range(5)}


@run_virtually
async def test_what_has_expired_is_passed_over() -> None:
    store, transport = WakingStore(), Silent(60)
    async with delivering(store, transport) as running:
        await running.schedule_many(
            [message(id=f"short {number}", due=1, expires_at=at(2)) for number in range(150)]
        )
        await running.schedule_many(messages(5, due=3))
        await asyncio.sleep(30)
        assert transport.begun[-1][1].event_name == "event"
        await emptied(store)
        assert len(await running.list(Filter(state=State.DEAD))) == 150
    assert len(transport.ids) == 5


@run_virtually
async def test_what_cannot_be_sent_does_not_stand_before_the_others() -> None:
    """A message breaks the connection, and is the oldest of all."""
    store, broken = WakingStore(), asyncio.Event()

    async def publish(envelope: Envelope) -> None:
        if envelope.event_name == "poison":
            broken.set()
            broken.clear()
            raise TransportUnavailable("the connection broke")
        lost = asyncio.ensure_future(broken.wait())
        done, _ = await asyncio.wait([lost], timeout=0.05)
        lost.cancel()
        if done:
            raise TransportUnavailable("the connection broke")

    recovery = Backoff(initial=SECOND, maximum=SECOND, max_retries=2, jitter=0)
    options: dict[str, Any] = {"recovery": recovery, "batch_size": 20, "max_in_flight": 20}
    transport = Probed(publish)
    async with delivering(store, transport, **options) as running:
        poison = [message("poison", id=f"p{number}", due=-2) for number in range(3)]
        await running.schedule_many([*messages(100), *poison])
        await running.schedule_many([message("later", due=number) for number in range(100)])
        await emptied(store, within=300)
        dead = await running.list(Filter(state=State.DEAD))
    assert sorted(each.id for each in dead) == ["p0", "p1", "p2"]
    assert len(transport.ids) == len({*transport.ids}) == 200
