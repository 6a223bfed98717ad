"""``duly run --ops``: one process, or several at one address."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.kit import Shell, ago
from tests.cli.running import APP, running
from tests.ops.kit import fetch, page, systemd, until

from duly import Message


@pytest.fixture
def place() -> str:
    """A port that was free just now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return "127.0.0.1:{1}".format(*free.getsockname())


def answers(place: str, path: str) -> int:
    try:
        return fetch(place, path).status
    except OSError:
        return 0


async def scheduled(shell: Shell, *ids: str, name: str = "quick") -> None:
    async with shell.client() as client:
        await client.schedule_many([Message(name, id=id, scheduled_at=ago(1)) for id in ids])


@pytest.mark.parametrize("made", ["made", "blocking"])
async def test_one_process(on_sqlite: Shell, place: str, made: str) -> None:
    await scheduled(on_sqlite, *"abc")
    with running(on_sqlite, "--app", f"orders_app:{made}", "--ops", place) as run:
        await run.until(lambda: answers(place, "/readyz") == 200)
        await run.until(lambda: len(run.delivered()) == 3)
        name = {"messaging_destination_name": "quick"}
        await run.until(
            lambda: fetch(place, "/metrics").value("duly_messages_delivered_total", **name) == 3
        )
        assert await run.end() == 0
    assert answers(place, "/livez") == 0


async def test_several_processes_at_one_address(
    on_sqlite: Shell,
    place: str,
    promtool: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await scheduled(on_sqlite, *(f"{number}" for number in range(50)))
    words = ["--app", "orders_app:made", "--processes", "2", "--ops", place, "--json"]
    with (
        systemd(tmp_path, monkeypatch, WATCHDOG_USEC="600000") as listening,
        running(on_sqlite, *words) as run,
    ):
        await run.until(lambda: answers(place, "/readyz") == 200)
        listening.hear("READY=1")
        listening.hear("WATCHDOG=1")
        await run.until(lambda: len(run.delivered()) == 50)
        health = (await page(place, "/healthz")).facts
        assert [each["process"] for each in health["schedulers"]] == [1, 2]
        assert health["status"] == "healthy"
        shown = await page(place, "/metrics")
        processes = {
            each.labels["process"] for each in shown.samples if each.name == "duly_store_up"
        }
        assert processes == {"1", "2"}
        assert shown.value("duly_process_up", process="2") == 1
        assert not promtool(shown.text)

        victim = next(each for each in run.told("start") if each["process"] == 2)
        os.kill(victim["pid"], signal.SIGSTOP)  # it is there, and says nothing
        answer = await until(place, "/livez", 503)
        assert answer.text == "process 2: it says nothing\n"
        health = (await page(place, "/healthz")).facts
        assert health["status"] == "unhealthy"
        assert health["sentence"] == "Process 2 does not answer."
        os.kill(victim["pid"], signal.SIGKILL)
        await until(place, "/livez", 200)  # it is replaced
        await run.until(lambda: len([*run.told("restart")]) == 1)
        await until(place, "/readyz", 200)
        assert (await page(place, "/metrics")).value("duly_process_up", process="2") == 1

        assert await run.end() == 0
        assert not run.pids()
        listening.hear("STOPPING=1")
    assert answers(place, "/livez") == 0
    assert [each["process"] for each in run.told("stop")][-1] == 0, "the pages end last"


async def test_a_port_that_is_taken_ends_all(on_sqlite: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = "127.0.0.1:{1}".format(*taken.getsockname())
        for more in ([], ["--processes", "2"]):
            with running(on_sqlite, "--app", "orders_app:made", "--ops", place, *more) as run:
                assert await run.ended() == 2
            assert f"cannot listen on {place}: something else listens there" in run.text
            assert "starts again" not in run.text


async def test_when_the_supervisor_is_killed_nothing_is_left(on_sqlite: Shell, place: str) -> None:
    folder = on_sqlite.folder / "tmp"
    folder.mkdir()
    words = ["--app", "orders_app:made", "--processes", "2", "--ops", place, "--json"]
    with running(on_sqlite, *words, TMPDIR=str(folder)) as run:
        await run.until(lambda: answers(place, "/readyz") == 200)
        assert [*folder.iterdir()]
        await run.end(signal.SIGKILL)
        await run.until(lambda: not run.pids())
        assert not [*folder.iterdir()]


@pytest.mark.parametrize("processes", ["1", "2"])
def test_an_app_that_leaves_the_plugin_out_is_told(
    on_sqlite: Shell, place: str, processes: str
) -> None:
    app = f"{APP}\n\ndef alone():\n    return made(load_plugins=['sqlite'])\n"
    (on_sqlite.folder / "orders_app.py").write_text(app)
    result = on_sqlite("run", "--app", "orders_app:alone", "--ops", place, "--processes", processes)
    assert result.code == 2
    assert "does not load duly-ops" in result.err


def test_an_address_that_is_none(on_sqlite: Shell) -> None:
    (on_sqlite.folder / "orders_app.py").write_text(APP)
    result = on_sqlite("run", "--app", "orders_app:made", "--ops", "9464")
    assert result.code == 2
    assert "write host:port" in result.err
