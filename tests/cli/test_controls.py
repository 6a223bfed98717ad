"""``duly pause``, ``duly resume`` and ``duly limit``."""

from tests.cli.kit import Shell, ago

from duly import Message, after


async def test_pausing_and_resuming(shell: Shell) -> None:
    async with shell.client() as client:
        due = [Message("orders.paid", scheduled_at=ago(60)) for _ in range(3)]
        later = Message("orders.sent", scheduled_at=after(hours=1))
        await client.schedule_many([*due, later, Message("other", scheduled_at=ago(60))])
    result = shell.ok("pause", "orders.*", "--for", "1h", "--reason", "INV-204", "--by", "jonas")
    now, before, holds = result.out.splitlines()
    assert now.startswith("orders.* is paused until ")
    assert now.endswith(" by jonas (INV-204).")
    assert before == "Before: orders.* is neither paused nor limited."
    assert holds == "It holds 3 messages due and 1 for later."
    async with shell.client() as client:
        pause = (await client.controls())["orders.*"].pause
    assert pause is not None
    assert (pause.by, pause.reason) == ("jonas", "INV-204")
    assert pause.until is not None
    wider = shell("resume", "orders.paid")
    assert wider.code == 3
    assert "resume that one" in wider.err
    result = shell.ok("resume", "orders.*")
    assert "It held 3 messages due and 1 for later." in result.out
    again = shell("resume", "orders.*")
    assert again.code == 3
    assert "orders.* is not paused: nothing was done" in again.err
    async with shell.client() as client:
        assert not await client.controls()


async def test_limiting(shell: Shell) -> None:
    shell.ok("migrate")
    result = shell.ok("limit", "mail.send", "--rate", "0.5", "--in-flight", "2", DULY_BY="mara")
    assert result.out.startswith("mail.send is limited to 0.5 a second and 2 at once by mara.\n")
    result = shell.ok("limit", "mail.send", "--off")
    assert "Before: mail.send is limited to 0.5 a second" in result.out
    async with shell.client() as client:
        assert not await client.controls()


async def test_for_programs(on_sqlite: Shell) -> None:
    on_sqlite.ok("migrate")
    record = on_sqlite.ok("limit", "a", "--rate", "5", "--by", "mara", "--json").record
    assert record["control"]["limit"]["rate"] == 5
    assert record["control"]["limit"]["by"] == "mara"
    assert record["before"] == {"pause": None, "limit": None}
    record = on_sqlite.ok("pause", "a", "--until", "2999-01-01T00:00Z", "--json").record
    assert record["control"]["pause"]["until"] == "2999-01-01T00:00:00.000000Z"
    assert record["holds"] == {"due": 0, "later": 0, "at_least": False}
    record = on_sqlite.ok("resume", "a", "--json").record
    assert record["was_paused"] is True
    assert record["control"]["pause"] is None


async def test_what_cannot_be(on_sqlite: Shell) -> None:
    on_sqlite.ok("migrate")
    for words in (
        ("pause", "a", "--for", "1h", "--until", "2999-01-01T00:00Z"),
        ("pause", "a", "--until", "2020-01-01T00:00Z"),
        ("pause", "a*"),
        ("limit", "a"),
        ("limit", "a", "--off", "--rate", "5"),
        ("limit", "a", "--rate", "0"),
    ):
        result = on_sqlite(*words)
        assert result.code == 2, words
        assert result.err.count("\n") == 1
    async with on_sqlite.client() as client:
        assert not await client.controls()
