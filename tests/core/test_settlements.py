"""What a store is told of each outcome."""

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import given
from tests.core.engine_kit import MICROSECOND, at, message

from duly import Bury, Cron, Discard, Every, Failure, Message, Retry, TransportError
from duly._engine.settlements import (
    after_missed,
    after_verdict,
    counters_of,
    next_fire,
    without_end,
)
from duly._values.error_text import error_text
from duly.message import with_changes
from duly.recurrence import MOST_COUNTED
from duly.store import Bury as Buried
from duly.store import Counters, End, Release, Reschedule

SECOND = timedelta(seconds=1)
END = datetime.max.replace(tzinfo=UTC)


def series(**more: Any) -> Message:
    return message(recurrence=Every(SECOND * 10, **more))


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class Panicking(Exception):
    def __str__(self) -> str:
        raise SystemExit


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ("as it is", "as it is"),
        (Panicking(), "Panicking"),
        (ValueError("no"), "ValueError: no"),
        (ValueError(), "ValueError: "),
        (TransportError("to amqp://me:secret@host/"), "TransportError: to amqp://me:***@host/"),
        ("a\0b", "a b"),
        ("\ud800", "?"),
        (Unprintable(), "Unprintable"),
        ("x" * 5000, "x" * 1024),
        ("ü" * 1000, "ü" * 512),
        ("x" + "ü" * 1000, "x" + "ü" * 511),
    ],
)
def test_an_error_as_it_may_be_kept(error: Exception | str, text: str) -> None:
    assert error_text(error) == text


@given(st.text())
def test_any_text_becomes_one_that_every_store_takes(text: str) -> None:
    kept = error_text(text)
    assert len(kept.encode()) <= 1024
    assert "\0" not in kept


@pytest.mark.parametrize(
    "secret",
    ["redis://u:{}@h", "redis://{}@h", "nats://u:a@h1,nats://u:{}@h2", "password={}",
     "password='a {}'", 'password="a {}"', '{{"password": "a {}"}}', "http://h/?token={}&a=b"],
)  # fmt: skip
def test_no_part_of_a_secret_shows_where_a_long_text_is_cut(secret: str) -> None:
    text = secret.format("§" * 8)
    for cut in range(len(text) + 1):
        # What comes before is masked, so that the end of what is looked at is shown.
        before = "token=".ljust(16 * 1024 - cut - 1, "x")
        assert "§" not in error_text(f"{before} {text}")
    whole = secret.format("§" * 20_000)
    for url in (whole, f"error: {whole}", f"//u:§ {'§' * 20_000}@h"):
        assert "§" not in error_text(url)


def test_the_next_fire_is_one_interval_on_and_counts() -> None:
    assert next_fire(series()) == Reschedule(at(10), Counters(at(10), 0, 1))
    retried = with_changes(series(), retry_count=3, last_error="x", next_attempt_at=at(99))
    assert next_fire(retried) == Reschedule(at(10), Counters(at(10), 0, 1))


def test_there_is_none_after_the_last() -> None:
    assert next_fire(message()) is None
    assert next_fire(series(max_occurrences=1)) == End(1)
    assert next_fire(series(until=at(10) - MICROSECOND)) == End(1)
    assert isinstance(next_fire(series(until=at(10))), Reschedule)
    last = with_changes(series(max_occurrences=3), occurrence_count=2)
    assert next_fire(last) == End(3)
    assert isinstance(next_fire(with_changes(last, occurrence_count=1)), Reschedule)


def test_a_store_that_knows_no_ends_deletes_what_ends() -> None:
    on = Reschedule(at(10), Counters(at(10)))
    for told in (on, Release(at(1)), Buried("x"), Buried("x", on)):
        assert without_end(told) == told
    assert without_end(End(3)) is None
    assert without_end(Buried("x", End(3), "Rejected")) == Buried("x", None, "Rejected")


def test_there_is_none_beyond_the_end_of_time() -> None:
    assert next_fire(with_changes(series(), scheduled_at=END)) == End(1)


def test_counters_are_as_they_are() -> None:
    retried = with_changes(series(), retry_count=3, occurrence_count=2, last_error="x")
    assert counters_of(retried) == Counters(at(0), 3, 2, "x")


def missed_at(
    series: Message, now: datetime, punctual: timedelta = timedelta(0)
) -> tuple[bool, Reschedule | End | None]:
    """Whether fires are dropped, and how the series goes on then."""
    found = after_missed(series, now, punctual)
    return (False, None) if found is None else (True, found[1])


def test_what_is_no_series_is_never_missed() -> None:
    assert missed_at(message(), END) == (False, None)


@pytest.mark.parametrize("late", [0, 59.999999, 60])
def test_within_its_grace_nothing_is_missed(late: float) -> None:
    assert missed_at(series(missed="skip"), at(late)) == (False, None)
    assert missed_at(series(missed="once"), at(late)) == (False, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"next_attempt_at": at(70)},
        {"next_attempt_at": at(0) + MICROSECOND},
        {"retry_count": 1},
    ],
)
def test_what_was_claimed_before_is_never_missed(changes: dict[str, Any]) -> None:
    assert missed_at(with_changes(series(missed="skip"), **changes), at(1000)) == (False, None)


