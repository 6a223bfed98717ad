"""What the documents show, from a shell and from Node."""

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.servers.finding import lacking
from tests.web.kit import ALL, USERS, listening

import duly_web
from duly import Client

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "reference" / "http-api.md").read_text()
TESTS = "\n".join(file.read_text() for file in (ROOT / "tests" / "web").rglob("test_*.py"))


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


async def run(client: Client, *command: str) -> str:
    """Run a program against the API; what it has printed."""
    app = duly_web.application(client, access=duly_web.Tokens(USERS))
    async with listening(app) as url:
        done = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, timeout=30, check=False,
            env={**os.environ, "DULY": url, "TOKEN": ALL},
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on the PATH")
async def test_from_a_shell(client):
    (script,) = blocks("bash")
    said = await run(client, "bash", "-euc", script)
    assert '"phase":"scheduled"' in said
    assert said.endswith('{"outcome":"cancelled"}')
    assert await client.list() == []


async def test_from_node(client, tmp_path):
    if shutil.which("node") is None:
        lacking("node", "there is no node on the PATH")
    (script,) = blocks("javascript")
    file = tmp_path / "script.mjs"
    file.write_text(script)
    said = await run(client, "node", str(file))
    assert said.splitlines() == ["scheduled scheduled", "cancelled", "MessageNotFound"]


def test_each_code_is_in_the_documents():
    from duly_web.problems import TITLES

    assert [code for code in TITLES if f"`{code}`" not in TEXT] == []


def test_each_resource_is_in_the_documents():
    from duly_web.app import ENDPOINTS

    for endpoint in ENDPOINTS:
        last = endpoint.path.split("/")[-1] if "}" not in endpoint.path[-1] else endpoint.path
        assert last in TEXT, endpoint.path


def test_each_threat_has_its_test():
    table = (ROOT / "SECURITY.md").read_text().split("## The HTTP API")[1].split("\n## ")[0]
    named = re.findall(r"`(test_\w+)`", table)
    assert len(named) > 20
    assert [name for name in named if f"def {name}(" not in TESTS] == []
