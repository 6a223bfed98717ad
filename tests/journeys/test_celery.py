"""Tasks of a real Celery worker, scheduled by what has no Celery, as the page on it shows."""

import asyncio
import importlib.util
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import aio_pika
import pytest
from tests.journeys.test_readme import ROOT, blocks
from tests.servers.rabbitmq import rabbitmq_url

import duly

__all__ = ["rabbitmq_url"]  # a fixture is found by its name

PAGE = ROOT / "docs" / "howto" / "celery.md"
LOG = "worker.log"


@pytest.fixture
def queue() -> str:
    return f"duly-celery-{os.urandom(6).hex()}"


@pytest.fixture
async def worker(tmp_path: Path, rabbitmq_url: str, queue: str) -> AsyncIterator[Path]:
    """A worker with the tasks of the page; the folder in which it and the page's modules are."""
    for block in blocks(PAGE):
        code = block.code.replace("shop-tasks", queue).replace("amqp://localhost/", rabbitmq_url)
        (tmp_path / block.name).write_text(code)
    process = started(tmp_path)
    try:
        while " ready." not in (log := (tmp_path / LOG).read_text()):
            assert process.poll() is None, log
            await asyncio.sleep(0.05)
        yield tmp_path
    finally:
        process.kill()
        process.wait()
        connection = await aio_pika.connect(rabbitmq_url)
        channel = await connection.channel()
        await channel.queue_delete(queue)
        await channel.exchange_delete(queue)
        await connection.close()


def started(folder: Path) -> subprocess.Popen[bytes]:
    """A worker that takes the tasks in a folder, one at a time, and notes there what it says."""
    with (folder / LOG).open("w") as log:
        return subprocess.Popen(
            [
                sys.executable, "-m", "celery", "-A", "tasks", "worker", "--pool", "solo",
                "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO",
            ],
            cwd=folder, stdout=log, stderr=log,
        )  # fmt: skip


def module(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


async def done(folder: Path, number: int) -> list[list[str]]:
    """What the tasks have noted, as soon as it is so much."""
    file = folder / "reminded.txt"
    while True:
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) >= number:
            return [line.split() for line in lines]
        await asyncio.sleep(0.05)


async def test_tasks_run(worker: Path) -> None:
    page = module(worker / "schedule.py")
    async with duly.Scheduler("memory://", page.TASKS) as scheduler, scheduler.running():
        await page.remind(scheduler, 17)
        delivery_id = (await scheduler.get("order-17")).delivery_id
        await scheduler.reschedule("order-17", duly.after())
        async with asyncio.timeout(30):
            assert await done(worker, 1) == [["17", "sms", delivery_id]]
            await page.remind_each_second(scheduler, 18, times=2)
            _, *series = await done(worker, 3)
    assert [each[:2] for each in series] == [["18", "mail"]] * 2
    assert len({id for *_, id in series}) == 2
