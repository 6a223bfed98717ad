"""A file that is locked for longer than anybody waits, and a disk that is full."""

import asyncio
import contextlib
import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.journeys.kit import Journey, batch, ids_of
from tests.journeys.props import Gate
from tests.servers.finding import lacking

from duly import Message, StoreUnavailable, after


@pytest.mark.parametrize("lease", [60, 1])
async def test_locked_for_longer_than_anybody_waits(
    journey: Journey, gate: Gate, lease: int
) -> None:
    messages = [*batch(20), *batch(40, "gated", metadata=gate.metadata)]
    await journey.client.schedule_many(messages)
    worker = await journey.start(lease=lease)
    await worker.noted("settled", 20)
    meanwhile = Message("quick", id="meanwhile", scheduled_at=after())
    with contextlib.closing(sqlite3.connect(journey.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        gate.open()
        with pytest.raises(StoreUnavailable, match="lock"):
            await journey.client.schedule(meanwhile)
        await worker.says("the store fails")
        begun = len(worker.notes("begun"))
        await asyncio.sleep(2 * lease if lease < 10 else 1)
        assert len(worker.notes("begun")) == begun  # it could not be settled
        unsettled = worker.unsettled()
        other.execute("ROLLBACK")
    await journey.client.schedule(meanwhile)
    await journey.emptied()
    await worker.says("all is well")
    await worker.stop()
    assert set(worker.ids("done")) == ids_of(messages) | {"meanwhile"}
    assert not journey.early()
    doubled = {id for id, times in journey.count("begun").items() if times > 1}
    assert doubled <= unsettled if lease == 1 else not doubled
    assert (await journey.client.stats()).dead == 0


class Disk:
    """A small disk, which can be filled to the last byte."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        with self._ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass

    def free(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        lacking("root", "a disk of its own can be mounted by root only")
    yield Disk(folder)
    subprocess.run(["umount", folder], check=True)


async def test_a_full_disk(tmp_path: Path, gate: Gate, disk: Disk) -> None:
    messages = [*batch(20), *batch(40, "gated", metadata=gate.metadata)]
    meanwhile = Message("quick", bytes(100_000), id="meanwhile", scheduled_at=after())
    async with Journey(tmp_path, f"sqlite:///{disk.folder / 'journey.db'}") as journey:
        await journey.client.schedule_many(messages)
        worker = await journey.start()
        await worker.noted("settled", 20)
        disk.fill()
        gate.open()
        with pytest.raises(StoreUnavailable, match="full"):
            await journey.client.schedule(meanwhile)
        await worker.says("the store fails")
        begun = len(worker.notes("begun"))
        await asyncio.sleep(1)
        assert len(worker.notes("begun")) == begun  # it could not be settled
        disk.free()
        await journey.client.schedule(meanwhile)
        await journey.emptied()
        await worker.says("all is well")
        await worker.stop()
        assert set(worker.ids("done")) == ids_of(messages) | {"meanwhile"}
        assert set(journey.count("begun").values()) == {1}
        assert not journey.early()
        assert (await journey.client.stats()).dead == 0


async def test_a_limit_to_the_size_of_files(journey: Journey, gate: Gate) -> None:
    messages = [*batch(20), *batch(40, "gated", metadata=gate.metadata)]
    await journey.client.schedule_many(messages)
    worker = await journey.start()
    await worker.noted("settled", 20)
    pid, log = worker.process.pid, journey.path.with_name("journey.db-wal")
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (log.stat().st_size, before[1]))
    gate.open()
    await worker.says("the store fails")
    unsettled = len(worker.unsettled())
    await asyncio.sleep(1)
    assert len(worker.unsettled()) == unsettled
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    await journey.emptied()
    await worker.stop()
    assert set(worker.ids("done")) == ids_of(messages)
    assert set(journey.count("begun").values()) == {1}
