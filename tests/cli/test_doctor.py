"""``duly doctor``: real servers with settings that break what is promised; nothing is written."""

import asyncio
import contextlib
import secrets
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from pymongo import MongoClient
from tests.cli.kit import Shell
from tests.servers.postgres import PostgresServer, execute
from tests.servers.redis import RedisServer


def migrated(shell: Shell) -> None:
    """Begin its namespace, as a scheduler does."""

    async def begin() -> None:
        async with shell.client() as client:
            await client.migrate()
            await client.stats()

    asyncio.run(begin())


def things(shell: Shell, *words: str) -> dict[str, dict[str, object]]:
    """What it tells programs, by the thing."""
    return {each["thing"]: each for each in shell("doctor", "--json", *words).records}


def test_all_is_well(on_sqlite: Shell) -> None:
    migrated(on_sqlite)
    result = on_sqlite.ok("doctor")
    assert result.out.startswith("Nothing that is known breaks the promise: sqlite:///")
    assert on_sqlite.ok("doctor", "--json").out == ""


@pytest.mark.parametrize(
    ("settings", "thing", "advice"),
    [
        (["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru", "--appendonly", "yes"],
         ("maxmemory-policy", "allkeys-lru"), "set it to noeviction"),
        (["--appendonly", "no"], ("appendonly", "no"), "set appendonly to yes"),
    ],
    ids=["eviction", "durability"],
)  # fmt: skip
def test_redis_that_loses_messages(
    tmp_path: Path, settings: Sequence[str], thing: tuple[str, str], advice: str
) -> None:
    with RedisServer(*settings) as server:
        shell = Shell(server.url, tmp_path)
        result = shell("doctor", "--json")
        assert result.code == 5, result
        found = result.record
        assert (found["thing"], found["found"]) == thing
        assert (found["of"], found["breaks"], found["advice"]) == ("store", True, advice)
        assert "Redis" in found["means"]
        for_people = shell("doctor")
        assert for_people.code == 5
        assert advice in for_people.out
        assert server.ask("DBSIZE") == 0  # nothing was written


def test_redis_that_keeps_all(tmp_path: Path) -> None:
    with RedisServer("--appendonly", "yes") as server:
        shell = Shell(server.url, tmp_path)
        shell.ok("doctor")
        assert server.ask("DBSIZE") == 0
        migrated(shell)
        shell.ok("doctor")


def test_redis_without_a_right(tmp_path: Path) -> None:
    with RedisServer("--appendonly", "yes") as server:
        server.ask("ACL", "SETUSER", "poor", "on", ">geheim", "~*", "&*", "+@all", "-zadd")
        url = server.url.replace("//", "//poor:geheim@")
        result = Shell(url, tmp_path)("doctor", "--json")
        assert result.code == 3, result
        assert result.record["found"] == "refuses"
        assert "it lacks +zadd" in result.record["means"]
        assert "geheim" not in result.out + result.err
        assert server.ask("DBSIZE") == 0


def test_redis_that_is_away(tmp_path: Path) -> None:
    result = Shell("redis://u:geheim@127.0.0.1:1/0", tmp_path)("doctor", "--json")
    assert result.code == 4
    assert result.record["found"] == "away"
    assert "geheim" not in result.out + result.err


def test_postgres_that_loses_messages(tmp_path: Path) -> None:
    with PostgresServer("fsync=off", "synchronous_commit=off") as server:
        shell = Shell(server.url, tmp_path)
        result = shell("doctor", "--json")
        assert result.code == 3  # no tables, and none are made
        assert result.record["found"] == "refuses"
        asyncio.run(execute(server.url, "SELECT 1"))
        migrated(shell)
        asyncio.run(execute(server.url, "ALTER TABLE scheduled_messages SET UNLOGGED"))
        found = things(shell)
        assert {*found} >= {"fsync", "synchronous_commit", "table scheduled_messages"}
        assert all(each["breaks"] for each in found.values())
        assert shell("doctor").code == 5


def test_postgres_with_a_missing_index(tmp_path: Path) -> None:
    with PostgresServer() as server:
        shell = Shell(server.url, tmp_path)
        migrated(shell)
        shell.ok("doctor")
        drop = """DO $$ DECLARE one text; BEGIN
            SELECT indexrelid::regclass INTO one FROM pg_index JOIN pg_class ON oid = indrelid
            WHERE relname = 'scheduled_messages' AND NOT indisunique LIMIT 1;
            EXECUTE 'DROP INDEX ' || one; END $$"""
        asyncio.run(execute(server.url, drop))
        found = things(shell)
        assert found["indexes"]["breaks"] is False
        assert found["indexes"]["advice"]
        shell.ok("doctor")  # it is slow, and loses nothing


def test_a_file_is_left_as_it_is(on_sqlite: Shell) -> None:
    migrated(on_sqlite)
    file = on_sqlite.folder / "orders.db"
    with contextlib.closing(sqlite3.connect(file)) as db:
        before = [*db.iterdump()]
    on_sqlite.ok("doctor")
    with contextlib.closing(sqlite3.connect(file)) as db:
        assert [*db.iterdump()] == before


def test_mongo_that_loses_messages(mongo_url: str, tmp_path: Path) -> None:
    name = f"doctor_{secrets.token_hex(4)}"
    with MongoClient[dict[str, object]](mongo_url) as mongo:
        try:
            shell = Shell(f"{mongo_url}/{name}?journal=false", tmp_path)
            migrated(shell)
            place = mongo[name]
            before = {each: [*place[each].find()] for each in place.list_collection_names()}
            found = things(shell)
            assert found["journal"]["breaks"]
            assert shell("doctor").code == 5
            after = {each: [*place[each].find()] for each in place.list_collection_names()}
            assert before == after
        finally:
            mongo.drop_database(name)


def test_a_file_that_is_not_there_is_not_made(on_sqlite: Shell) -> None:
    result = on_sqlite("doctor")
    assert result.code == 3
    assert not list(on_sqlite.folder.glob("*.db*"))


class TestTransport:
    def test_it_is_asked_where_it_is_named(self, on_sqlite: Shell) -> None:
        migrated(on_sqlite)
        with RedisServer() as server:
            transport = f"redis+stream{server.url.removeprefix('redis')}?stream=orders"
            on_sqlite.ok("doctor", "--transport", transport)
            assert server.ask("DBSIZE") == 0

    def test_one_that_is_away(self, on_sqlite: Shell) -> None:
        migrated(on_sqlite)
        away = "redis+stream://u:geheim@127.0.0.1:1/0?stream=orders"
        result = on_sqlite("doctor", "--json", "--transport", away)
        assert result.code == 4, result
        assert result.record["of"] == "transport"
        assert "geheim" not in result.out + result.err

    def test_nonsense(self, on_sqlite: Shell) -> None:
        migrated(on_sqlite)
        result = on_sqlite("doctor", "--transport", "nonsense://")
        assert result.code == 2
        assert "no transport serves nonsense://" in result.err
