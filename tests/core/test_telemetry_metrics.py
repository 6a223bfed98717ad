"""Metrics: what is counted and measured, and gauges that cost nothing while nobody reads them."""

import asyncio
from datetime import timedelta
from typing import Any

import attrs
import pytest
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    WatchedStore,
    at,
    delivering,
    down,
    emptied,
    fail,
    hanging,
    kill,
    lost_answer,
    message,
    messages,
    now,
    scheduler,
    sleeping,
    until,
)
from tests.core.telemetry_kit import EVENT, Told, facts

import duly
from duly import Client, Envelope, Every, Failure, Filter, Message
from duly.errors import DuplicateMessage, InvalidArgument, Rejected, TransportUnavailable
from duly.hookspecs import StoreFactory
from duly.memory import MemoryStore
from duly.record import unreadable
from duly.store import Batch
from duly.testing.clock import run_virtually

HOUR = timedelta(hours=1)


def client(store: Any, told: Told) -> Client:
    return Client(store, load_plugins=False, **told.options)


def phases(told: Told) -> dict[str, int]:
    """How many messages are stored in each phase."""
    points = told.points("duly.messages.stored")
    return {point.attributes["duly.phase"]: point.value for point in points}


def outages(told: Told) -> dict[str, int]:
    """How often which of the two was away."""
    return {
        point.attributes["duly.outage.of"]: point.value for point in told.points("duly.outages")
    }


def due(count: int, name: str = "event", seconds: float = 0.0) -> list[Message]:
    """That many messages, all due at the same moment."""
    return [message(name, seconds) for _ in range(count)]


