"""Every example is run as its reader would run it: as a process of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.servers.process import free_port

import duly

EXAMPLES = Path(__file__).parents[2] / "examples"
SERVED = {"embedded_service.py"}  # they run until they are stopped
# By what takes the URL of a server: the fixture that yields it.
SERVERS = {
    "jetstream.py": "empty_nats_url",
    "kafka.py": "empty_kafka",
    "mqtt.py": "empty_mqtt",
    "rabbitmq.py": "rabbitmq_url",
    "redis_streams.py": "empty_redis",
}
TESTS = sorted(path.name for path in EXAMPLES.glob("test_*.py"))
PROGRAMS = sorted({path.name for path in EXAMPLES.glob("*.py")} - SERVED - {*TESTS})


def run(*arguments: str | Path, folder: Path) -> str:
    """What a program prints that must end well and without a warning."""
    program = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder, capture_output=True, text=True, timeout=55, check=False,
    )  # fmt: skip
    assert program.returncode == 0, program.stdout + program.stderr
    assert program.stderr == ""
    return program.stdout


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_example_ends_well(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    urls = [request.getfixturevalue(SERVERS[name])] if name in SERVERS else []
    assert run("-W", "error", EXAMPLES / name, *urls, folder=tmp_path)
    assert not list(tmp_path.iterdir()), "it left something behind"


@pytest.mark.parametrize("name", TESTS)
def test_a_service_passes_its_own_tests(name: str) -> None:
    printed = run("-m", "pytest", "-q", "-p", "no:cacheprovider", name, folder=EXAMPLES)
    assert " passed" in printed


def test_the_transport_of_ones_own_passes_its_test(tmp_path: Path) -> None:
    folder = EXAMPLES / "own_transport"
    printed = run("-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", folder, folder=tmp_path)
    assert " passed" in printed
    reasons = [line for line in printed.splitlines() if line.startswith("SKIPPED")]
    assert reasons
    said = ("files need no connection", "is no SupportsHealth")
    assert all(any(each in line for each in said) for line in reasons), "skips nobody asked for"


class Service:
    """A service in a process of its own, and one HTTP request at a time."""

    def __init__(self, name: str, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", str(EXAMPLES / name)],
            cwd=folder,
            env={**os.environ, "PORT": str(port)},
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, method: str, path: str) -> dict[str, Any]:
        """The JSON that it answers."""
        request = urllib.request.Request(self.url + path, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def wait_until(self, path: str, key: str, value: object) -> None:
        """Ask until the answer is as hoped for."""
        last: object = None
        for _ in range(400):
            assert self.process.poll() is None, self.process.communicate()[1]
            with contextlib.suppress(urllib.error.URLError):
                last = self.ask("GET", path)
                if last.get(key) == value:
                    return
            time.sleep(0.05)
        pytest.fail(f"{path} never said {key}={value}: {last}")

    def stop(self) -> None:
        """SIGTERM, after which it ends by itself."""
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=30)
        assert errors == ""
        assert self.process.returncode in (0, -signal.SIGTERM)


@contextlib.contextmanager
def serving(name: str, folder: Path) -> Iterator[Service]:
    service = Service(name, folder)
    try:
        service.wait_until("/health", "status", "healthy")
        yield service
        service.stop()
    finally:
        service.process.kill()
        service.process.communicate()


@pytest.mark.parametrize("name", sorted(SERVED))
async def test_a_service_schedules_cancels_and_delivers(name: str, tmp_path: Path) -> None:
    with serving(name, tmp_path) as service:
        assert service.ask("POST", "/orders/1?patience=0.2")["placed"] == "now"
        assert service.ask("POST", "/orders/2?patience=600")["placed"] == "now"
        assert service.ask("POST", "/orders/2?patience=600")["placed"] == "before"
        assert service.ask("DELETE", "/orders/2")["reminder"] == "cancelled"
        assert service.ask("DELETE", "/orders/3")["reminder"] == "unknown"
        service.wait_until("/orders/1", "reminded", value=True)
        assert service.ask("POST", "/orders/4?patience=600")["placed"] == "now"
    async with duly.Client(f"sqlite:///{tmp_path}/orders.db") as client:
        await client.reschedule("order-4-reminder", duly.after(seconds=0))
    with serving(name, tmp_path) as service:  # what was waiting outlives the process
        service.wait_until("/orders/4", "reminded", value=True)


class TestTheJudgeOfTheDemo:
    """The demonstration would see it, if anything were lost or early."""

    @pytest.fixture(autouse=True)
    def importable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(str(EXAMPLES))

    def verdict(self, *, left_out: str = "", early: str = "", too_many: str = "") -> Any:
        from demo_parts.ledger import Entry
        from demo_parts.plan import Occurrence, make_plan
        from demo_parts.verdict import judge

        plan = make_plan(duly.after(seconds=1))
        entries = [
            Entry("published", each, 1, due - timedelta(microseconds=each.id == early))
            for each, due in plan.due.items()
            if each.id != left_out
        ]
        if too_many:
            entries.append(Entry("published", Occurrence(too_many), 1, duly.after(hours=1)))
        assert plan.cancelled == "taken-back"
        return judge(plan, entries, held=set())

    def test_all_is_well(self) -> None:
        verdict = self.verdict()
        assert verdict.promise_kept
        assert verdict.delivered == verdict.scheduled > 300

    def test_something_is_lost(self) -> None:
        verdict = self.verdict(left_out="burst-2-7")
        assert not verdict.promise_kept
        assert [each.id for each in verdict.lost] == ["burst-2-7"]

    def test_something_is_a_microsecond_early(self) -> None:
        verdict = self.verdict(early="steady-3")
        assert not verdict.promise_kept
        assert [entry.occurrence.id for entry in verdict.early] == ["steady-3"]

    def test_something_was_cancelled_and_came_all_the_same(self) -> None:
        verdict = self.verdict(too_many="taken-back")
        assert not verdict.promise_kept
        assert [each.id for each in verdict.unwanted] == ["taken-back"]

    def test_something_came_twice(self) -> None:
        verdict = self.verdict(too_many="steady-3")
        assert verdict.promise_kept
        assert verdict.redelivered == 1
