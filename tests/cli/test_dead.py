"""``duly dead``: what messages died of, alike ones as one; and the dead letters."""

from tests.cli.kit import Shell, bury

COLUMNS = {f"export-{n}": f"Rejected: unknown column 'c{n}'" for n in range(3)}


async def test_causes_for_programs(shell: Shell) -> None:
    async with shell.client() as client:
        await bury(client, COLUMNS, name="orders.export", kind="Rejected")
        await bury(client, {"mail-1": "refused: port 25"}, name="mail.send", kind="OSError")
    first, second = shell.ok("dead", "--json").records
    assert (first["number"], first["event_names"]) == (3, ["orders.export"])
    assert (first["error_class"], first["text"]) == ("Rejected", "Rejected: unknown column ...")
    assert first["example"] in COLUMNS
    assert first["first"] <= first["last"]
    assert first["filter"] == {
        "state": "dead",
        "error": "Rejected: unknown column *",
        "error_class": "Rejected",
    }
    assert second["example"] == "mail-1"
    listed = shell.ok("dead", "list", "--error", first["filter"]["error"], "--json").records
    assert {each["id"] for each in listed} == {*COLUMNS}
    assert {each["phase"] for each in listed} == {"dead"}
    assert not any("payload" in each for each in listed)


async def test_causes_for_people(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await bury(client, COLUMNS, name="orders.export", kind="Rejected")
    out = on_sqlite.ok("dead", "--event", "orders.*").out
    assert out.startswith("3 dead letters of orders.export: Rejected: unknown column ...\n")
    assert "duly dead list --event 'orders.*' --error 'Rejected: unknown column *'" in out
    assert on_sqlite.ok("dead", "--event", "mail.*").out == "none\n"


async def test_no_dead_letters(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await client.stats()
    assert on_sqlite.ok("dead").out == "There are no dead letters.\n"


async def test_the_newest_come_first(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await bury(client, {"old": "no"}, name="a", kind="E")
        await bury(client, {"new": "no"}, name="a", kind="E")
    listed = on_sqlite.ok("dead", "list", "--json").records
    assert [each["id"] for each in listed] == ["new", "old"]
    one = on_sqlite.ok("dead", "list", "--limit", "1", "--payload", "--json")
    assert [(each["id"], each["payload"]) for each in one.records] == [("new", "{}")]
    assert one.err == "The newest 1: there may be more, see --limit.\n"


async def test_what_a_terminal_would_obey_is_not_shown(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await bury(client, {"a": "no \x1b[2J\x07 more"}, name="a", kind="E")
    assert "\x1b" not in on_sqlite.ok("dead", "list").out


async def test_options_stand_behind_the_verb(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await client.stats()
    result = on_sqlite("dead", "--event", "a", "list")
    assert result.code == 2
    assert "write --event behind the verb: duly dead VERB --event" in result.err
    assert not result.out


async def test_bad_input(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await client.stats()
    result = on_sqlite("dead", "--died-after", "yesterday")
    assert (result.code, result.out) == (2, "")
    assert "'yesterday' is no moment" in result.err
