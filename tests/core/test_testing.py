"""What `duly.testing` gives to the tests of a service, by each of pytest's plugins for asyncio."""

import subprocess
import sys
from pathlib import Path

import pytest

SERVICE = """
import duly

transport = duly.LocalTransport()
reminded: list[str] = []


@transport.on("orders.reminder")
async def remind(envelope: duly.Envelope) -> None:
    reminded.append(envelope.message_id)


async def place(client: duly.Client, order: str) -> None:
    await client.schedule(
        duly.Message("orders.reminder", id=order, scheduled_at=duly.after(days=1))
    )
"""

CONFTEST = """
import pytest
import service

pytest_plugins = ["duly.testing.fixtures"]


@pytest.fixture
def duly_transport():
    service.reminded.clear()
    return service.transport
"""

TESTS = """
import duly
import pytest
import service
from duly.testing import assert_scheduled

{mark}


async def test_drained(duly_client, duly_store, duly_scheduler):
    await service.place(duly_client, "17")
    assert_scheduled(await duly_client.list(), "orders.reminder")
    assert not await duly_scheduler.drain()
    assert len(await duly_scheduler.drain(until=duly_store.after(days=1))) == 1
    assert service.reminded == ["17"]


async def test_advanced(duly_client, duly_store, duly_scheduler):
    async with duly_scheduler.running():
        await service.place(duly_client, "18")
        await duly_store.advance(days=1)
    assert service.reminded == ["18"]
"""

BLOCKING = """
import duly
import duly.sync


def test_blocking(duly_store):
    taken = []
    with duly.sync.Scheduler(duly_store, taken.append) as scheduler:
        scheduler.schedule(duly.Message("event", scheduled_at=duly.after(days=1)))
        assert len(scheduler.drain(until=duly_store.after(days=1))) == len(taken) == 1
"""


SCOPE = ["-o", "asyncio_default_fixture_loop_scope=function"]  # it warns if that is not said


def passed(folder: Path, *options: str) -> int:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *options],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    return int(run.stdout.split(" passed")[0].split()[-1])


@pytest.mark.parametrize(
    ("mark", "options"),
    [
        ("", ["-o", "asyncio_mode=auto", *SCOPE]),
        ("pytestmark = pytest.mark.asyncio", ["-o", "asyncio_mode=strict", *SCOPE]),
        ("pytestmark = pytest.mark.anyio", ["-p", "no:asyncio"]),
    ],
    ids=["pytest-asyncio, auto", "pytest-asyncio, strict", "anyio"],
)
def test_fixtures_for_a_service(tmp_path: Path, mark: str, options: list[str]) -> None:
    (tmp_path / "service.py").write_text(SERVICE)
    anyio = '\n\n@pytest.fixture\ndef anyio_backend():\n    return "asyncio"\n'
    (tmp_path / "conftest.py").write_text(CONFTEST + (anyio if "anyio" in mark else ""))
    (tmp_path / "test_service.py").write_text(TESTS.format(mark=mark))
    (tmp_path / "test_blocking.py").write_text(BLOCKING)
    assert passed(tmp_path, *options) == 3


def test_the_kit_is_loaded_although_duly_testing_was_imported_before_pytest(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        'pytest_plugins = ["duly.testing"]\n\n\ndef test_it(hand_clock):\n    assert hand_clock()\n'
    )
    code = (
        "import sys, duly.testing; assert 'pytest' not in sys.modules; import pytest; "
        "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider']))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_what_is_not_there_is_an_attribute_error() -> None:
    import duly.testing

    with pytest.raises(AttributeError, match="FakeStores"):
        _ = duly.testing.FakeStores
    assert {"FakeStore", "Gate", "hand_clock"} <= set(dir(duly.testing))
