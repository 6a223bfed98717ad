"""What is planned for a series that is ensured, where no store is needed to see it."""

from datetime import timedelta

import pytest
from tests.core.engine_kit import at

from duly import Ensured, Every, Message, State
from duly.message import with_changes
from duly.store import (
    Bury,
    Counters,
    End,
    Reschedule,
    Settle,
    SettlePlan,
    Successor,
    ensured,
    plan_settle,
)

HOUR = timedelta(hours=1)
OLD = Every(HOUR, anchor=at(0))
NEW = Every(1.5 * HOUR, anchor=at(0))


def series(payload: bytes = b"one", rule: Every = OLD) -> Message:
    return Message("tick", payload, id="s", recurrence=rule)


def standing(hours: float) -> Message:
    """A series that waits for its fire so many hours after the start."""
    moment = at(hours * 3600)
    return with_changes(series(), scheduled_at=moment, next_attempt_at=moment)


def following(hours: float) -> Successor:
    """What follows after one hour, with its first fire after so many."""
    return Successor(
        cut=at(3600), at=at(hours * 3600), event_name="tick", payload=b"two", metadata={},
        recurrence=NEW,
    )  # fmt: skip


class TestSettledByTheVersionBefore:
    """It knew nothing of what follows: the series waits for a fire of the old rule."""

    @pytest.mark.parametrize("first", [1.5, 3], ids=str)
    @pytest.mark.parametrize("payload", [b"two", b"three"], ids=str)
    @pytest.mark.parametrize("rule", [NEW, Every(0.7 * HOUR, anchor=at(0))], ids=["same", "other"])
    def test_it_leaves_the_place_of_the_old_fire(
        self, first: float, payload: bytes, rule: Every
    ) -> None:
        plan = ensured(standing(2), following(first), series(payload, rule), at(1.6 * 3600))
        assert plan.stored is not None
        assert plan.moves
        assert plan.stored.scheduled_at == plan.stored.next_attempt_at != at(2 * 3600)
        assert plan.stored.state is State.SCHEDULED
        due = first == 1.5  # what follows is due itself, so that it keeps its rule
        assert plan.stored.recurrence == (NEW if due else rule)
        assert (plan.successor is not None) == (due and rule != NEW)

    def test_it_is_gone_if_what_is_wanted_has_ended(self) -> None:
        ended = Every(HOUR, anchor=at(0), until=at(3600))
        plan = ensured(standing(2), following(3), series(rule=ended), at(1.6 * 3600))
        assert (plan.outcome, plan.removes, plan.stored) == (Ensured.ENDED, True, None)


def test_what_was_set_aside_meanwhile_only_leaves_its_lease() -> None:
    told = Reschedule(at(7200), Counters(at(7200), occurrence_count=1))
    for settlement in (told, End(1), Bury("x", told)):
        settle = Settle("token", {1: settlement})
        plan = plan_settle(settle, [1], {}, now=at(3600), successors={1: following(3)})
        assert plan == SettlePlan(deleted=[], left=[1], ends=True)
