"""``duly upcoming``: what will fire, in order, and how much of it."""

from datetime import timedelta

from tests.cli.kit import Shell

from duly import Cron, Every, Message, after


async def test_fires_in_order_for_programs(shell: Shell) -> None:
    async with shell.client() as client:
        await client.schedule(Message("ticks", id="t", recurrence=Every(timedelta(minutes=25))))
        await client.schedule(Message("mail.send", id="m", scheduled_at=after(minutes=30)))
        await client.schedule(Message("mail.send", scheduled_at=after(hours=2)))
        await client.pause("mail.*", by="mara", reason="INC-81")
    records = shell.ok("upcoming", "--json").records
    assert [(each["id"], each["kind"]) for each in records] == [
        ("t", "series"),
        ("m", "once"),
        ("t", "series"),
    ]
    assert records[0]["in_words"] == "every 25 minutes"
    assert [each["held_by"] for each in records] == [None, "mail.*", None]
    assert "mail.* is paused by mara (INC-81)" in shell.ok("upcoming").out


async def test_filter_and_limit(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await client.schedule(Message("ticks", id="t", recurrence=Every(timedelta(minutes=10))))
        await client.schedule(Message("mail.send", id="m", scheduled_at=after(minutes=30)))
    result = on_sqlite.ok("upcoming", "--event", "ticks", "--limit", "2", "--json")
    assert [each["id"] for each in result.records] == ["t", "t"]
    assert result.err == "The first 2: there may be more, see --limit.\n"
    nothing = on_sqlite.ok("upcoming", "--event", "other").out
    assert nothing.startswith("nothing from 2")


async def test_clocks_that_are_put_are_told_between(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        nightly = Cron("30 2 * * *", timezone="Europe/Berlin")
        await client.schedule(Message("reports", id="r", recurrence=nightly))
    days = ("upcoming", "--from", "2199-03-30T12:00Z", "--until", "2199-04-01T12:00Z")
    records = on_sqlite.ok(*days, "--json").records
    assert [each["kind"] for each in records] == ["clocks", "series", "series"]
    assert records[0]["timezone"] == "Europe/Berlin"
    assert (records[0]["offset_before_seconds"], records[0]["offset_after_seconds"]) == (3600, 7200)
    assert records[0]["at"] == records[1]["at"] == "2199-03-31T01:00:00.000000Z"
    out = on_sqlite.ok(*days).out
    assert "(clocks go forward)" in out
    assert "from 02:00 to 03:00" in out


async def test_times_of_day_are_the_next(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await client.schedule(Message("ticks", recurrence=Cron("*/30 * * * *")))
    told = on_sqlite.ok("upcoming", "--from", "23:30", "--until", "00:30", "--tz", "UTC", "--json")
    assert [each["at"][11:16] for each in told.records] == ["23:30", "00:00", "00:30"]


async def test_counts(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await client.schedule(Message("mail", scheduled_at=after(minutes=-5)))
        await client.schedule(Message("mail", scheduled_at=after(minutes=50)))
        await client.schedule(Message("ticks", recurrence=Every(timedelta(minutes=25))))
    overdue, first, second = on_sqlite.ok("upcoming", "--counts", "2", "--json").records
    assert (overdue["overdue"], overdue["once"], overdue["from"]) == (True, 1, None)
    assert (first["once"], first["series"], first["total"]) == (0, 1, 1)
    assert (second["once"], second["series"], second["total"]) == (1, 1, 2)
    assert first["until"] == second["from"]
    assert "overdue" in on_sqlite.ok("upcoming", "--counts", "2").out


async def test_bad_input(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await client.stats()
    for words, text in (
        (("--until", "now-1h"), "is past, or not after --from"),
        (("--from", "02:00"), "has no time zone"),
        (("--counts", "2", "--event", "a"), "leave --from and --event out"),
    ):
        result = on_sqlite("upcoming", *words)
        assert (result.code, result.out) == (2, "")
        assert text in result.err
