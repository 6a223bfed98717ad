"""In a context with ``production`` every change is asked for, and names its target."""

from pathlib import Path

import pytest
from tests.cli.kit import Shell, bury
from tests.cli.terminal import at_terminal

from duly import Message, after

CHANGES = [
    ("schedule", "a", "--in", "1h"),
    ("cancel", "one"),
    ("move", "one", "--in", "2h"),
    ("fire", "one"),
    ("replay", "dead"),
    ("dead", "replay", "--all"),
    ("dead", "purge", "--all"),
    ("pause", "a"),
    ("resume", "a"),
    ("limit", "a", "--rate", "5"),
    ("recover", "worker-1"),
]


@pytest.fixture
async def live(tmp_path: Path) -> Shell:
    """With a context in production that is used, and two messages."""
    url = f"sqlite:///{tmp_path}/live.db"
    async with Shell(url, tmp_path).client() as client:
        await client.schedule(Message("a", id="one", scheduled_at=after(hours=1)))
        await bury(client, {"dead": "no"}, name="b", kind="Rejected")
    shell = Shell(None, tmp_path)
    (tmp_path / "contexts.toml").write_text(
        f'current = "live"\n[contexts.live]\nstore = "{url}"\nproduction = true\n'
    )
    return shell


@pytest.mark.parametrize("words", CHANGES, ids=lambda words: " ".join(words[:2]))
async def test_nothing_without_yes(live: Shell, words: tuple[str, ...]) -> None:
    result = live(*words)
    assert result.code == 2
    assert " in live (sqlite:///" in result.err
    assert "Nobody can answer here: say --yes if that is meant" in result.err
    async with Shell(f"sqlite:///{live.folder}/live.db", live.folder).client() as client:
        stats = await client.stats()
        assert (stats.scheduled, stats.dead) == (1, 1)
        assert (await client.get("one")).scheduled_at > after(minutes=30)
        assert not await client.controls()


async def test_with_yes(live: Shell) -> None:
    live.ok("cancel", "one", "--yes")
    live.ok("status", "--store", f"sqlite:///{live.folder}/live.db")


async def test_at_a_terminal(live: Shell) -> None:
    no = at_terminal(live, "move", "one", "--in", "2h", answer="n")
    assert no.code == 3
    assert "in live (sqlite:///" in no.out
    yes = at_terminal(live, "move", "one", "--in", "2h", answer="y")
    assert yes.code == 0
    assert "one is due " in yes.out


async def test_a_dry_run_is_no_change(live: Shell) -> None:
    live.ok("dead", "purge", "--all", "--dry-run")
    live.ok("cancel", "--all", "--dry-run")
    live.ok("migrate", "--dry-run")