class TestCounters:
    @run_virtually
    async def test_scheduled_and_delivered_by_event_name(self) -> None:
        told, store = Told(), WakingStore()
        async with delivering(store, Probed(), **told.options) as running:
            await running.schedule(message("a"))
            await running.schedule_many([*due(3, "a"), *due(2, "b")])
            await emptied(store)
        assert told.counts("duly.messages.scheduled") == {"a": 4, "b": 2}
        assert told.counts("duly.messages.delivered") == {"a": 4, "b": 2}
        assert not told.points("duly.messages.failed")

    @run_virtually
    async def test_what_was_refused_is_not_scheduled(self) -> None:
        told, store = Told(), WakingStore()
        await client(store, told).schedule(message("a", id="1"))
        with pytest.raises(DuplicateMessage):
            await client(store, told).schedule(message("a", id="1", created_at=at(1)))
        assert told.counts("duly.messages.scheduled") == {"a": 1}

    @run_virtually
    async def test_failed_rescheduled_and_buried(self) -> None:
        told, store = Told(), WakingStore()
        recovery = duly.Backoff(max_retries=2)
        async with delivering(store, fail, recovery=recovery, **told.options) as running:
            await running.schedule_many(due(2, "a"))
            await emptied(store)
        assert told.counts("duly.messages.failed") == {"a": 6}
        assert told.counts("duly.messages.rescheduled") == {"a": 4}
        assert told.counts("duly.messages.buried") == {"a": 2}
        assert not told.points("duly.messages.delivered")

    @run_virtually
    async def test_a_series_is_rescheduled_with_each_delivery(self) -> None:
        told, store = Told(), WakingStore()
        series = Every(timedelta(seconds=10), max_occurrences=4)
        async with delivering(store, Probed(), **told.options) as running:
            await running.schedule(message("a", recurrence=series))
            await emptied(store)
        assert told.counts("duly.messages.delivered") == {"a": 4}
        assert told.counts("duly.messages.rescheduled") == {"a": 3}

    @run_virtually
    async def test_what_is_put_back_uncounted_is_released(self) -> None:
        told, store = Told(), WakingStore()
        errors = [TransportUnavailable("gone")]

        async def publish(envelope: Envelope) -> None:
            if errors:
                raise errors.pop()

        await client(store, told).schedule(message("a"))
        await client(store, told).schedule(message("b", recurrence=Every(HOUR, max_occurrences=1)))
        async with delivering(store, Probed(publish), **told.options):
            await emptied(store)
        assert told.counts("duly.messages.released") == {"a": 1, "b": 1}
        assert told.counts("duly.messages.delivered") == {"a": 1, "b": 1}
        assert not told.points("duly.messages.rescheduled")
        assert not told.points("duly.messages.failed")

    @run_virtually
    async def test_cancelled_if_it_was(self) -> None:
        told, store = Told(), WakingStore()
        caller = client(store, told)
        await caller.schedule_many([*due(3, "a", 60), *due(2, "b", 60), message("c", 60, id="1")])
        await caller.cancel("1")
        assert await caller.cancel("unknown", missing_ok=True) is duly.Cancellation.UNKNOWN
        # Nobody knows the event name of what is cancelled by its id.
        assert told.counts("duly.messages.cancelled") == {"_unknown": 1}
        await caller.cancel_many(Filter(event_name="a"))
        assert told.counts("duly.messages.cancelled") == {"_unknown": 1, "a": 3}

    @run_virtually
    async def test_moving_replaying_and_purging_have_counters_of_their_own(self) -> None:
        told, store = Told(), WakingStore()

        async def refuse(envelope: Envelope) -> None:
            raise Rejected("never")

        async with delivering(store, Probed(refuse), **told.options) as running:
            await running.schedule(message("a", 60, id="1"))
            await running.reschedule("1", at(0))
            await until(lambda: told.counts("duly.messages.buried") == {"a": 1})
        caller = client(store, told)
        await caller.replay("1", at=at(0))
        async with delivering(store, Probed(refuse), **told.options):
            await until(lambda: told.counts("duly.messages.buried") == {"a": 2})
        assert await caller.purge(everything=True) == 1
        for verb in ("moved", "replayed", "purged"):
            assert told.counts(f"duly.messages.{verb}") == {"a": 1}
        await caller.schedule(message("a", 60, id="2"))
        await caller.cancel("2")
        assert not told.points("duly.messages.rescheduled")
        assert told.counts("duly.messages.cancelled") == {"_unknown": 1}
        assert told.counts("duly.messages.scheduled") == {"a": 2}

    @run_virtually
    async def test_too_late_is_not_cancelled(self) -> None:
        told, store = Told(), WakingStore()
        async with delivering(store, sleeping(5), **told.options) as running:
            await running.schedule(message("a", id="1"))
            await asyncio.sleep(1)
            assert await running.cancel("1") is duly.Cancellation.TOO_LATE
        assert not told.points("duly.messages.cancelled")

    @run_virtually
    async def test_recovered_from_another_that_died(self) -> None:
        told, store = Told(), WakingStore()
        victim = scheduler(store, sleeping(60), stuck_duration=timedelta(seconds=5))
        await victim.schedule_many(due(2, "a"))
        starting = asyncio.create_task(victim.start())
        await until(lambda: store.count("claim"))
        await asyncio.sleep(1)
        await kill(victim)
        await asyncio.gather(starting, return_exceptions=True)
        async with delivering(store, Probed(), **told.options):
            await emptied(store)
        assert told.counts("duly.messages.recovered") == {"a": 2}
        assert told.counts("duly.duplicates.suspected") == {"a": 2}
        assert not told.points("duly.leases.lost")

    @run_virtually
    async def test_a_lease_that_was_lost_counts_once_and_nothing_of_it_as_delivered(self) -> None:
        told, store = Told(), WakingStore()
        ahead = timedelta(0)
        clock = store.inner._clock  # type: ignore[attr-defined]  # of a memory store
        store.inner = MemoryStore(clock=lambda: clock() + ahead)

        async def publish(envelope: Envelope) -> None:
            nonlocal ahead
            await asyncio.sleep(float(envelope.message_id))
            if envelope.message_id == "1":
                ahead = HOUR  # as it were, this process slept
                await store.inner.claim(limit=10, lease=HOUR, owner="another")

        await client(store, told).schedule_many([message("a", id=id) for id in ("0", "1", "2")])
        async with delivering(store, publish, **told.options):
            await until(lambda: told.points("duly.leases.lost"))
        assert len(told.spans("delete")) == 3
        assert told.counts("duly.leases.lost") == {"a": 1}
        assert told.counts("duly.messages.delivered") == {"a": 1}
        lost = told.spans("delete")[-1]
        assert lost.status.description == "the lease was lost"
        assert facts(lost)["error.type"] == "lease_lost"

    @run_virtually
    async def test_a_settlement_of_which_the_answer_is_lost_counts_as_no_lost_lease(self) -> None:
        told, store = Told(), WakingStore()

        async def publish(envelope: Envelope) -> None:
            store.faults.append(lost_answer("claim", "settle"))

        async with delivering(store, publish, **told.options) as running:
            await running.schedule(message("a"))
            await emptied(store)
            await asyncio.sleep(1)
        assert told.spans("delete")[-1].status.description == "the lease was lost"
        assert not told.points("duly.leases.lost")

    @run_virtually
    async def test_a_claimant_that_died_is_no_failed_attempt(self) -> None:
        told, store = Told(), WakingStore()
        await client(store, told).schedule(message("a"))
        await store.inner.claim(limit=1, lease=timedelta(seconds=1), owner="another")

        def recovery(failure: Failure) -> duly.Verdict:
            assert failure.error is None
            return duly.Bury("it dies of it")

        async with delivering(store, Probed(), recovery=recovery, **told.options):
            await emptied(store)
        assert told.counts("duly.messages.recovered") == {"a": 1}
        assert told.counts("duly.messages.buried") == {"a": 1}
        assert not told.points("duly.messages.failed")
        assert not told.points("duly.duplicates.suspected")

    @run_virtually
    async def test_what_cannot_be_read_is_buried(self) -> None:
        told = Told()

        class Damaged(WakingStore):
            async def claim(self, **more: Any) -> Batch:
                batch = await super().claim(**more)
                if self.count("claim") > 1:
                    return batch
                return attrs.evolve(batch, unreadable=[unreadable("1", b"?", "damaged")])

        async with delivering(Damaged(), Probed(), **told.options):
            await asyncio.sleep(1)
        assert told.counts("duly.messages.buried") == {"duly.unreadable": 1}

    @run_virtually
    async def test_a_thousand_names_are_told_apart(self) -> None:
        told, store = Told(), WakingStore()
        await client(store, told).schedule_many([message(f"name-{n}", 60) for n in range(1100)])
        await client(store, told).schedule(message("name-7", 60))
        counts = told.counts("duly.messages.scheduled")
        assert len(counts) == 1001
        assert counts["_other"] == 100
        assert counts["name-7"] == 2

    @run_virtually
    async def test_only_the_names_that_were_chosen_are_told_apart(self) -> None:
        told, store = Told(), WakingStore()
        chosen = Client(
            store, load_plugins=False, metric_names=["orders.*", "mail"], **told.options
        )
        names = ["orders.a", "orders.b", "mail", "mail.send", "tenant-17"]
        await chosen.schedule_many([message(name, 60, id=name) for name in names])
        await chosen.cancel("mail")
        await client(store, told).schedule(message("tenant-17", 60))
        assert told.counts("duly.messages.scheduled") == {
            "orders.a": 1, "orders.b": 1, "mail": 1, "_other": 2, "tenant-17": 1
        }  # fmt: skip
        assert told.counts("duly.messages.cancelled") == {"_unknown": 1}

    @pytest.mark.parametrize("names", ["orders", [""], ["a*b"], 3, ["x"] * 1001, [3]])
    def test_what_are_no_names_is_refused(self, names: Any) -> None:
        with pytest.raises(InvalidArgument, match="name"):
            Client("memory://", load_plugins=False, metric_names=names)

    @run_virtually
    async def test_each_tells_of_which_store(self) -> None:
        told, store = Told(), WakingStore()
        await client(store, told).schedule(message("a"))
        await client("memory://", told).schedule(message("a"))
        by_store = {
            point.attributes["duly.store"]: point.value
            for point in told.points("duly.messages.scheduled")
        }
        assert by_store == {"WakingStore": 1, "memory://": 1}


