"""Schedulers say that they are there, and who asks is told."""

import asyncio
import json
import os
import socket
from datetime import timedelta
from importlib.metadata import version
from typing import Any

import pytest
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    at,
    delivering,
    down,
    fail,
    hanging,
    kill,
    lost_answer,
    message,
    now,
    scheduler,
    sleeping,
)
from tests.core.presence_kit import PROCESS, Noted, info, listed, owner_of, put

from duly import Client, TransportUnavailable, Unsupported, WrongState
from duly._values.presence import PREFIX, announced
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)


class TestAnnouncing:
    @run_virtually
    async def test_a_scheduler_that_runs_is_listed(self) -> None:
        store = Noted()
        await asyncio.sleep(3)
        async with delivering(store, Probed(), instance="orders-0", max_in_flight=7) as running:
            await asyncio.sleep(1)
            (info,) = (await listed(store)).values()
            assert info.owner == owner_of(running)
            assert info.owner.startswith(f"{socket.gethostname()}:{os.getpid()}:")
            assert (info.instance, info.host, info.pid) == (
                "orders-0",
                socket.gethostname(),
                os.getpid(),
            )
            assert (info.version, info.transport) == (version("duly"), "Probed")
            assert (info.slots, info.slots_used, info.claimed) == (7, 0, 0)
            assert (info.outage, info.gone) == (None, False)
            assert info.lease == SECOND * 300
            assert info.since == info.seen == at(3)
        assert await listed(store) == {}
        assert not await store.inner.notes("")

    @run_virtually
    async def test_it_tells_how_it_is_doing_every_five_seconds(self) -> None:
        store = Noted()
        async with delivering(store, sleeping(100), max_in_flight=3, batch_size=3) as running:
            await running.schedule_many([message(due=1 + n / 10) for n in range(20)])
            await asyncio.sleep(11)
            (info,) = (await listed(store)).values()
            assert (info.slots_used, info.seen) == (3, at(10))
            assert info.claimed == (await running.stats()).claimed > 3
            await running.stop(SECOND * 0)

    @run_virtually
    async def test_it_tells_of_an_outage_and_its_reason(self) -> None:
        async def gone(envelope: Any) -> None:
            raise TransportUnavailable("amqp://user:secret@broker refuses")

        store = Noted()
        async with delivering(store, gone) as running:
            await running.schedule(message())
            await asyncio.sleep(6)
            (info,) = (await listed(store)).values()
            assert info.outage is not None
            assert "the transport is unavailable: TransportUnavailable: amqp://" in info.outage
            assert "secret" not in info.outage

    @run_virtually
    async def test_an_idle_scheduler_makes_at_most_a_call_a_second(self) -> None:
        store = Noted()
        async with delivering(store, fail, instance="a"):
            await asyncio.sleep(120)
            assert store.count("write_note") >= 23
            assert store.count() <= 90  # a claim, a look at what is paused and this, every 5 s

    @run_virtually
    async def test_on_a_store_without_notes_nothing_is_announced(self) -> None:
        store = WakingStore()
        async with delivering(store, fail):
            await asyncio.sleep(20)
            assert store.count() == store.count("open", "claim")

    @run_virtually
    async def test_a_drain_is_over_soon_and_not_announced(self) -> None:
        store = Noted()
        async with scheduler(store, Probed()) as draining:
            await draining.schedule(message())
            await draining.drain()
        assert not store.count("write_note")

    @run_virtually
    async def test_a_host_whose_clock_is_off_is_listed_as_it_should(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = Noted()  # whose clock is years ahead of this host's
        async with delivering(store, Probed()):
            await asyncio.sleep(0.1)
            (info,) = (await listed(store)).values()
            assert (info.gone, info.since) == (False, at(0))


class TestTrouble:
    @run_virtually
    async def test_what_fails_is_told_once_and_disturbs_no_delivery(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        store, transport = Noted(), Probed()
        fault = down("write_note", "notes")
        store.faults.append(fault)
        async with delivering(store, transport, instance="a") as running:
            await running.schedule_many([message(due=n) for n in range(60)])
            await asyncio.sleep(70)
            assert len(transport.ended) == 60
            assert ";" not in (await running.health()).reason  # but for the clock of these tests
            assert caplog.text.count("announcing_failed") == 1
            store.faults.remove(fault)
            await asyncio.sleep(61)
            assert len(await listed(store)) == 1
        assert not await store.inner.notes("")

    @run_virtually
    async def test_what_hangs_disturbs_no_delivery_and_no_stop(self) -> None:
        store, transport = Noted(), Probed()
        store.faults.append(hanging("write_note", "notes"))
        async with delivering(store, transport) as running:
            await running.schedule_many([message(due=n) for n in range(20)])
            await asyncio.sleep(21)
            assert len(transport.ended) == 20
            stopped = now()
        assert now() - stopped <= 3

    @run_virtually
    async def test_soon_after_an_outage_of_the_store_it_counts_as_alive(self) -> None:
        store, fault = Noted(), down()
        async with delivering(store, sleeping(200), instance="a") as running:
            await running.schedule(message())
            await asyncio.sleep(7)
            store.faults.append(fault)
            await asyncio.sleep(100)
            store.faults.remove(fault)
            await asyncio.sleep(6)
            assert not (await listed(store))["a"].gone
            with pytest.raises(WrongState):  # or what it publishes would be delivered twice
                await running.recover("a")
            await running.stop(SECOND * 0)

    @run_virtually
    async def test_a_lost_answer_costs_nothing(self) -> None:
        store = Noted()
        store.faults.append(lost_answer("write_note", times=3))
        async with delivering(store, Probed()):
            await asyncio.sleep(60)
            (info,) = (await listed(store)).values()
            assert at(55) <= info.seen
        assert not await store.inner.notes("")

    @run_virtually
    async def test_one_that_was_taken_for_dead_comes_back_on_the_list(self) -> None:
        store = Noted()
        async with delivering(store, Probed()) as running:
            await asyncio.sleep(1)
            assert await running.recover(owner_of(running), force=True) == 0
            assert not await listed(store)
            await asyncio.sleep(5)
            assert len(await listed(store)) == 1

    @run_virtually
    async def test_who_ends_with_claims_in_hand_stays_to_be_recovered(self) -> None:
        store, fault = Noted(), down("settle", "claim")
        async with delivering(store, sleeping(30)) as running:
            await running.schedule(message())
            await asyncio.sleep(1)
            store.faults.append(fault)
            await running.stop(SECOND)
        store.faults.remove(fault)
        (info,) = (await listed(store)).values()
        await asyncio.sleep(15)
        async with Client(store, load_plugins=False) as client:
            assert await client.recover(info.owner) == 1


class TestListing:
    @run_virtually
    async def test_who_was_killed_is_gone_after_fifteen_seconds(self) -> None:
        store = Noted()
        async with scheduler(store, Probed(), instance="a") as victim:
            run = asyncio.create_task(victim.start())
            await asyncio.sleep(6)
            await kill(victim)
            await asyncio.wait([run])
        await asyncio.sleep(8.9)
        assert not (await listed(store))["a"].overdue
        await asyncio.sleep(0.2)
        info = (await listed(store))["a"]
        assert (info.gone, info.overdue) == (False, True)
        await asyncio.sleep(4.8)
        assert not (await listed(store))["a"].gone
        await asyncio.sleep(0.1)
        info = (await listed(store))["a"]
        assert (info.gone, info.overdue, info.seen) == (True, False, at(5))
        await asyncio.sleep(86_400)
        assert not await listed(store)
        assert not await store.inner.notes("")

    @run_virtually
    async def test_a_host_that_crashes_again_and_again_piles_up_nothing(self) -> None:
        store = Noted()
        for number in range(14):
            async with scheduler(store, Probed(), instance=f"n{number}") as victim:
                run = asyncio.create_task(victim.start())
                await asyncio.sleep(1)
                await kill(victim)
                await asyncio.wait([run])
            await asyncio.sleep(16)
            assert len(await store.inner.notes("")) <= 11
        assert list(await listed(store)) == [f"n{number}" for number in range(4, 14)]

    @run_virtually
    async def test_of_many_hosts_a_hundred_are_kept(self) -> None:
        store = Noted()
        for number in range(150):
            await put(store, f"host{number}:1:a", host=f"host{number}", seen=at(number))
        await asyncio.sleep(200)
        found = await listed(store)
        assert len(found) == len(await store.inner.notes("")) == 100
        assert "host49:1:a" not in found
        assert "host50:1:a" in found

    @run_virtually
    async def test_who_may_not_write_is_told_all_the_same(self) -> None:
        store = Noted()
        for number in range(12):
            await put(store, f"h:{number}:a", pid=number)
        await asyncio.sleep(20)
        store.faults.append(down("write_note"))
        assert len(await listed(store)) == 10
        assert len(await store.inner.notes("")) == 12

    @pytest.mark.parametrize(
        "value",
        [
            b"",
            b"\xff",
            b"[]",
            b"{}",
            b'{"process": {}}',
            b"[" * 100_000,
            b'{"process": {"host": "h", "pid": "x", "started": null, "table": null}}',
        ],
    )
    @run_virtually
    async def test_what_cannot_be_read_is_left_alone(self, value: bytes) -> None:
        store = Noted()
        await store.inner.write_note(f"{PREFIX}odd", value, None)
        await put(store, "h:1:a")
        assert list(await listed(store)) == ["h:1:a"]
        assert len(await store.inner.notes("")) == 2

    @run_virtually
    async def test_what_a_newer_version_says_beyond_that_is_passed_over(self) -> None:
        store = Noted()
        facts = json.loads(announced(info("h:1:a"), PROCESS)) | {"format": 2, "mood": "fine"}
        await store.inner.write_note(f"{PREFIX}h:1:a", json.dumps(facts).encode(), None)
        assert await listed(store) == {"h:1:a": info("h:1:a")}

    @run_virtually
    async def test_without_notes_it_is_unsupported(self) -> None:
        async with Client(WakingStore(), load_plugins=False) as client:
            with pytest.raises(Unsupported, match="WakingStore keeps no notes: nobody knows"):
                await client.schedulers()
            with pytest.raises(Unsupported, match="WakingStore keeps no notes"):
                await client.recover("a")
