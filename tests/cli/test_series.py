"""``duly series``: what recurs, in words, and its next fires."""

from datetime import datetime, timedelta

from tests.cli.kit import Shell, ago

from duly import Cron, Every, Message, after


async def test_for_programs(shell: Shell) -> None:
    async with shell.client() as client:
        nightly = Cron("30 2 * * *", timezone="Europe/Berlin", max_occurrences=100)
        await client.schedule(Message("reports", id="r", recurrence=nightly))
        await client.schedule(Message("once", scheduled_at=after(hours=1)))
    record = shell.ok("series", "--next", "3", "--json").record
    assert (record["id"], record["in_words"]) == ("r", "every day at 02:30")
    assert (record["occurrence_count"], record["late"]) == (0, False)
    assert record["recurrence"]["expression"] == "30 2 * * *"
    assert record["recurrence"]["timezone"] == "Europe/Berlin"
    assert record["recurrence"]["max_occurrences"] == 100
    fires = [datetime.fromisoformat(each) for each in record["next"]]
    assert len(fires) == 3
    assert fires == sorted(fires)
    assert record["next"][0] == record["scheduled_at"]
    assert shell.ok("series", "--next", "3").out.count(" 02:30:00 CE") == 3


async def test_what_is_late_or_paused_is_marked(on_sqlite: Shell) -> None:
    every = Every(timedelta(minutes=20))
    async with on_sqlite.client() as client:
        await client.schedule(Message("late", id="l", scheduled_at=ago(120), recurrence=every))
        await client.schedule(Message("held", id="h", scheduled_at=ago(120), recurrence=every))
        await client.pause("held", by="mara")
    marks = [
        [line.strip() for line in on_sqlite.ok("series", "--id", id).out.splitlines()]
        for id in ("l", "h")
    ]
    assert [each[:2] for each in marks] == [
        ["l  late", "every 20 minutes; no fire yet"],
        ["h  held", "every 20 minutes; no fire yet"],
    ]
    assert marks[0][2].startswith("late by 2 min")
    assert marks[1][2] == "held is paused by mara"
    late, held = (on_sqlite.ok("series", "--id", id, "--json").record for id in ("l", "h"))
    assert (late["late"], held["late"]) == (True, False)


async def test_nothing_and_bounds(on_sqlite: Shell) -> None:
    async with on_sqlite.client() as client:
        await client.schedule(Message("once", scheduled_at=after(hours=1)))
    assert on_sqlite.ok("series").out == "nothing recurs\n"
    async with on_sqlite.client() as client:
        for _ in range(2):
            await client.schedule(Message("tick", recurrence=Every(timedelta(hours=1))))
    assert "Of the first 1 that were looked at" in on_sqlite.ok("series", "--look-at", "1").err
    assert on_sqlite("series", "--next", "0").code == 2
