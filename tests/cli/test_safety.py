"""What keeps a person from doing it to the wrong store, or from believing what is not so."""

import subprocess

import pytest
from tests.cli.kit import COMMAND, Shell, bury
from tests.cli.terminal import interrupted_at

from duly import Message, after, sync


async def filled(shell: Shell) -> None:
    async with shell.client() as client:
        await client.schedule_many(
            [Message("orders.paid", id=f"a{n}", scheduled_at=after(hours=1)) for n in range(3)]
        )
        await bury(client, {"x": "no 1", "y": "no 2"}, name="orders.export", kind="Rejected")


async def test_what_is_offered_names_the_store(on_sqlite: Shell) -> None:
    await filled(on_sqlite)
    elsewhere = Shell(None, on_sqlite.folder)
    elsewhere.ok("context", "add", "live", "--store", str(on_sqlite.url))
    out = elsewhere("status", "--context", "live").out
    assert "  duly dead --context live\n" in out
    assert f"of live ({on_sqlite.url})" in out
    assert "duly dead replay --cause y --context live --rate 50" in (
        elsewhere.ok("dead", "--context", "live").out
    )
    assert (
        f"duly dead --store {on_sqlite.url}"
        in elsewhere("status", "--store", str(on_sqlite.url)).out
    )


async def test_a_context_and_a_store_together_are_refused(on_sqlite: Shell) -> None:
    on_sqlite.ok("context", "add", "live", "--store", "redis://localhost")
    result = on_sqlite("status", "--context", "live", "--store", str(on_sqlite.url))
    assert result.code == 2
    assert "--context names a store" in result.err


async def test_production_is_asked_however_its_url_was_said(on_sqlite: Shell) -> None:
    await filled(on_sqlite)
    on_sqlite.ok("context", "add", "live", "--store", str(on_sqlite.url), "--production")
    for words in (("cancel", "a0"), ("cancel", "a0", "--store", str(on_sqlite.url))):
        result = on_sqlite(*words)
        assert result.code == 2
        assert "say --yes if that is meant" in result.err
    async with on_sqlite.client() as client:
        assert (await client.stats()).scheduled == 3


@pytest.mark.parametrize("verb", ["pause", "resume", "limit"])
async def test_what_a_shell_made_of_a_pattern_is_no_name(on_sqlite: Shell, verb: str) -> None:
    await filled(on_sqlite)
    result = on_sqlite(verb, "orders.db", *(["--rate", "1"] if verb == "limit" else []))
    assert result.code == 2
    assert "quote a pattern, as in 'orders.*'" in result.err
    assert not on_sqlite.ok("controls", "--json").out


@pytest.mark.parametrize("words", [("list",), ("list", "--json")])
def test_who_reads_no_more_is_no_fault(on_sqlite: Shell, words: tuple[str, ...]) -> None:
    with sync.Client(str(on_sqlite.url)) as client:
        client.schedule_many(
            [Message("orders.paid", scheduled_at=after(hours=1)) for _ in range(3000)]
        )
    with subprocess.Popen(
        [*COMMAND, *words, "--limit", "3000"],
        cwd=on_sqlite.folder, env=on_sqlite.environment(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


async def test_ctrl_c_at_a_question_is_no(on_sqlite: Shell) -> None:
    await filled(on_sqlite)
    result = interrupted_at(on_sqlite, "dead", "purge", "--all", question="[y/N]")
    assert result.code == 3, result
    assert "nothing was done" in result.out
    async with on_sqlite.client() as client:
        assert (await client.stats()).dead == 2


def test_an_app_that_cannot_be_made_is_told_of(on_sqlite: Shell) -> None:
    (on_sqlite.folder / "shop.py").write_text("import os\nos.environ['NOT_THERE']\n")
    result = on_sqlite("run", "--app", "shop:scheduler")
    assert result.code == 2
    assert "--app shop:scheduler cannot be made: KeyError: 'NOT_THERE'" in result.err


def test_where_options_stand_and_what_a_prefix_is(on_sqlite: Shell) -> None:
    result = on_sqlite("--store", "redis://localhost", "status")
    assert result.code == 2
    assert "options stand behind the command" in result.err
    with sync.Client(str(on_sqlite.url)) as client:
        client.stats()
    result = on_sqlite("list", "--event", "mail*")
    assert result.code == 2
    assert "'mail*' is no prefix: one ends in .*" in result.err
