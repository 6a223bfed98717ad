"""The conformance kit, held to the spool transport: ``pytest`` in this folder."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import duly_spool
import pytest

import duly
from duly.testing.transports import (
    DeduplicationCases,
    HeaderCases,
    ReceiptCases,
    Received,
    TransportSuite,
)
from duly.transport import Transport

pytest_plugins = ["duly.testing"]


class TestSpool(HeaderCases, ReceiptCases, DeduplicationCases, TransportSuite):
    """All cases of the kit that apply; the consumer reads the files."""

    no_gate = "files need no connection"
    scale = 0.2  # of the number of messages in the larger cases: each waits for the disk

    async def listen(self) -> None:
        """Called before each case."""
        self.folder = Path(tempfile.mkdtemp(prefix=self.namespace))

    async def make_transport(self) -> Transport:
        """One to the folder of this case."""
        return duly_spool.SpoolTransport(self.folder)

    async def received(self, number: int) -> Sequence[Received]:
        """What lies in the folder, once there is enough of it."""
        return await _files(self.folder, number)

    async def break_connection(self) -> None:
        """The folder is gone, as when a disk is not mounted."""
        self.folder.rename(self.folder.with_suffix(".away"))

    async def restore_connection(self) -> None:
        """It is back."""
        self.folder.with_suffix(".away").rename(self.folder)

    async def drop(self) -> None:
        """Called after each case."""
        shutil.rmtree(self.folder, ignore_errors=True)


async def _files(folder: Path, number: int) -> Sequence[Received]:
    while True:
        files = list(folder.glob("*.json"))  # noqa: ASYNC240  # a small folder, in a test
        if len(files) >= number:
            return [_read(file) for file in files]
        await asyncio.sleep(0.01)


def _read(file: Path) -> Received:
    content = json.loads(file.read_text())
    return Received(
        event_name=content["event"],
        payload=bytes.fromhex(content["payload"]),
        headers=content["headers"],
    )


async def test_a_scheduler_finds_it_by_its_url(tmp_path: Path) -> None:
    """The plugin as a whole; installed, it needs no ``plugins=``."""
    url = f"spool://{tmp_path}"
    async with duly.Scheduler("memory://", url, plugins=[duly_spool]) as scheduler:
        await scheduler.schedule(duly.Message("hello", b"world", scheduled_at=duly.after()))
        async with scheduler.running(), asyncio.timeout(5):
            (received,) = await _files(tmp_path, 1)
    assert received.payload == b"world"


def test_a_wrong_url_says_what_is_right() -> None:
    """Bad input has an error of its own."""
    with pytest.raises(duly.InvalidArgument, match="spool:///folder"):
        duly.Scheduler("memory://", "spool://folder", plugins=[duly_spool])
