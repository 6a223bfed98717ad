"""``duly migrate``: the store is brought up to date, and a dry run leaves nothing behind."""

import sqlite3

from tests.cli.kit import Shell
from tests.servers.postgres import execute


async def left_behind(shell: Shell) -> object:
    """What there is of the store."""
    assert shell.url is not None
    if shell.url.startswith("sqlite"):
        return sorted(each.name for each in shell.folder.glob("*.db*"))
    async with shell.client() as client:
        return await client.migrate(dry_run=True)


async def test_on_each_store(shell: Shell) -> None:
    before = await left_behind(shell)
    tried = shell.ok("migrate", "--dry-run", "--json").record
    assert tried["dry_run"] is True
    assert tried["statements"]
    assert "would be run:" in shell.ok("migrate", "--dry-run").out
    assert await left_behind(shell) == before
    done = shell.ok("migrate", "--json").record
    assert len(done["statements"]) >= 1
    again = shell.ok("migrate", "--json").record
    assert again["statements"] == []
    assert "is up to date: nothing to do." in shell.ok("migrate").out
    shell.ok("schedule", "a", "--in", "1h")


def test_statements_alone(on_sqlite: Shell) -> None:
    result = on_sqlite.ok("migrate", "--sql")
    assert not list(on_sqlite.folder.glob("*.db*"))
    assert result.out.rstrip().endswith(";")
    with sqlite3.connect(on_sqlite.folder / "orders.db", isolation_level=None) as db:
        db.executescript(result.out)
    db.close()
    assert on_sqlite.ok("migrate", "--sql").out == ""
    assert on_sqlite("migrate", "--sql", "--json").code == 2


async def test_statements_for_postgres(postgres_url: str) -> None:
    assert execute is not None
