"""``duly watch``: how things stand, again and again."""

import signal
import subprocess

from tests.cli.kit import COMMAND, PATIENCE, Shell, ago, heeding

from duly import Message, after


async def test_for_programs(shell: Shell) -> None:
    async with shell.client() as client:
        await client.schedule(Message("mail", scheduled_at=ago(120)))
        await client.schedule(Message("well", scheduled_at=after(hours=1)))
    records = shell.ok("watch", "--every", "100ms", "--count", "2", "--json").records
    assert [each["code"] for each in records] == ["nobody", "nobody"]
    assert records[0]["stats"]["scheduled"] == 2
    assert [(each["event_name"], each["is"]) for each in records[0]["names"]] == [("mail", "late")]
    assert records[0]["as_of"] < records[1]["as_of"]


async def test_a_line_each_time(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await client.schedule(Message("well", scheduled_at=after(hours=1)))
    lines = on_sqlite.ok("watch", "--every", "100ms", "--count", "2").out.splitlines()
    assert len(lines) == 2
    assert "Nobody delivers" in lines[0]
    assert "scheduled 1" in lines[0]
    shown = on_sqlite.ok("watch", "--event", "w.*", "--count", "1", "--json").record
    assert not shown["names"]
    shown = on_sqlite.ok("watch", "--event", "well", "--count", "1", "--json").record
    assert [each["event_name"] for each in shown["names"]] == ["well"]


async def test_an_interrupt_ends_it(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await client.stats()
    with subprocess.Popen(  # noqa: ASYNC220  # nothing else runs in this loop
        [*COMMAND, "watch", "--every", "1h"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=on_sqlite.environment(),
        preexec_fn=heeding,  # noqa: PLW1509  # it only sets two signals
    ) as process:
        assert process.stdout is not None
        assert "Nothing is scheduled yet." in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (0, "", "")


def test_a_store_that_is_away_is_told_of(on_sqlite: Shell) -> None:
    away = Shell("redis://127.0.0.1:1/0", on_sqlite.folder)
    assert "The store does not answer" in away.ok("watch", "--count", "1").out


async def test_bad_input(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await client.stats()
    result = on_sqlite("watch", "--every", "0s")
    assert (result.code, result.out) == (2, "")
    assert "give at least 100ms" in result.err
