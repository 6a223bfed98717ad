"""``duly migrate``: the store is brought up to date, and a dry run leaves nothing behind."""

import secrets
import sqlite3
from pathlib import Path

from tests.cli.kit import Shell
from tests.servers.postgres import execute

from duly import Client


async def lacking(shell: Shell) -> object:
    """What the store lacks, and the files that there are; nothing is opened for it."""
    assert shell.url is not None
    client = Client(shell.url)
    found = await client.migrate(dry_run=True)
    await client.close()
    return found, sorted(each.name for each in shell.folder.glob("*.db*"))


async def test_on_each_store(shell: Shell) -> None:
    before = await lacking(shell)
    tried = shell.ok("migrate", "--dry-run", "--json").record
    assert tried["dry_run"] is True
    assert tried["statements"]
    assert "would be run:" in shell.ok("migrate", "--dry-run").out
    assert await lacking(shell) == before
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
    name = f"sql_{secrets.token_hex(4)}"
    shell = Shell(f"{postgres_url}?schema={name}", Path.cwd())
    await execute(postgres_url, f"CREATE SCHEMA {name}")
    try:
        result = shell.ok("migrate", "--sql")
        await execute(postgres_url, result.out)
        assert shell.ok("migrate", "--sql").out == ""
    finally:
        await execute(postgres_url, f"DROP SCHEMA {name} CASCADE")
