"""``duly health``: a word, a reason and an exit code."""

from tests.cli.kit import Shell, ago

from duly import Message, after


async def test_for_programs(shell: Shell) -> None:
    async with shell.client() as client:
        await client.schedule(Message("a", scheduled_at=after(hours=1)))
    record = shell.ok("health", "--json").record
    assert record["status"] in ("healthy", "degraded")  # a server of tests need not be safe
    assert record["details"]["scheduled"] == 1


async def test_for_people(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await client.stats()
    lines = on_sqlite.ok("health", "--strict").out.splitlines()
    assert lines[0] == "healthy: all is well"
    assert [each.split() for each in lines[1:]] == [
        ["scheduled", "0"],
        ["claimed", "0"],
        ["dead", "0"],
        ["aside", "0"],
    ]


async def test_degraded(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await client.schedule(Message("a", scheduled_at=ago(120)))
    said = "nobody delivers: no scheduler is alive, and what is due waits, the oldest for 2 min"
    assert on_sqlite.ok("health").out.splitlines()[0].startswith(f"degraded: {said}")
    assert on_sqlite("status").code == 5
    assert on_sqlite("health", "--strict").code == 5


def test_a_store_that_is_away(on_sqlite: Shell) -> None:
    result = Shell("redis://u:geheim@127.0.0.1:1/0", on_sqlite.folder)("health", "--json")
    assert result.code == 4
    assert result.record["status"] == "unhealthy"
    assert "geheim" not in result.out + result.err


async def test_bad_input(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await client.stats()
    for given in ("soon", "0s"):
        result = on_sqlite("health", "--timeout", given)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith("duly: --timeout: ")
