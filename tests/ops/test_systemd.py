"""What systemd is told: ready, that it lives, and that it stops."""

import asyncio
from pathlib import Path

import pytest
from tests.ops.kit import LOCAL, served, systemd

from duly import MemoryStore
from duly_ops import Ops


class Late(MemoryStore):
    """There when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.there = asyncio.Event()

    async def open(self) -> None:
        await self.there.wait()


async def test_ready_when_it_delivers_and_stopping_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with systemd(tmp_path, monkeypatch, WATCHDOG_USEC="300000") as listening:
        store = Late()
        async with served(store):
            await asyncio.to_thread(listening.hear, "EXTEND_TIMEOUT_USEC=30000000")
            await asyncio.to_thread(listening.hear, "STATUS=it waits for its store")
            assert "READY=1" not in listening.lines
            assert "WATCHDOG=1" in listening.lines
            store.there.set()
            await asyncio.to_thread(listening.hear, "READY=1")
            await asyncio.to_thread(listening.hear, "STATUS=delivers")
            for _ in range(3):
                await asyncio.to_thread(listening.hear, "WATCHDOG=1")
            assert listening.lines.count("READY=1") == 1
        await asyncio.to_thread(listening.hear, "STOPPING=1")


async def test_no_sign_of_life_from_a_loop_that_does_not_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("duly._engine.pulse._TURNS_WITHIN", 6.0)
    monkeypatch.setattr("duly._engine.pulse._BESIDE", -100.0)
    with systemd(tmp_path, monkeypatch, WATCHDOG_USEC="300000") as listening:
        async with served("memory://") as (_, scheduler):
            await asyncio.to_thread(listening.hear, "READY=1")
            engine = scheduler._engine
            assert engine is not None
            engine.pulse._turned_at -= 100.0  # as if it had been stuck for so long
            await asyncio.to_thread(listening.hear, "STATUS=the loop has not turned for 10")
            silence = listening.pending()
            assert "WATCHDOG=1" not in silence
            engine.loop.wake()
            await asyncio.to_thread(listening.hear, "WATCHDOG=1")


async def test_not_where_it_is_not_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with systemd(tmp_path, monkeypatch) as listening:
        async with served("memory://", ops=Ops(LOCAL, notify=False)):
            await asyncio.sleep(0.1)
        assert not listening.pending()


async def test_a_socket_that_nobody_reads_disturbs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    async with served("memory://"):
        await asyncio.sleep(0.1)
