"""Lengths of time: what is described is what is taken."""

import re
from datetime import timedelta

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from duly_web.messages_in import CronIn, EveryIn, NewMessage
from duly_web.problems import Problem
from duly_web.times import DURATION, as_duration

TAKEN = {
    "10m": 600, "90s": 90, "1h30m": 5400, "1h 30m": 5400, "1.5h": 5400, "250ms": 0.25, "2d": 172_800,
    "2W": 1_209_600, "PT10M": 600, "PT1H30M": 5400, "P1DT2H": 93_600, "P1W": 604_800, "P2D": 172_800,
    "PT0.5S": 0.5, "pt1h": 3600, "P1W2DT3H4M5.5S": 788_645.5, "0s": 0,
}  # fmt: skip


@pytest.mark.parametrize("text", TAKEN)
def test_what_people_write_fits(text):
    assert as_duration(text, "/delay") == timedelta(seconds=TAKEN[text])
    assert re.search(DURATION, text)


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "10", "m", "10 x", "PT1H30", "-1h", "1h,2m"]
)
def test_what_is_none_does_not(text):
    with pytest.raises(Problem, match="no length of time"):
        as_duration(text, "/delay")
    assert not re.search(DURATION, text)


@hypothesis.given(st.from_regex(re.compile(DURATION, re.ASCII), fullmatch=True))
def test_all_that_fits_is_taken(text):
    hypothesis.assume(len(text) <= 64)
    assert refusal(text) in (None, f"{text!r} is over a century")


def refusal(text: str) -> str | None:
    """What is said against it."""
    try:
        as_duration(text, "/delay")
    except Problem as problem:
        return problem.detail
    return None


def test_both_kinds_of_recurrence_take_the_same_bounds():
    bounds = {
        "until", "max_occurrences", "missed", "grace", "grace_seconds", "jitter", "jitter_seconds",
    }  # fmt: skip
    assert bounds <= {*CronIn.__struct_fields__} & {*EveryIn.__struct_fields__}
    _, known = msgspec.json.schema_components([NewMessage], ref_template="{name}")
    for name in ("CronIn", "EveryIn"):
        told = known[name]
        assert bounds | {"type"} <= told["properties"].keys()
        assert told["additionalProperties"] is False
    assert known["CronIn"]["required"] == ["type", "expression"]
