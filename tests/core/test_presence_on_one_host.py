"""Where all who share a store run on one host: nobody is woken, and processes are looked at."""

import asyncio
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from tests.core.engine_kit import (
    Probed,
    at,
    delivering,
    emptied,
    message,
    sleeping,
)
from tests.core.presence_kit import OfOneHost, killed, listed, owner_of, put

from duly import Client, TransportUnavailable, WrongState
from duly._values.processes import Process, lives, moment_of_start, this_process
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)


class TestWriting:
    @run_virtually
    async def test_an_idle_scheduler_writes_at_its_start_and_its_end_alone(self) -> None:
        store = OfOneHost()
        async with delivering(store, Probed(), instance="a"):
            await asyncio.sleep(1)
            written = store.count("write_note")
            assert written <= 2  # the second with the store's time
            await asyncio.sleep(3600)
            assert store.count("write_note") == written
            assert not (await listed(store))["a"].gone
        assert store.count("write_note") == written + 1
        assert not await store.inner.notes("")

    @run_virtually
    async def test_an_outage_is_told_when_it_begins_and_when_it_ends(self) -> None:
        gone = True

        async def publish(envelope: Any) -> None:
            if gone:
                raise TransportUnavailable("nobody answers")

        store = OfOneHost()
        async with delivering(store, publish) as running:
            await asyncio.sleep(10)
            await running.schedule(message())
            await asyncio.sleep(6)
            (info,) = (await listed(store)).values()
            assert info.outage is not None
            written = store.count("write_note")
            await asyncio.sleep(600)
            assert store.count("write_note") == written
            gone = False
            await asyncio.sleep(12)
            (info,) = (await listed(store)).values()
            assert (info.outage, info.claimed) == (None, 0)

    @run_virtually
    async def test_while_it_holds_something_at_every_third_of_its_lease(self) -> None:
        store = OfOneHost()
        async with delivering(
            store, sleeping(1000), publish_timeout=SECOND * 5000, stuck_duration=SECOND * 60
        ) as running:
            await running.schedule(message())
            await asyncio.sleep(305)
            assert 15 <= store.count("write_note") <= 18
            (info,) = (await listed(store)).values()
            assert (info.slots_used, info.claimed) == (1, 1)
            await running.stop(SECOND * 0)

    @run_virtually
    async def test_what_is_claimed_and_settled_within_a_moment_needs_no_word(self) -> None:
        store = OfOneHost()
        async with delivering(store, Probed()) as running:
            await asyncio.sleep(1.05)
            written = store.count("write_note")
            for number in range(60):
                await running.schedule(message(id=f"{number}"))
                await asyncio.sleep(1.05)
            assert store.count("write_note") == written


class TestLooking:
    @run_virtually
    async def test_who_lives_is_listed_however_long_ago_it_wrote(self) -> None:
        store = OfOneHost()
        await put(store, "h:1:x", process=this_process())
        async with delivering(store, Probed(), instance="a"):
            await asyncio.sleep(7200)
            found = await listed(store)
            assert (found["a"].gone, found["a"].overdue) == (False, False)
            assert found["h:1:x"].gone  # of this process, in which nobody is called that
            async with Client(store, load_plugins=False) as client:
                with pytest.raises(WrongState, match=r"is not gone: its process \d+ lives on"):
                    await client.recover("a")

    @run_virtually
    async def test_who_holds_something_is_overdue_behind_a_third_of_its_lease(self) -> None:
        store = OfOneHost()
        process = attrs.evolve(this_process(), host="elsewhere")
        await put(store, "h:1:x", process=process, lease=SECOND * 60, claimed=1)
        await put(store, "h:1:y", process=process, lease=SECOND * 60)
        slept = 0
        for passed, overdue in [(30, False), (31, True)]:
            await asyncio.sleep(passed - slept)
            slept = passed
            found = await listed(store)
            assert (found["h:1:x"].gone, found["h:1:x"].overdue) == (False, overdue)
            assert not found["h:1:y"].overdue

    @run_virtually
    async def test_who_is_dead_is_taken_over_at_once(self) -> None:
        store, transport = OfOneHost(), Probed()
        await killed(store, 3, instance="a")
        async with delivering(store, transport, instance="a"):
            await emptied(store, within=0.1)

    @run_virtually
    async def test_two_that_live_are_told_at_once(self) -> None:
        store = OfOneHost()
        async with delivering(store, Probed(), instance="a") as one:
            await asyncio.sleep(100)
            async with delivering(store, Probed(), instance="a") as two:
                await asyncio.sleep(0.1)
                said = f"two live schedulers are called 'a': {owner_of(two)} and {owner_of(one)}"
                assert said in (await two.health()).reason
                await one.stop()
                await asyncio.sleep(6)
                assert "two live" not in (await two.health()).reason

    @pytest.mark.parametrize("change", [{"host": "elsewhere"}, {"table": "elsewhere"}])
    @run_virtually
    async def test_of_another_container_only_the_time_tells(self, change: Any) -> None:
        store = OfOneHost()
        process = attrs.evolve(this_process(), **change)
        await put(store, "h:1:x", process=process, lease=SECOND * 60, seen=at(0))
        await asyncio.sleep(34)
        assert not (await listed(store))["h:1:x"].gone
        await asyncio.sleep(1)
        assert (await listed(store))["h:1:x"].gone


class TestProcesses:
    def test_this_one_lives(self) -> None:
        mine = this_process()
        assert lives(mine) is True
        started = moment_of_start(mine)
        if started is not None:
            assert started.tzinfo is not None
            assert timedelta(0) < at_now() - started < timedelta(days=1)

    def test_one_that_was_killed_does_not_even_before_it_is_buried(self) -> None:
        child = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(100)"], stdin=subprocess.DEVNULL
        )
        found = of_child(child.pid)
        assert lives(found) is True
        child.kill()
        while Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            pass
        assert lives(found) is False
        child.wait()
        assert lives(found) is False

    def test_another_one_of_that_number_is_another_one(self) -> None:
        mine = this_process()
        assert mine.started is not None
        assert lives(attrs.evolve(mine, started=mine.started + 1)) is False

    @pytest.mark.parametrize("change", [{"host": "x"}, {"table": "x"}, {"table": None}])
    def test_of_one_elsewhere_nobody_knows(self, change: Any) -> None:
        assert lives(attrs.evolve(this_process(), **change)) is None

    def test_where_the_system_tells_no_start_the_number_must_do(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr("duly._values.processes._PROC", tmp_path)
        mine = this_process()
        assert (mine.started, mine.table) == (None, None)
        assert moment_of_start(mine) is None
        assert lives(mine) is True
        assert lives(attrs.evolve(mine, pid=2**22 + 1)) is False

    def test_of_one_that_is_hidden_from_us_the_number_must_do(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        mine = this_process()
        monkeypatch.setattr("duly._values.processes._table", lambda: mine.table)
        monkeypatch.setattr("duly._values.processes._PROC", tmp_path)

        def refused(pid: int, number: int) -> None:
            raise PermissionError

        monkeypatch.setattr("os.kill", refused)
        assert lives(mine) is True


def of_child(pid: int) -> Process:
    from duly._values.processes import _start_of

    return attrs.evolve(this_process(), pid=pid, started=_start_of(pid))


def at_now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)
