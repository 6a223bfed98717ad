"""``duly next``: when an expression fires, with no store at all."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.cli.kit import Shell

from duly import Cron, Every
from duly.words import in_words

BERLIN = ("--tz", "Europe/Berlin")


@pytest.fixture
def nowhere(tmp_path: Path) -> Shell:
    return Shell(None, tmp_path)


def test_for_people(nowhere: Shell) -> None:
    out = nowhere.ok("next", "30 2 * * *", *BERLIN, "-n", "3", "--from", "2026-10-24T12:00Z").out
    assert out.splitlines() == [
        "every day at 02:30 (30 2 * * *), Europe/Berlin",
        "  Sun 2026-10-25 02:30:00 CEST +02:00   2026-10-25 00:30:00 UTC",
        "    clocks go back here: 02:30 comes twice, it fires once",
        "  Mon 2026-10-26 02:30:00 CET +01:00   2026-10-26 01:30:00 UTC",
        "  Tue 2026-10-27 02:30:00 CET +01:00   2026-10-27 01:30:00 UTC",
    ]


def test_for_programs(nowhere: Shell) -> None:
    first, second = nowhere.ok(
        "next", "30 2 * * *", *BERLIN, "-n", "2", "--from", "2026-03-28T12:00Z", "--json"
    ).records
    assert first["at"] == "2026-03-29T01:00:00.000000Z"
    assert first["local"] == "2026-03-29T03:00:00+02:00"
    assert first["notes"] == ["clocks go forward here: 02:30 does not come, it fires at 03:00"]
    assert first["in_words"] == "every day at 02:30"
    assert first["recurrence"]["timezone"] == first["timezone"] == "Europe/Berlin"
    assert second["notes"] == []


@pytest.mark.parametrize(
    ("expression", "start", "note"),
    [
        ("*/30 * * * *", "2026-10-24T23:40Z", "clocks go back here: 02:00 comes twice, it fires twice"),
        ("*/30 * * * *", "2026-03-29T00:10Z", "forward here: 02:00 does not come, it is left out"),
        ("15 10 * * *", "2026-10-24T12:00Z", "clocks go back in between, from 03:00 to 02:00"),
        ("every 6h", "2026-10-24T18:00Z", "clocks go back in between, from 03:00 to 02:00"),
    ],
)  # fmt: skip
def test_clocks_that_are_put(nowhere: Shell, expression: str, start: str, note: str) -> None:
    assert note in nowhere.ok("next", expression, *BERLIN, "--from", start).out


def test_an_interval(nowhere: Shell) -> None:
    out = nowhere.ok("next", "every 15m", "-n", "2", "--from", "2026-01-01T00:00Z").out
    assert out.splitlines() == [
        "every 15 minutes, counted from 2026-01-01 00:00:00 UTC",
        "  Thu 2026-01-01 00:15:00 UTC +00:00",
        "  Thu 2026-01-01 00:30:00 UTC +00:00",
    ]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("61 * * * *",), "minute '61': a number from 0 to 59 is expected"),
        (("every soon",), "'soon' is no length of time"),
        (("every 0s",), "interval must be"),
        (("0 0 30 2 *",), "no such day ever comes"),
        (("@daily", "--tz", "Nowhere"), "there is no time zone 'Nowhere'"),
    ],
)
def test_bad_input(nowhere: Shell, words: tuple[str, ...], text: str) -> None:
    result = nowhere("next", *words)
    assert (result.code, result.out) == (2, "")
    assert text in result.err
    assert result.err.count("\n") == 1


def test_the_end_of_time(nowhere: Shell) -> None:
    result = nowhere("next", "@daily", "--from", "9999-12-31T12:00Z", *BERLIN)
    assert (result.code, result.out) == (3, "")
    assert "never fires after" in result.err


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
        ("*/7 * * * *", "by the expression */7 * * * *"),
        ("@hourly", "every hour, on the hour"),
        ("5 * * * *", "every hour at 5 past"),
        ("0 */6 * * *", "every 6 hours from 00:00"),
        ("15 */2 * * *", "every 2 hours from 00:15"),
        ("@daily", "every day at 00:00"),
        ("0 8,20 * * *", "every day at 08:00 and 20:00"),
        ("0 9-17 * * mon-fri", "every hour from 09:00 to 17:00, Monday to Friday"),
        ("*/10 9-17 * * *", "every 10 minutes from 09:00 to 17:50"),
        ("* 2 * * *", "every minute from 02:00 to 02:59"),
        ("0 9 * * 1-5", "Monday to Friday at 09:00"),
        ("0 9 * * 1,4", "every Monday and Thursday at 09:00"),
        ("0 9 * * 6-7", "Saturday to Sunday at 09:00"),
        ("0 9 * * 5#2", "on the second Friday of the month at 09:00"),
        ("0 9 * * 5L", "on the last Friday of the month at 09:00"),
        ("@weekly", "every Sunday at 00:00"),
        ("@monthly", "on the 1st of every month at 00:00"),
        ("0 0 2,3,11,22 * *", "on the 2nd, 3rd, 11th and 22nd of every month at 00:00"),
        ("0 0 L * *", "on the last day of every month at 00:00"),
        ("0 0 1-7 * *", "from the 1st to the 7th of every month at 00:00"),
        ("@yearly", "on the 1st of January at 00:00"),
        ("0 9 * 1,7 1", "every Monday in January and July at 09:00"),
        ("0 9 * 6-8 *", "every day in June to August at 09:00"),
        ("0 0 13 * 5", "on the 13th of every month and every Friday at 00:00"),
        ("*/10 * * * * *", "every 10 seconds"),
        ("5 30 2 * * *", "every day at 02:30:05"),
        ("1-10 3 * * *", "by the expression 1-10 3 * * *"),
        ("0 0 */2 * *", "by the expression 0 0 */2 * *"),
    ],
)
def test_expressions_in_words(expression: str, words: str) -> None:
    assert in_words(Cron(expression)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.25, "every 250 milliseconds"),
        (1, "every second"),
        (1.5, "every 1.5 seconds"),
        (5400, "every 90 minutes"),
        (86_403, "every 1 day and 3 seconds"),
        (604_800, "every week"),
    ],
)
def test_intervals_in_words(seconds: float, words: str) -> None:
    assert in_words(Every(timedelta(seconds=seconds))) == words