@pytest.mark.parametrize(
    ("missed", "late", "expected"),
    [
        ("all", 1000, (False, None)),
        # One is missed: it is delivered, or the next one is waited for.
        ("once", 65, (False, None)),
        ("skip", 65, (True, Reschedule(at(65), Counters(at(10), 0, 5)))),
        # The latest missed is due at once, and so is what is within the grace.
        ("once", 80, (True, Reschedule(at(80), Counters(at(10), 0, 5)))),
        ("skip", 80, (True, Reschedule(at(80), Counters(at(20), 0, 5)))),
        ("once", 80.000001, (True, Reschedule(at(80) + MICROSECOND, Counters(at(20), 0, 5)))),
        ("skip", 80.000001, (True, Reschedule(at(80) + MICROSECOND, Counters(at(30), 0, 5)))),
    ],
)
def test_missed_fires(missed: Any, late: float, expected: Any) -> None:
    waiting = with_changes(series(missed=missed), occurrence_count=5)
    assert missed_at(waiting, at(late)) == expected


def test_a_series_whose_last_fires_were_missed() -> None:
    ended = series(missed="skip", until=at(35))
    assert missed_at(ended, at(1000)) == (True, End(0))
    ended = series(missed="once", until=at(35))
    assert missed_at(ended, at(1000)) == (True, Reschedule(at(1000), Counters(at(30))))


@given(
    missed=st.sampled_from(["once", "skip"]),
    interval=st.integers(1, 1000),
    grace=st.integers(0, 2000),
    late=st.integers(0, 100_000),
    cron=st.booleans(),
)
def test_what_is_skipped_is_missed_and_what_is_kept_is_not(
    missed: Any, interval: int, grace: int, late: int, cron: bool
) -> None:
    """Against the plain list of fires."""
    shared: dict[str, Any] = {"missed": missed, "grace": SECOND * grace}
    step = interval * SECOND
    if cron:
        step = 60 * SECOND
        start = message(recurrence=Cron("* * * * *", **shared))
    else:
        start = message(recurrence=Every(step, **shared))
    moment = at(late)
    fires = [at(0) + step * number for number in range(int(late / step.total_seconds()) + 2)]
    gone = [fire for fire in fires if moment - fire > SECOND * grace]
    kept = [fire for fire in fires if moment - fire <= SECOND * grace]
    was_missed, settlement = missed_at(start, moment)
    # What a claim takes counts as grace, however little of that there is.
    patient: Any = {**shared, "grace": timedelta(0)}
    assert start.recurrence is not None
    impatient = message(recurrence=attrs.evolve(start.recurrence, **patient))
    found = after_missed(impatient, moment, SECOND * grace)
    assert (found is not None, found and found[1]) == (was_missed, settlement)
    if not gone or (missed == "once" and len(gone) == 1):
        assert (was_missed, settlement) == (False, None)
    else:
        assert was_missed
        assert found is not None
        told, dropped = found[0], gone if missed == "skip" else gone[:-1]
        assert (told.message, told.first, told.last) == (impatient, dropped[0], dropped[-1])
        assert told.count == (min(len(dropped), MOST_COUNTED) if cron else len(dropped))
        assert told.following == (gone[-1] if missed == "once" else kept[0])
        expected = gone[-1] if missed == "once" else kept[0]
        assert isinstance(settlement, Reschedule)
        assert settlement.counters.scheduled_at == expected
        # Once moved there it is never found missed again, unless that is yet to come.
        moved = with_changes(
            start, scheduled_at=expected, next_attempt_at=settlement.next_attempt_at
        )
        later = SECOND * 1000 if expected <= moment else timedelta(0)
        assert missed_at(moved, moment + later) == (False, None)


def failure(of: Message, error: Exception | None = None) -> Failure:
    return Failure(message=of, error=error, attempt=1, lapses=0, now=at(100))


def test_a_retry_is_counted_and_remembers_why() -> None:
    tried = with_changes(series(), retry_count=2, occurrence_count=7, last_error="before")
    verdict = Retry(SECOND)
    assert after_verdict(failure(tried, ValueError("no")), verdict) == Reschedule(
        at(101), Counters(at(0), 3, 7, "ValueError: no")
    )
    assert after_verdict(failure(tried), verdict) == Reschedule(
        at(101), Counters(at(0), 3, 7, "before")
    )


def test_a_retry_beyond_the_end_of_time_is_at_its_end() -> None:
    late = Failure(message=message(), error=None, attempt=1, lapses=0, now=END - SECOND)
    settlement = after_verdict(late, Retry(SECOND * 2))
    assert isinstance(settlement, Reschedule)
    assert settlement.next_attempt_at == END


def test_a_buried_occurrence_does_not_end_its_series() -> None:
    assert after_verdict(failure(message()), Bury("x")) == Buried("x", None)
    assert after_verdict(failure(series()), Bury("x" * 2000)) == Buried(
        "x" * 1024, Reschedule(at(10), Counters(at(10), 0, 1))
    )
    ended = after_verdict(failure(series(max_occurrences=1)), Bury("x"))
    assert ended == Buried("x", End(1))


def test_a_discarded_occurrence_does_not_end_its_series() -> None:
    assert after_verdict(failure(message()), Discard()) is None
    assert after_verdict(failure(series()), Discard()) == Reschedule(at(10), Counters(at(10), 0, 1))
    assert after_verdict(failure(series(max_occurrences=1)), Discard()) == End(1)