class TestHistograms:
    @run_virtually
    async def test_lateness_is_published_minus_scheduled(self) -> None:
        told, store = Told(), WakingStore()
        await client(store, told).schedule_many([message("a"), message("b", 2)])
        await asyncio.sleep(5)
        async with delivering(store, sleeping(0.5), **told.options):
            await emptied(store)
        late = {
            point.attributes[EVENT]: round(point.sum, 4)
            for point in told.points("duly.delivery.lateness")
        }
        assert late == {"a": 5.5, "b": 3.5}
        (point,) = told.points("duly.batch.duration")
        assert (point.count, round(point.sum, 4)) == (1, 0.5)
        assert point.explicit_bounds[0] == 0.001  # the SDK's own begin at 5 s

    @run_virtually
    async def test_of_a_large_batch_sixteen_are_measured(self) -> None:
        told, store = Told(), WakingStore()
        await client(store, told).schedule_many(due(500))
        async with delivering(store, Probed(), batch_size=500, **told.options):
            await emptied(store)
        (point,) = told.points("duly.delivery.lateness")
        assert 14 <= point.count <= 16 * len(told.spans("delete"))
        assert told.counts("duly.messages.delivered") == {"event": 500}

    @run_virtually
    async def test_lateness_is_never_negative(self) -> None:
        told, store = Told(), WakingStore()
        behind = timedelta(0)
        clock = store.inner._clock  # type: ignore[attr-defined]  # of a memory store
        store.inner = MemoryStore(clock=lambda: clock() - behind)

        async def publish(envelope: Envelope) -> None:
            nonlocal behind
            if not behind:
                behind = HOUR  # the store's clock is set right, and heard of before we are done
                await client(store, told).schedule(message("other", -86_400))
                await asyncio.sleep(0.03)

        async with delivering(store, publish, **told.options) as running:
            await running.schedule(message("a"))
            await until(lambda: len(told.points("duly.delivery.lateness")) == 2)
        late = {point.attributes[EVENT]: point for point in told.points("duly.delivery.lateness")}
        assert late["a"].min == 0


