import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import duly
from duly import Backoff, Bury, Discard, Failure, Retry
from duly.message import with_changes

AT = datetime(2030, 1, 1, tzinfo=UTC)
CENTURY = timedelta(days=36525)
MESSAGE = duly.Message("orders.reminder", scheduled_at=AT)


def failure(error: Exception | None = None, *, retries: int = 0, lapses: int = 0) -> Failure:
    message = with_changes(MESSAGE, retry_count=retries)
    return Failure(
        message=message, error=error, attempt=retries + lapses + 1, lapses=lapses, now=AT
    )


class TestVerdicts:
    @pytest.mark.parametrize("after", [timedelta(0), timedelta(microseconds=1), CENTURY])
    def test_a_retry_takes_any_time_up_to_a_century(self, after):
        assert Retry(after).after == Retry(after=after).after == after

    def test_a_retry_is_at_once_unless_told(self):
        assert Retry().after == timedelta(0)

    @pytest.mark.parametrize(
        "after", [5, 5.0, None, "5", -timedelta(microseconds=1), CENTURY * 2, timedelta.max]
    )
    def test_anything_else_is_refused(self, after):
        with pytest.raises(duly.InvalidArgument, match="after must be"):
            Retry(after)

    def test_a_reason_is_text(self):
        assert Bury("because").reason == "because"
        assert Bury(ValueError("because")).reason == "because"

    def test_verdicts_are_told_apart(self):
        assert Retry() != Discard()
        assert Discard() == Discard()
        assert Bury("a") != Bury("b")


class TestBackoffArguments:
    def test_the_defaults(self):
        assert Backoff() == Backoff(
            initial=timedelta(seconds=1), multiplier=2.0, maximum=timedelta(hours=1), jitter=0.1,
            max_retries=20, max_lapses=3,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            ({"initial": 1}, "initial must be a timedelta"),
            ({"initial": timedelta(milliseconds=9)}, "initial must be at least 0:00:00.01"),
            ({"initial": timedelta.max}, "initial must be at most"),
            ({"maximum": 60}, "maximum must be a timedelta"),
            ({"maximum": timedelta(0)}, "maximum must be at least 0:00:00.01"),
            ({"maximum": timedelta.max}, "maximum must be at most"),
            ({"multiplier": 0.99}, "multiplier must be a number from 1"),
            ({"multiplier": -2}, "multiplier must be a number from 1"),
            ({"multiplier": float("nan")}, "multiplier must be a number from 1"),
            ({"multiplier": float("inf")}, "multiplier must be a number from 1"),
            ({"multiplier": True}, "multiplier must be a number from 1"),
            ({"multiplier": "2"}, "multiplier must be a number from 1"),
            ({"multiplier": None}, "multiplier must be a number from 1"),
            ({"jitter": -0.1}, "jitter must be a number from 0 to 1"),
            ({"jitter": 1.1}, "jitter must be a number from 0 to 1"),
            ({"jitter": float("nan")}, "jitter must be a number from 0 to 1"),
            ({"jitter": False}, "jitter must be a number from 0 to 1"),
            ({"jitter": None}, "jitter must be a number from 0 to 1"),
            ({"max_retries": -1}, "max_retries must be a whole number from 0"),
            ({"max_retries": 1.0}, "max_retries must be a whole number from 0"),
            ({"max_retries": True}, "max_retries must be a whole number from 0"),
            ({"max_lapses": None}, "max_lapses must be a whole number from 0"),
            ({"max_lapses": -1}, "max_lapses must be a whole number from 0"),
            ({"max_lapses": "3"}, "max_lapses must be a whole number from 0"),
        ],
        ids=str,
    )
    def test_every_argument_is_checked(self, arguments, complaint):
        with pytest.raises(duly.InvalidArgument, match=complaint):
            Backoff(**arguments)


