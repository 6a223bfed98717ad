"""Schedulers are killed, and the history agrees with their own ledgers but for the holes it names.

As long as DULY_SOAK_SECONDS says, 60 unless told otherwise; a short one is among the quick tests.
"""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.history.kit import kept
from tests.journeys.kit import Journey

import duly
from duly import Message
from duly_history import Entry, History, Hole, What

SECONDS = float(os.environ.get("DULY_SOAK_SECONDS", "60"))
KILLED_EVERY = 3.0  # seconds


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(5.0, id="short"),
        pytest.param(
            SECONDS, id="long", marks=[pytest.mark.slow, pytest.mark.timeout(SECONDS * 2 + 300)]
        ),
    ],
)
async def test_the_history_of_kills_agrees_with_ledgers(seconds, history_url, tmp_path: Path):
    async with Journey(tmp_path, f"sqlite:///{tmp_path / 'journey.db'}") as journey:
        killed = await endure(journey, seconds, {"DULY_HISTORY": history_url})
        for worker in journey.workers:
            if worker not in killed:
                await worker.stop()

        def later() -> datetime:
            return datetime.now(UTC) + timedelta(minutes=5)

        async with kept(History(history_url, clock=later)) as history:
            found = await history.search(what=What.DELIVERED, limit=1_000_000)
            assert found.complete
            told, holes = by_process(found.entries), holes_by_process(found.holes)
            rates = await history.rates(since=timedelta(days=1))
            assert rates.delivered == len(found.entries)
        assert {each.number for each in found.holes} <= {None}
        for worker in journey.workers:
            pid = worker.process.pid
            ledger = {note.id: note.at for note in worker.notes("settled")}
            missing = {id: at for id, at in ledger.items() if id not in told[pid]}
            if worker not in killed:
                assert not missing, f"{pid} has ended well, and {len(missing)} are missing"
                assert not holes[pid]
            else:
                assert len(holes[pid]) == 1, f"{pid} was killed, and nobody misses it"
                (hole,) = holes[pid]
                slack = timedelta(seconds=1)  # what one turn takes to be written
                early = [at for at in missing.values() if at < hole.from_at - slack]
                assert not early, "missing, and in no hole"
            # Told a history, and then not its own ledger: it was killed in between.
            assert len(told[pid] - ledger.keys()) <= (100 if worker in killed else 0)


async def endure(journey: Journey, seconds: float, environment: dict[str, str]) -> list[object]:
    """Schedule and deliver for that long; the workers that were killed meanwhile."""
    running = [await journey.start(environment, lease=5) for _ in range(3)]
    end, number = time.monotonic() + seconds, 0
    killed: list[object] = []
    kill_at = time.monotonic() + min(KILLED_EVERY, seconds / 2)
    while time.monotonic() < end:
        now = duly.after()
        some = [Message("quick", id=f"{number}-{n}", scheduled_at=now) for n in range(50)]
        await journey.client.schedule_many(some)
        number += 1
        await asyncio.sleep(0.05)
        if time.monotonic() >= kill_at:
            victim = running.pop(0)
            await victim.kill()
            killed.append(victim)
            running.append(await journey.start(environment, lease=5))
            kill_at = time.monotonic() + KILLED_EVERY
    return killed


def by_process(entries: Sequence[Entry]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    for each in entries:
        found[_pid(each.source)].add(each.message_id)
    return found


def holes_by_process(holes: Sequence[Hole]) -> dict[int, list[Hole]]:
    found: dict[int, list[Hole]] = defaultdict(list)
    for each in holes:
        found[_pid(each.source)].append(each)
    return found


def _pid(source: str) -> int:
    return int(source.split(":")[1])