class TestGauges:
    @run_virtually
    async def test_they_show_what_health_shows(self) -> None:
        told, store = Told(), WakingStore()
        await client(store, told).schedule_many(due(3, seconds=3600))
        await client(store, told).schedule(message(due=-10))
        never = duly.Backoff(max_retries=0)
        async with delivering(store, fail, recovery=never, **told.options) as running:
            await asyncio.sleep(16)
            health = await running.health()
            assert told.counts("duly.messages.pending") == {None: health.details["scheduled"]}
            assert told.counts("duly.messages.pending") == {None: 3}
            assert told.counts("duly.messages.dead") == {None: health.details["dead"]} == {None: 1}
            assert told.counts("duly.messages.oldest_due_age") == {None: 0}
            offset = health.details["clock_offset"].total_seconds()
            ((_, shown),) = told.counts("duly.clock.offset").items()
            assert shown == pytest.approx(offset, abs=30)  # virtual time runs faster
        assert (await running.health()).status is duly.Status.HEALTHY

    @run_virtually
    async def test_the_oldest_due_message_is_waiting_for_so_long(self) -> None:
        told, store = Told(), WakingStore()
        async with delivering(store, Probed(), **told.options) as running:
            await asyncio.sleep(0.1)  # so that the store's time is known
            store.faults.append(down("claim"))
            await running.schedule(message())
            await asyncio.sleep(46)
            assert told.counts("duly.messages.oldest_due_age") == {None: pytest.approx(45, abs=1)}
            store.faults.clear()
            await emptied(store)

    @run_virtually
    async def test_the_store_is_asked_at_most_every_15_seconds_and_only_while_somebody_reads(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told, store = Told(), WakingStore()
        monkeypatch.setattr("duly._telemetry.gauges.time.monotonic", now)
        async with delivering(store, Probed(), **told.options):
            for _ in range(299):
                await asyncio.sleep(1)
                told.metrics()
            assert store.count("stats") == 20
            await asyncio.sleep(600)  # nobody reads
            assert store.count("stats") <= 41
            before = store.count("stats")
            await asyncio.sleep(3600)
            assert store.count("stats") == before
            ((_, age),) = told.counts("duly.reading.age").items()
            assert age > 3600  # what was once, and since when nobody looked
            await asyncio.sleep(15)
            ((_, age),) = told.counts("duly.reading.age").items()
            assert age <= 15

    @run_virtually
    async def test_without_an_sdk_the_store_is_not_asked(self) -> None:
        store = WakingStore()
        async with delivering(store, Probed()):
            await asyncio.sleep(100)
        assert store.count("stats") == 0

    @run_virtually
    async def test_of_a_store_that_is_away_the_last_is_shown_and_how_old_it_is(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told, store = Told(), WakingStore()
        monkeypatch.setattr("duly._telemetry.gauges.time.monotonic", now)
        async with delivering(store, Probed(), **told.options) as running:
            await running.schedule(message(due=3600))
            await asyncio.sleep(16)
            assert told.counts("duly.store.up") == {None: 1}
            assert told.counts("duly.messages.pending") == {None: 1}
            store.faults.append(down())
            await asyncio.sleep(60)
            assert told.counts("duly.store.up") == {None: 0}
            assert told.counts("duly.messages.pending") == {None: 1}
            ((_, age),) = told.counts("duly.reading.age").items()
            assert 60 <= age <= 76
            assert outages(told) == {"store": 1, "transport": 0}
            store.faults.clear()
            await asyncio.sleep(16)
            assert told.counts("duly.store.up") == {None: 1}
            ((_, age),) = told.counts("duly.reading.age").items()
            assert age <= 15
        for gauge in ("duly.messages.pending", "duly.store.up", "duly.reading.age"):
            assert not told.points(gauge), "it has stopped"

    @run_virtually
    async def test_a_store_that_is_not_there_yet_is_down(self) -> None:
        told, store = Told(), WakingStore()
        store.faults.append(down())
        waiting = scheduler(store, Probed(), **told.options)
        start = asyncio.create_task(waiting.start())
        await asyncio.sleep(10)
        assert told.counts("duly.store.up") == {None: 0}
        assert told.counts("duly.transport.up") == {None: 1}
        assert not told.points("duly.messages.pending")
        assert not told.points("duly.loop.turn_age")
        store.faults.clear()
        await asyncio.sleep(10)
        assert told.counts("duly.store.up") == {None: 1}
        assert told.counts("duly.messages.pending") == {None: 0}
        assert outages(told) == {"store": 1, "transport": 0}
        await waiting.stop()
        await start

    @run_virtually
    async def test_a_transport_that_is_away(self) -> None:
        told, store, away = Told(), WakingStore(), True

        async def publish(envelope: Envelope) -> None:
            if away:
                raise TransportUnavailable("gone")

        async with delivering(store, publish, **told.options) as running:
            await running.schedule(message("a"))
            await asyncio.sleep(5)
            assert told.counts("duly.transport.up") == {None: 0}
            away = False
            await emptied(store)
            assert told.counts("duly.transport.up") == {None: 1}
        assert outages(told) == {"store": 0, "transport": 1}

    @run_virtually
    async def test_what_is_retried_for_hours_is_old_although_its_next_attempt_is_to_come(
        self,
    ) -> None:
        told, store = Told(), WakingStore()

        async def publish(envelope: Envelope) -> None:
            raise ValueError("never")

        hourly = duly.Backoff(initial=HOUR)
        async with delivering(store, publish, recovery=hourly, **told.options) as running:
            await running.schedule_many([*due(600), message("later", 86_400)])
            await asyncio.sleep(1800)
            assert told.counts("duly.messages.oldest_due_age") == {None: 0}
            told_of = told.counts("duly.messages.oldest_undelivered_age")
            assert told_of == {None: pytest.approx(1800, abs=16)}
            stored = phases(told)
        assert stored == {
            "scheduled": 1, "due": 0, "retrying": 600, "aside": 0, "claimed": 0, "dead": 0
        }  # fmt: skip

    @run_virtually
    async def test_what_a_slow_handler_holds_is_undelivered(self) -> None:
        told, store = Told(), WakingStore()
        async with delivering(
            store, sleeping(100), publish_timeout=HOUR, **told.options
        ) as running:
            await running.schedule(message())
            await asyncio.sleep(61)
            oldest = told.counts("duly.messages.oldest_undelivered_age")
            assert oldest == {None: pytest.approx(60, abs=1)}
            assert told.counts("duly.slots.used") == {None: 1}
            assert told.counts("duly.slots.limit") == {None: 1000}
            stored = phases(told)
            assert stored["claimed"] == 1

    @run_virtually
    async def test_a_backlog_is_counted_within_bounds(self) -> None:
        told, store = Told(), WakingStore()
        store.inner.lines = False  # type: ignore[attr-defined]  # what waits in line, waits there
        async with delivering(store, sleeping(1e6), max_in_flight=1, **told.options) as running:
            await running.schedule_many(messages(5000))
            store.faults.append(hanging("claim", "settle"))
            await asyncio.sleep(31)
            looked_at = [limit for limit in store.pages if limit]
            stored = phases(told)
            store.faults.clear()
        assert sum(looked_at) <= 3 * 2001
        assert 2000 <= stored["due"] <= 5000

    @run_virtually
    async def test_a_store_that_takes_long_to_look_is_seldom_asked_to_and_counts_are_shown(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told, store = Told(), WakingStore()
        monkeypatch.setattr("duly._telemetry.gauges.time.monotonic", now)
        store.faults.append(hanging("list"))
        async with delivering(store, Probed(), **told.options) as running:
            await running.schedule(message("later", 86_400))
            for _ in range(40):
                await asyncio.sleep(15)
                told.metrics()
            assert store.count("list") <= 2
            assert store.count("stats") >= 35
            assert told.counts("duly.messages.pending") == {None: 1}
            assert phases(told)["scheduled"] == 1
            assert told.counts("duly.reading.age")[None] <= 15

    @run_virtually
    async def test_since_when_the_loop_has_not_turned(self) -> None:
        told, store = Told(), WakingStore()
        options = {"store_timeout": timedelta(minutes=10), **told.options}
        async with delivering(store, Probed(), **options) as running:
            await asyncio.sleep(60)
            assert told.counts("duly.loop.turn_age")[None] <= 5
            health = await running.health()
            assert health.details["last_turn_age"] <= timedelta(seconds=5)
            assert running.liveness().alive
            store.faults.append(hanging("claim"))
            await running.schedule(message())
            await asyncio.sleep(60)
            assert told.counts("duly.loop.turn_age")[None] >= 55
            assert running.liveness().alive, "it waits for the store, which has more time than that"
            assert running.liveness().turns_within == timedelta(seconds=1210)
            store.faults.clear()

    @run_virtually
    async def test_a_loop_that_sleeps_for_long_is_not_stuck(self) -> None:
        told, store = Told(), WatchedStore()
        minute = timedelta(minutes=1)
        async with delivering(store, Probed(), poll_interval=minute, **told.options) as running:
            await asyncio.sleep(59)
            assert told.counts("duly.loop.turn_age")[None] > 50
            assert running.liveness().alive

    @run_virtually
    async def test_renewals_that_fail_are_counted(self) -> None:
        told, store = Told(), WakingStore()
        store.faults.append(down("renew"))
        lease = timedelta(seconds=9)
        async with delivering(store, sleeping(4), stuck_duration=lease, **told.options) as running:
            await running.schedule(message("a"))
            await emptied(store)
        ((_, number),) = told.counts("duly.leases.renew_failures").items()
        assert number >= 1

    @run_virtually
    async def test_two_schedulers_with_one_sdk_show_two_stores(self) -> None:
        told = Told()
        options = {"load_plugins": False, **told.options}
        one = duly.Scheduler("memory://", Probed(), **options)
        two = duly.Scheduler(WakingStore(), Probed(), **options)
        await one.schedule(duly.Message("a", scheduled_at=duly.after(hours=1)))
        async with one.running(), two.running():
            await asyncio.sleep(1)
            points = told.points("duly.messages.pending")
        shown = {point.attributes["duly.store"]: point.value for point in points}
        assert shown == {"memory://": 1, "WakingStore": 0}

    @run_virtually
    async def test_the_password_of_a_store_is_not_shown(self) -> None:
        class Offer:
            @duly.hookimpl
            def duly_stores(self) -> dict[str, StoreFactory]:
                return {"vault": lambda url: WakingStore()}

        told, url = Told(), "vault://user:hunter2@host/0"
        async with delivering(url, Probed(), plugins=[Offer()], **told.options):
            await asyncio.sleep(1)
            (point,) = told.points("duly.messages.dead")
        assert point.attributes == {"duly.store": "vault://user:***@host/0"}

    async def test_the_sdk_reads_from_a_thread_of_its_own(self) -> None:
        told = Told()
        running = duly.Scheduler("memory://", Probed(), load_plugins=False, **told.options)
        async with running, running.running():
            for _ in range(1000):
                if await asyncio.to_thread(told.points, "duly.messages.pending"):
                    return
                await asyncio.sleep(0.01)
        pytest.fail("the gauges show nothing")


UNITS = {
    "duly.messages.scheduled": "{message}",
    "duly.messages.delivered": "{message}",
    "duly.messages.failed": "{message}",
    "duly.messages.cancelled": "{message}",
    "duly.messages.recovered": "{message}",
    "duly.messages.missed": "{message}",
    "duly.messages.moved": "{message}",
    "duly.messages.postponed": "{message}",
    "duly.messages.purged": "{message}",
    "duly.messages.replayed": "{message}",
    "duly.messages.buried": "{message}",
    "duly.messages.rescheduled": "{message}",
    "duly.messages.released": "{message}",
    "duly.leases.lost": "{lease}",
    "duly.leases.renew_failures": "{failure}",
    "duly.outages": "{outage}",
    "duly.store.up": "",
    "duly.transport.up": "",
    "duly.slots.used": "{slot}",
    "duly.slots.limit": "{slot}",
    "duly.loop.turn_age": "s",
    "duly.reading.age": "s",
    "duly.messages.stored": "{message}",
    "duly.messages.oldest_undelivered_age": "s",
    "duly.duplicates.suspected": "{message}",
    "duly.delivery.lateness": "s",
    "duly.batch.duration": "s",
    "duly.messages.pending": "{message}",
    "duly.messages.aside": "{message}",
    "duly.messages.dead": "{message}",
    "duly.messages.oldest_due_age": "s",
    "duly.clock.offset": "s",
}


class TestInstruments:
    @run_virtually
    async def test_each_has_a_unit_and_a_description(self) -> None:
        told, store = Told(), WakingStore()
        async with delivering(store, Probed(), **told.options) as running:
            await running.schedule(message())
            await asyncio.sleep(1)
            instruments = running._telemetry._metrics
            assert instruments is not None
            (each,) = instruments.several
            for counter in each.counters.values():
                counter.add(1)
            for counter in (each.leases_lost, each.renew_failures, each.outages):
                counter.add(1)
            metrics = told.metrics()
        assert {name: metric.unit for name, metric in metrics.items()} == UNITS
        assert all(metric.description.endswith(".") for metric in metrics.values())

    @run_virtually
    async def test_spans_alone_and_metrics_alone(self) -> None:
        told, store = Told(), WakingStore()
        async with delivering(store, Probed(), meter_provider=told.meters) as running:
            await running.schedule(message("a"))
            await emptied(store)
        assert not told.spans()
        async with delivering(store, Probed(), tracer_provider=told.tracers) as running:
            await running.schedule(message("a"))
            await emptied(store)
        assert told.spans("publish a")
        assert told.counts("duly.messages.delivered") == {"a": 1}

    @run_virtually
    async def test_a_failed_renewal_loses_no_lease(self) -> None:
        told, store = Told(), WatchedStore()
        store.faults.append(down("renew"))
        lease = timedelta(seconds=9)
        async with delivering(store, sleeping(5), stuck_duration=lease, **told.options) as running:
            await running.schedule(message("a"))
            await emptied(store)
        assert not told.points("duly.leases.lost")
        assert told.counts("duly.messages.delivered") == {"a": 1}
