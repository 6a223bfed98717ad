"""``duly web`` in a process of its own, and what is told of each change."""

import asyncio
import signal
import socket
import subprocess
import sys

import httpx
import pytest
from click.testing import CliRunner, Result
from tests.cli.kit import heeding
from tests.web.kit import asking, served

import duly
from duly import Client, Message, after
from duly_web.command import web

PATIENCE = 30  # seconds
COMMANDS = ((sys.executable, "-m", "duly_cli", "web"), (sys.executable, "-m", "duly_web"))


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def said_to(*words: str) -> Result:
    """The command in this process, for what ends before it serves."""
    return CliRunner().invoke(web, words)


async def answers(process: subprocess.Popen[bytes], url: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while process.poll() is None:
            try:
                async with httpx.AsyncClient() as http:
                    await http.get(url)
            except httpx.ConnectError:
                await asyncio.sleep(0.05)
            else:
                return
    raise AssertionError(f"it has ended with {process.returncode}")


async def test_it_serves_until_a_signal_comes(tmp_path):
    made = said_to("--new-token", "mara")
    token = made.stderr.split()[-1]
    assert token not in made.stdout
    (tmp_path / "tokens.toml").write_text(made.stdout.replace('["read"]', '["read", "schedule"]'))
    store = f"sqlite:///{tmp_path}/orders.db"
    for command in COMMANDS:  # the second one finds what the first has stored
        port = free_port()
        process = subprocess.Popen(  # noqa: ASYNC220  # it begins at once
            [*command, "--store", store, "--tokens", "tokens.toml", "--port", str(port)],
            cwd=tmp_path, stdout=subprocess.DEVNULL, preexec_fn=heeding,  # noqa: PLW1509  # signals
        )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}/v1"
            await answers(process, url)
            async with asking(url, token) as http:
                body = {"event_name": "a", "id": "x", "delay": "1h"}
                made_ = await http.post("/messages", json=body)
                assert made_.status_code in (200, 201)
                assert "server" not in made_.headers
            assert made_.json()["repeat"] == (made_.status_code == 200)
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait, PATIENCE)
        finally:
            process.kill()
            process.wait()
    async with Client(store) as client:
        assert (await client.stats()).scheduled == 1


@pytest.mark.parametrize(("words", "said"), [
    ((), "say who may use it"),
    (("--open-to-all",), "say which store"),
    (("--open-to-all", "--tokens", "x"), "say who may use it"),
    (("--tokens", "none.toml", "--store", "memory://"), "cannot be read"),
    (("--proxy-header", "X User", "--store", "memory://"), "header"),
    (("--open-to-all", "--right", "read", "--store", "memory://"), "--right goes with"),
    (("--open-to-all", "--app", "nothing:here"), "nothing"),
])  # fmt: skip
def test_what_can_never_work(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DULY_STORE", raising=False)
    done = said_to(*words)
    assert done.exit_code == 2, done.stderr
    assert said in done.stderr


def test_it_is_not_open_where_others_come():
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.org"):
        done = said_to("--open-to-all", "--store", "memory://", "--host", host)
        assert done.exit_code == 2
        assert f"--open-to-all is refused on {host}" in done.stderr


class Witness:
    """Keeps what it is told of changes."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str, str]] = []

    @duly.hookimpl
    def duly_changing(self, change: duly.Change) -> None:
        self.changes.append((change.action, change.target, change.by))


async def test_a_change_is_recorded_with_the_name_of_the_user():
    witness = Witness()
    async with Client("memory://", plugins=[witness], load_plugins=False) as client:
        await client.schedule(Message("a", id="y", scheduled_at=after(hours=1)))
        async with served(client) as http:
            await http.post("/messages", json={"event_name": "a", "id": "x", "delay": "1h"})
            await http.patch("/messages/x", json={"delay": "2h"})
            await http.post("/messages/x/fire")
            await http.delete("/messages/x")
            await http.put("/controls/a", json={"paused": True, "reason": "INC-1"})
            rule = {"event_name": "b", "recurrence": {"type": "every", "interval": "1h"}}
            await http.put("/series/s", json=rule)
            act = {"action": "cancel", "filter": {"event_name": "a"}, "delay": "0s"}
            id = (await http.post("/operations", json=act)).json()["id"]
            async with asyncio.timeout(PATIENCE):
                while (await http.get(f"/operations/{id}")).json()["state"] != "done":  # noqa: ASYNC110  # another task makes it so
                    await asyncio.sleep(0.01)
    assert {by for *_, by in witness.changes} == {"mara"}
    made = [(action, target) for action, target, _ in witness.changes]
    assert made[:4] == [("schedule", "x"), ("reschedule", "x"), ("fire", "x"), ("cancel", "x")]
    assert {("pause", "a"), ("ensure", "s"), ("cancel", "")} <= {*made}


class Refuses:
    """Cannot keep a record."""

    @duly.hookimpl
    def duly_changing(self, change: duly.Change) -> None:
        raise duly.StoreUnavailable("the history is away")


async def test_what_cannot_be_recorded_is_not_done():
    async with Client("memory://", plugins=[Refuses()], load_plugins=False) as client:
        async with served(client) as http:
            made = await http.post("/messages", json={"event_name": "a", "delay": "1h"})
            assert (made.status_code, made.json()["code"]) == (503, "StoreUnavailable")
        assert await client.list() == []
