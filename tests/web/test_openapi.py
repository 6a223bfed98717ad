"""What the API says of itself: taken by generators of clients, and true."""

import asyncio
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.kit import bury
from tests.web.kit import ALL, USERS, listening, served

import duly_web
from duly import Client, Every, Message, after
from duly_web.app import ENDPOINTS
from duly_web.openapi import description

PATIENCE = 50  # seconds
GENERATOR = [
    sys.executable,
    "-m",
    "openapi_python_client",
    "generate",
    "--meta",
    "none",
    "--overwrite",
]


def test_each_resource_is_described():
    told = description(ENDPOINTS, "1", "")
    found = {(method.upper(), path) for path, each in told["paths"].items() for method in each}
    assert found == {(each.method, each.path) for each in ENDPOINTS}
    names = [each["operationId"] for path in told["paths"].values() for each in path.values()]
    assert len(names) == len({*names})
    for path in told["paths"].values():
        for each in path.values():
            assert {"401", "403", "422", "429", "503"} <= each["responses"].keys()


def test_filters_by_metadata_are_described_where_they_are_taken():
    told = description(ENDPOINTS, "1", "")
    for each in ENDPOINTS:
        said = told["paths"][each.path][each.method.lower()]["parameters"]
        found = [one for one in said if one["name"] == "metadata"]
        assert len(found) == each.filters
        for one in found:
            assert (one["style"], one["explode"]) == ("form", True)
            assert one["schema"]["propertyNames"] == {"pattern": r"^meta\..+$"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the generated client
async def test_a_client_is_generated_and_used(client: Client, tmp_path: Path, monkeypatch):
    app = duly_web.application(client, access=duly_web.Tokens(USERS))
    async with served(client) as http:
        (tmp_path / "openapi.json").write_text((await http.get("/openapi.json")).text)
    done = await asyncio.to_thread(
        subprocess.run,
        [*GENERATOR, "--path", str(tmp_path / "openapi.json"), "--output-path", str(tmp_path / "made")],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr, done.stdout + done.stderr
    monkeypatch.syspath_prepend(str(tmp_path))
    made = importlib.import_module("made")
    messages = "made.api.messages"
    schedule, read, cancel, listed = (
        importlib.import_module(f"{messages}.{name}")
        for name in ("post_messages", "get_messages_one", "delete_messages_one", "get_messages")
    )
    models = importlib.import_module("made.models")
    async with listening(app) as url:
        http = made.AuthenticatedClient(base_url=f"{url}/v1", token=ALL)
        body = models.NewMessage(event_name="mail.send", id="a", delay="10m", payload={"n": 1})
        stored = await schedule.asyncio(client=http, body=body)
        assert (stored.id, stored.phase) == ("a", "scheduled")
        assert (await read.asyncio("a", client=http)).why.code == "scheduled"
        page = await listed.asyncio(client=http, event_name="mail.*", limit=10)
        assert [each.id for each in page.items] == ["a"]
        assert (await cancel.asyncio("a", client=http)).outcome == "cancelled"
        problem = await read.asyncio("a", client=http)
        assert problem.code == "MessageNotFound"
        await http.get_async_httpx_client().aclose()


async def test_no_input_is_a_mistake_of_ours_and_each_answer_fits(client: Client, tmp_path: Path):
    await client.schedule(Message("a", b"1", id="x", scheduled_at=after(hours=1)))
    await client.schedule(Message("b", id="tick", recurrence=Every(after(hours=1) - after())))
    await bury(client, {"d": "Rejected: no"}, name="a", kind="Rejected")
    app = duly_web.application(client, access=duly_web.Tokens(USERS))
    async with listening(app) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "schemathesis.cli", "run", f"{url}/v1/openapi.json",
            "--header", f"Authorization: Bearer {ALL}",
            "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,"
            "response_schema_conformance,response_headers_conformance",
            "--phases", "fuzzing", "--max-examples", "8", "--max-time", "12", "--seed", "7", "--no-color",
            "--exclude-path", "/changes", "--exclude-path", "/messages/{ref}/history",  # 501 is meant
            "--no-shrink", "--warnings", "off",
            "--generation-database", "none",
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    text = said.decode()
    assert process.returncode == 0, text
    assert f"Selected: {len(ENDPOINTS) - 2}/{len(ENDPOINTS)}" in text, text
