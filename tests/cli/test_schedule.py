"""``duly schedule``: for a moment, or again and again."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.cli.kit import Result, Shell

from duly import Cron, Every, after, sync


@pytest.fixture
def on_a_file(on_sqlite: Shell) -> Shell:
    """With a file that is there."""
    assert on_sqlite.url is not None
    with sync.Client(on_sqlite.url) as client:
        client.stats()
    return on_sqlite


def test_a_mistyped_path_makes_no_file(tmp_path: Path) -> None:
    shell = Shell(f"sqlite:///{tmp_path}/ordrs.db", tmp_path)
    result = shell("schedule", "mail.send", "--in", "10m")
    assert result.code == 3
    assert "there is no such file: is the path right?" in result.err
    assert not list(tmp_path.glob("*.db"))


def refused(result: Result, text: str) -> None:
    assert result.code == 2, result
    assert text in result.err
    assert result.err.count("\n") == 1
    assert not result.out


async def test_a_message_and_its_payload(shell: Shell) -> None:
    result = shell.ok(
        "schedule", "mail.send", "-", "--in", "10m", "--id", "welcome-1", "--meta", "tenant=acme",
        "--content-type", "text/plain", "--expires", "+1h", typed="Grüße\n",
    )  # fmt: skip
    assert result.out.startswith("welcome-1 is due ")
    async with shell.client() as client:
        message = await client.get("welcome-1")
    assert message.event_name == "mail.send"
    assert message.payload == "Grüße\n".encode()
    assert message.metadata == {"tenant": "acme", "content-type": "text/plain"}
    assert after(minutes=8) < message.scheduled_at < after(minutes=10)
    assert message.expires_at is not None
    again = shell("schedule", "mail.send", "other", "--in", "1h", "--id", "welcome-1")
    assert again.code == 3
    assert "welcome-1" in again.err
    shell.ok("schedule", "mail.send", "other", "--in", "1h", "--id", "welcome-1", "--replace")
    async with shell.client() as client:
        assert (await client.get("welcome-1")).payload == b"other"


async def test_for_programs(on_a_file: Shell) -> None:
    record = on_a_file.ok(
        "schedule", "a", '{"x": 1}', "--at", "2999-01-31T14:00+01:00", "--json"
    ).record
    assert record["scheduled_at"] == "2999-01-31T13:00:00.000000Z"
    assert record["outcome"] == "stored"
    assert record["next"] == []
    async with on_a_file.client() as client:
        assert (await client.get(record["id"])).payload == b'{"x": 1}'


async def test_series(on_a_file: Shell) -> None:
    result = on_a_file.ok(
        "schedule", "report", "--cron", "30 2 * * *", "--tz", "Europe/Berlin", "--id", "nightly",
        "--missed", "skip", "--jitter", "5m", "--until", "2999-01-01T00:00Z",
    )  # fmt: skip
    assert "02:30:00 CE" in result.out
    result = on_a_file.ok("schedule", "ping", "--every", "15m", "--max", "2", "--id", "twice")
    (line,) = (line for line in result.out.splitlines() if line.startswith("Then: "))
    assert line.count(":00 UTC") <= 1
    assert not line.endswith("...")
    async with on_a_file.client() as client:
        nightly, twice = await client.get("nightly"), await client.get("twice")
    assert isinstance(nightly.recurrence, Cron)
    assert nightly.recurrence.timezone == "Europe/Berlin"
    assert nightly.recurrence.missed == "skip"
    assert nightly.recurrence.jitter == timedelta(minutes=5)
    assert nightly.recurrence.until is not None
    assert twice.recurrence == Every(timedelta(minutes=15), max_occurrences=2)


async def test_ensuring(on_a_file: Shell) -> None:
    words = ("schedule", "ping", "--id", "p", "--ensure", "--json", "--every")
    outcomes = [on_a_file.ok(*words, each).record["outcome"] for each in ("1h", "1h", "2h")]
    assert outcomes == ["stored", "same", "changed"]
    async with on_a_file.client() as client:
        assert (await client.get("p")).recurrence == Every(timedelta(hours=2))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "say when, by one of --in 10m, --at MOMENT, --cron 'EXPR' and --every 15m"),
        (("--in", "1m", "--at", "2999-01-01T00:00Z"), "say when, by one of"),
        (("--at", "2026-02-30T00:00Z"), "is no moment: write"),
        (("--in", "1m", "--until", "+1h"), "--until is for a series: say --cron or --every"),
        (("--every", "1m", "--ensure"), "--ensure needs the --id of the series"),
        (("--in", "1m", "--expires", "+10s"), "expires_at must be later than scheduled_at"),
        (("--in", "1m", "--store", "memory://"), "memory:// lives and dies with its process"),
    ],
)
def test_what_cannot_be(on_sqlite: Shell, words: tuple[str, ...], text: str) -> None:
    refused(on_sqlite("schedule", "a", "x", *words), text)
    assert not list(on_sqlite.folder.glob("*.db*")), "nothing was opened"


async def test_a_payload_that_is_too_large(on_a_file: Shell) -> None:
    result = on_a_file("schedule", "a", "-", "--in", "1m", typed="x" * (1024 * 1024 + 1))
    refused(result, "max_payload is 1048576")
    async with on_a_file.client() as client:
        assert (await client.stats()).scheduled == 0
