"""Schedulers of one file say that they are there without waking each other."""

import asyncio
from pathlib import Path

import pytest

from duly import Client, Envelope, Scheduler
from duly.store import OnOneHost
from duly_sqlite import SQLiteStore


async def nothing(envelope: Envelope) -> None: ...


async def test_idle_schedulers_of_one_file_do_not_wake_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    enough = asyncio.Event()
    monkeypatch.setattr("duly._engine.presence.EVERY", 0.01)
    announced, other = SQLiteStore(tmp_path / "x.db"), SQLiteStore(tmp_path / "x.db")
    assert isinstance(announced, OnOneHost)
    async with Scheduler(announced, nothing, instance="a") as scheduler, Client(other) as client:
        async with scheduler.running():
            engine = scheduler._engine
            assert engine is not None
            told = engine.presence._introduction

            def count(*args: object, **more: bool) -> object:
                asked.append(args)
                if len(asked) == 50:
                    enough.set()
                return told(*args, **more)  # type: ignore[arg-type]  # as it was called

            engine.presence._introduction = count  # type: ignore[assignment]  # to see it asked
            for _ in range(3):
                asked.clear()
                enough.clear()
                await enough.wait()
                written = await other.changed()  # at first, of all that it wrote when it started
            assert not written
            (info,) = await client.schedulers()
            assert not info.gone
        assert await other.changed()
        assert not await client.schedulers()
    await announced.close()
    await other.close()
