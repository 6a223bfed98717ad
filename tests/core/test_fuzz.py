"""Whatever is given to the public API, it works or ends in an error of duly's.

A failure names its seed: ``DULY_TEST_FUZZ=<seed>`` makes that call alone.
"""

import os
import random
import time
from pathlib import Path

import pytest
from tests.core.fuzzing import Fuzzer

import duly


async def fuzz(folder: Path, *, calls: int = 0, seconds: float = 0) -> None:
    """The same calls each time, or others for some seconds."""
    fuzzer = Fuzzer(folder)
    urls = ("memory://", f"sqlite:///{folder}/verbs.db")
    fuzzer.clients = [duly.Client(url, load_plugins=["sqlite"]) for url in urls]
    given = os.environ.get("DULY_TEST_FUZZ")
    start = int(given) if given else 0 if calls else random.SystemRandom().randrange(10**9)
    print("seeds from", start)  # noqa: T201  # pytest shows it with a failure
    end, seed = time.monotonic() + seconds, start
    try:
        while seed < start + calls or time.monotonic() < end:
            await fuzzer.once(seed)
            seed += 1
            if given:
                break
    finally:
        for client in fuzzer.clients:
            await client.close()
    assert given or seed - start > 50, "it hardly ran"


async def test_two_thousand_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    await fuzz(tmp_path, calls=2000)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_for_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    await fuzz(tmp_path, seconds=60)
