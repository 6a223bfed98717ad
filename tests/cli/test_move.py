"""``duly move``: a message that waits is due at another moment."""

from tests.cli.kit import Shell, bury

from duly import Message, after


async def test_to_a_moment_and_by_a_while(shell: Shell) -> None:
    async with shell.client() as client:
        await client.schedule(Message("a", id="one", scheduled_at=after(hours=1)))
        await bury(client, {"dead": "no"}, name="b", kind="Rejected")
    result = shell.ok("move", "one", "--at", "2999-01-01 12:00", "--tz", "Europe/Berlin")
    assert result.out.startswith("one is due 2999-01-01 12:00:00 CET; it was due ")
    async with shell.client() as client:
        assert (await client.get("one")).scheduled_at.isoformat() == "2999-01-01T11:00:00+00:00"
    shell.ok("move", "one", "--in", "1h30m")
    async with shell.client() as client:
        assert after(minutes=88) < (await client.get("one")).scheduled_at < after(minutes=90)
    assert shell("move", "nowhere", "--in", "1h").code == 3
    assert shell("move", "dead", "--in", "1h").code == 3


async def test_for_programs(on_sqlite: Shell) -> None:
    at = after(hours=1)
    async with on_sqlite.client() as client:
        await client.schedule(Message("a", id="one", scheduled_at=at))
    record = on_sqlite.ok("move", "one", "--at", "2999-01-01T00:00Z", "--json").record
    assert record == {
        "id": "one",
        "scheduled_at": "2999-01-01T00:00:00.000000Z",
        "before": f"{at:%Y-%m-%dT%H:%M:%S.%fZ}",
    }


async def test_what_cannot_be(on_sqlite: Shell) -> None:
    at = after(hours=1)
    async with on_sqlite.client() as client:
        await client.schedule(Message("a", id="one", scheduled_at=at, expires_at=after(hours=2)))
    for words in (
        (),
        ("--at", "2999-01-01T00:00Z", "--in", "1h"),
        ("--in", "soon"),
        ("--at", "2027-03-28 02:30", "--tz", "Europe/Berlin"),
        ("--at", "10:00", "--tz", "Nowhere/Land"),
        ("--in", "3h"),  # it has expired by then
    ):
        result = on_sqlite("move", "one", *words)
        assert result.code == 2, words
        assert result.err.count("\n") == 1
    async with on_sqlite.client() as client:
        assert (await client.get("one")).scheduled_at == at
