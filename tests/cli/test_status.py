"""``duly status``: the sentence, what helps, and an exit code for alarms."""

from tests.cli.kit import Shell, ago, bury

from duly import Message, after


async def test_nothing_yet(shell: Shell) -> None:
    async with shell.client() as client:
        await client.stats()
    result = shell.ok("status")
    assert result.out.startswith("Nothing is scheduled yet.")
    assert "duly schedule" in result.out


async def test_nobody_delivers(shell: Shell) -> None:
    async with shell.client() as client:
        await client.schedule(Message("a", scheduled_at=ago(120)))
    result = shell("status")
    assert result.code == 5
    assert result.out.startswith("Nobody delivers: no scheduler is alive, what is due waits")
    assert "duly run" in result.out


async def test_for_programs(shell: Shell) -> None:
    async with shell.client() as client:
        await client.schedule(Message("a", scheduled_at=after(hours=1)))
        await bury(client, {"x": "no 1", "y": "no 2"}, name="orders.export", kind="Rejected")
    result = shell("status", "--json")
    assert result.code == 5
    record = result.record
    assert record["code"] == "nobody"
    assert [each["code"] for each in record["findings"]] == ["nobody", "dead"]
    assert record["stats"]["dead"] == 2
    assert record["findings"][1]["text"] == (
        "2 new dead letters of one cause: orders.export, Rejected: no ..."
    )


def test_a_store_that_is_away(on_sqlite: Shell) -> None:
    away = Shell("redis://u:geheim@127.0.0.1:1/0", on_sqlite.folder)
    result = away("status")
    assert result.code == 4
    assert "The store does not answer" in result.out
    assert "geheim" not in result.out + result.err


def test_no_store_is_said(on_sqlite: Shell) -> None:
    result = Shell(None, on_sqlite.folder)("status")
    assert result.code == 2
    assert result.err.startswith("duly: say which store: --store URL")


def test_a_file_that_is_not_there_is_not_made(on_sqlite: Shell) -> None:
    result = on_sqlite("status")
    assert result.code == 3
    assert "there is no such file" in result.err
    assert not list(on_sqlite.folder.glob("*.db*"))