class TestBackoff:
    def test_the_delay_doubles_up_to_the_maximum(self):
        policy = Backoff(jitter=0)
        delays = [
            policy(failure(ValueError(), retries=retries)).after.total_seconds()
            for retries in range(14)
        ]
        assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]

    def test_the_defaults_give_up_after_about_nine_hours(self):
        policy, waited = Backoff(jitter=0), timedelta(0)
        retries = 0
        while isinstance(verdict := policy(failure(ValueError("no"), retries=retries)), Retry):
            waited += verdict.after
            retries += 1
        assert retries == 20  # 21 attempts
        assert verdict == Bury("ValueError: no")
        assert timedelta(hours=9) < waited < timedelta(hours=10)

    def test_jitter_spreads_either_way(self):
        delays = [Backoff(jitter=0.5).delay(0) for _ in range(500)]
        assert timedelta(seconds=0.5) <= min(delays) < timedelta(seconds=0.7)
        assert timedelta(seconds=1.3) < max(delays) <= timedelta(seconds=1.5)

    def test_it_never_gives_up_without_max_retries(self):
        policy = Backoff(max_retries=None, jitter=0)
        assert policy(failure(ValueError(), retries=10**6)) == Retry(timedelta(hours=1))

    def test_no_retries_means_one_attempt(self):
        assert isinstance(Backoff(max_retries=0)(failure(ValueError())), Bury)

    @pytest.mark.parametrize("jitter", [0, 1])
    def test_it_is_never_sooner_than_ten_milliseconds(self, jitter):
        policy = Backoff(initial=timedelta(milliseconds=10), jitter=jitter)
        assert all(
            policy(failure(ValueError())).after >= timedelta(milliseconds=10) for _ in range(200)
        )

    def test_the_receiver_may_ask_for_more_time_but_not_for_less(self):
        policy = Backoff(jitter=0)
        assert policy(failure(duly.TransportError("", timedelta(minutes=5)))) == Retry(
            timedelta(minutes=5)
        )
        assert policy(failure(duly.TransportError("", timedelta(0)))) == Retry(timedelta(seconds=1))

    @pytest.mark.parametrize(
        "asked",
        [
            5,
            "soon",
            -timedelta(days=1),
            timedelta.max,
            timedelta.min,
            pytest.param(object(), id="object"),
        ],
        ids=repr,
    )
    def test_nonsense_that_a_receiver_asked_for_does_no_harm(self, asked):
        verdict = Backoff(jitter=0)(failure(duly.TransportError("", asked)))
        assert timedelta(seconds=1) <= verdict.after <= CENTURY

    @pytest.mark.parametrize("error", [duly.Rejected("never"), duly.Expired("too late")])
    def test_what_can_never_succeed_is_buried_at_once(self, error):
        assert Backoff(max_retries=None)(failure(error)) == Bury(f"{type(error).__name__}: {error}")

    def test_a_lapse_is_retried_at_once_and_counts_only_as_a_suspect(self):
        policy = Backoff()
        verdicts = [policy(failure(lapses=lapses)) for lapses in range(1, 7)]
        assert verdicts[:4] == [Retry()] * 4  # two make a suspect, three more bury it
        assert all(isinstance(verdict, Bury) for verdict in verdicts[4:])
        assert "claimed 5 times" in verdicts[4].reason

    def test_lapses_do_not_count_as_retries(self):
        assert Backoff(max_retries=0)(failure(lapses=1)) == Retry()

    @pytest.mark.parametrize("error", [RuntimeError, SystemExit, asyncio.CancelledError])
    def test_an_error_that_cannot_be_asked_for_a_pause_asks_for_none(self, error):
        class Mute(Exception):
            @property
            def retry_after(self):
                raise error

        verdict = Backoff(jitter=0)(failure(Mute()))
        assert verdict == Retry(timedelta(seconds=1))

    @pytest.mark.parametrize("error", [RuntimeError, SystemExit, asyncio.CancelledError])
    def test_an_error_that_cannot_be_printed_is_buried_by_its_name(self, error):
        class Mute(Exception):
            def __str__(self):
                raise error

        assert Backoff(max_retries=0)(failure(Mute())) == Bury("Mute")

    @given(
        st.builds(
            Backoff,
            initial=st.timedeltas(timedelta(milliseconds=10), CENTURY),
            multiplier=st.floats(1, 1e9, exclude_max=True),
            maximum=st.timedeltas(timedelta(milliseconds=10), CENTURY),
            jitter=st.floats(0, 1),
            max_retries=st.none(),
        ),
        st.integers(0, 2000),
    )
    def test_whatever_it_is_made_of_it_answers(self, policy, retries):
        verdict = policy(failure(ValueError(), retries=retries))
        assert timedelta(milliseconds=10) <= verdict.after <= CENTURY
        assert verdict.after <= policy.maximum * (1 + policy.jitter) + timedelta(milliseconds=10)


class OfSomebodyElse(Exception):
    """An error of a user's own."""

    def __init__(self, retry_after: object) -> None:
        self.retry_after = retry_after


class Raises(Exception):
    def __init__(self, error: BaseException) -> None:
        self.error = error

    @property
    def retry_after(self) -> timedelta:
        raise self.error


class Panic(BaseException):
    """What native code may raise."""


class TestRetryAfter:
    BACKOFF = Backoff(initial=timedelta(seconds=1), jitter=0)

    @pytest.mark.parametrize("kind", [OfSomebodyElse, lambda asked: duly.TransportError("", asked)])
    @pytest.mark.parametrize(
        ("asked", "after"),
        [
            (timedelta(seconds=7), timedelta(seconds=7)),
            (7, timedelta(seconds=7)),
            (7.25, timedelta(seconds=7.25)),
            (1e300, CENTURY), (10**400, CENTURY), (float("inf"), CENTURY), (timedelta.max, CENTURY),
        ],
        ids=str,
    )  # fmt: skip
    def test_seconds_are_as_good_as_a_timedelta(self, kind, asked, after):
        assert self.BACKOFF(failure(kind(asked))) == Retry(after)

    @pytest.mark.parametrize(
        "asked",
        [
            None, 0, -5, -1e300, float("nan"), float("-inf"), True, "7", b"7", [7], pytest.param(object(), id="an object"), 0.5,
            timedelta(0), -timedelta(days=1),
        ],
        ids=str,
    )  # fmt: skip
    def test_what_asks_for_nothing_more_changes_nothing(self, asked):
        assert self.BACKOFF(failure(OfSomebodyElse(asked))) == Retry(timedelta(seconds=1))

    @pytest.mark.parametrize(
        "error",
        [AttributeError(), ValueError("x"), asyncio.CancelledError(), Panic(), SystemExit()],
        ids=repr,
    )
    def test_one_that_cannot_be_read_is_none(self, error):
        assert self.BACKOFF(failure(Raises(error))) == Retry(timedelta(seconds=1))

    def test_who_interrupts_is_heard(self):
        with pytest.raises(KeyboardInterrupt):
            self.BACKOFF(failure(Raises(KeyboardInterrupt())))
