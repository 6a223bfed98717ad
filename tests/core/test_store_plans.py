"""What a put and a settle come to: the functions that stores ask."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duly.errors import DuplicateMessage
from duly.message import Message, State, with_changes
from duly.moment import FIRST, LAST, to_microseconds
from duly.record import given_at, occurrence, to_record, with_next_id
from duly.recurrence import Every
from duly.store import (
    Bury,
    Counters,
    Group,
    Key,
    Release,
    Reschedule,
    Settle,
    Settlement,
    as_stored,
    buried_keys,
    plan_put,
    plan_settle,
    put_back,
)
from duly.testing.clock import START

SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)


@attrs.frozen
class Row:
    """What a store found under an id."""

    state: State
    created_at: int | None
    given_at: int | None = None


def message(id: str = "a", created_at: datetime = START, *, series: bool = False) -> Message:
    return Message(
        "orders",
        scheduled_at=START,
        id=id,
        created_at=created_at,
        recurrence=Every(SECOND) if series else None,
    )


def stored(message: Message, state: State = State.SCHEDULED) -> Row:
    record = to_record(message)
    return Row(state, record.created_at, record.given_at)


class TestPut:
    def test_what_is_new_is_inserted_as_it_is(self):
        a, b = message("a"), message("b")
        plan = plan_put([Group([a]), Group([b], replace=True)], {})
        assert plan.outcomes == [None, None]
        assert plan.inserts[0] is a
        assert plan.inserts[1] is b
        assert plan.replaced == {}

    @pytest.mark.parametrize("state", State)
    def test_a_taken_id_refuses_its_whole_group_and_no_other(self, state):
        found = {"b": stored(message("b", START - SECOND), state)}
        groups = [Group([message("a"), message("b")]), Group([message("c")])]
        refusal, fine = plan_put(groups, found).outcomes
        assert isinstance(refusal, DuplicateMessage)
        assert "'b'" in str(refusal)
        assert fine is None
        assert [each.id for each in plan_put(groups, found).inserts] == ["c"]

    @pytest.mark.parametrize("state", State)
    def test_a_repeat_counts_as_stored_and_the_rest_of_its_group_is(self, state):
        plan = plan_put([Group([message("a"), message("b")])], {"a": stored(message("a"), state)})
        assert plan.outcomes == [None]
        assert [each.id for each in plan.inserts] == ["b"]
        assert plan.replaced == {}

    @pytest.mark.parametrize(
        ("state", "makes_way"),
        [(State.SCHEDULED, False), (State.CLAIMED, False), (State.DEAD, True)],
    )
    def test_a_replace_repeated_replaces_a_dead_letter_alone(self, state, makes_way):
        plan = plan_put([Group([message()], replace=True)], {"a": stored(message(), state)})
        assert plan.outcomes == [None]
        assert [*plan.replaced] == (["a"] if makes_way else [])
        assert len(plan.inserts) == makes_way

    def test_what_was_renamed_is_repeated_by_the_creation_that_was_given(self):
        row = Row(State.SCHEDULED, to_microseconds(START + SECOND), to_microseconds(START))
        assert plan_put([Group([message()])], {"a": row}).outcomes == [None]
        assert plan_put([Group([message()], replace=True)], {"a": row}).inserts == []
        (refusal,) = plan_put([Group([message(created_at=START + SECOND)])], {"a": row}).outcomes
        assert isinstance(refusal, DuplicateMessage)

    @pytest.mark.parametrize("ahead", [timedelta(0), MICROSECOND, SECOND])
    def test_what_replaces_something_no_older_gets_a_new_delivery_id(self, ahead):
        old = with_changes(message(created_at=START + ahead), state=State.DEAD)
        row = stored(old, State.DEAD)
        (new,) = plan_put([Group([message()], replace=True)], {"a": row}).inserts
        assert new.created_at == old.created_at + MICROSECOND
        assert new.delivery_id != old.delivery_id
        assert given_at(new) == to_microseconds(START)

    def test_what_replaces_something_older_stays_as_it_is(self):
        new = message()
        row = stored(message(created_at=START - MICROSECOND))
        assert plan_put([Group([new], replace=True)], {"a": row}).inserts[0] is new

    def test_what_is_claimed_and_replaced_is_withdrawn(self):
        rows = {state.value: stored(message(state.value, START - SECOND), state) for state in State}
        plan = plan_put([Group([message(id) for id in rows], replace=True)], rows)
        assert plan.replaced == rows
        assert plan.withdrawn == [rows["claimed"]]

    @pytest.mark.parametrize("moment", [None, FIRST - 1, LAST + 1, "yesterday", 1.5])
    def test_of_what_is_damaged_the_creation_may_be_anything(self, moment):
        row = Row(State.DEAD, moment)
        new = message()
        assert plan_put([Group([new], replace=True)], {"a": row}).inserts[0] is new
        assert plan_put([Group([new])], {"a": row}).outcomes[0] is not None

    def test_counters_start_anew_and_all_else_stays(self):
        used = with_changes(
            occurrence(message(series=True), "it failed"),
            retry_count=2,
            occurrence_count=3,
            next_attempt_at=START + SECOND,
            trace_context={"traceparent": "00-1-2-01"},
        )
        (new,) = plan_put([Group([used])], {}).inserts
        assert new.state is State.SCHEDULED
        assert (new.retry_count, new.occurrence_count, new.last_error) == (0, 0, None)
        assert new.next_attempt_at == START + SECOND
        assert new.trace_context == used.trace_context
        assert new.delivery_id == used.delivery_id

    @pytest.mark.parametrize(
        "change",
        [
            {"state": State.CLAIMED},
            {"retry_count": 1},
            {"occurrence_count": 1},
            {"last_error": "it failed"},
        ],
    )
    def test_each_counter_is_seen(self, change):
        assert as_stored(with_changes(message(), **change)) == message()

    @given(
        groups=st.lists(st.tuples(st.lists(st.integers(0, 3), max_size=3), st.booleans())),
        rows=st.dictionaries(
            st.integers(0, 9),
            st.tuples(st.sampled_from(State), st.integers(0, 3), st.none() | st.integers(0, 3)),
        ),
    )
    def test_every_message_is_stored_a_repeat_or_refused_with_its_group(self, groups, rows):
        numbers = iter(range(1000))
        given = [
            Group(
                [message(str(next(numbers)), START + age * MICROSECOND) for age in ages],
                replace=replace,
            )
            for ages, replace in groups
        ]
        start = to_microseconds(START)
        found = {
            str(id): Row(state, start + age, None if first is None else start + first)
            for id, (state, age, first) in rows.items()
        }
        plan = plan_put(given, found)
        inserts = {each.id: each for each in plan.inserts}
        assert len(inserts) == len(plan.inserts)
        assert len(plan.outcomes) == len(given)
        for group, outcome in zip(given, plan.outcomes, strict=True):
            for each in group.messages:
                row = found.get(each.id)
                if outcome is not None:
                    assert not group.replace
                    assert each.id not in inserts
                elif row is None or each.id in plan.replaced:
                    assert given_at(inserts[each.id]) == given_at(each)
                else:
                    assert each.id not in inserts
                    assert given_at(each) == (row.given_at or row.created_at)
        for id, row in plan.replaced.items():
            assert to_microseconds(inserts[id].created_at) > (row.created_at or 0)


ERROR = "it failed"
NEXT = Reschedule(START + SECOND, Counters(START + SECOND, occurrence_count=1))
AGAIN = Reschedule(START + SECOND, Counters(START, retry_count=1, last_error=ERROR))


def settle(only: list[Key] | None = None, **exceptions: Settlement) -> Settle:
    return Settle("token", dict(exceptions.items()), only)


class TestSettle:
    def test_all_of_a_batch_was_delivered(self):
        plan = plan_settle(settle(), {"a", "b"})
        assert {*plan.deleted} == {*plan.left} == {"a", "b"}
        assert plan.ends

    def test_each_settlement_has_its_place(self):
        lease = settle(b=Release(START), c=AGAIN, d=Bury("why"))
        plan = plan_settle(lease, dict.fromkeys("abcd"), {"d": message("d")})
        assert plan.deleted == ["a"]
        assert plan.released == {"b": START}
        assert plan.rescheduled == {"c": AGAIN}
        assert plan.buried == {"d": Bury("why")}
        assert plan.occurrences == {}
        assert plan.left == [*"abcd"]
        assert plan.ends

    def test_only_those_named_leave_the_lease_once_and_it_goes_on(self):
        plan = plan_settle(settle(["b", "c", "b", "z"], c=AGAIN), dict.fromkeys("abc"))
        assert plan.deleted == ["b"]
        assert plan.rescheduled == {"c": AGAIN}
        assert plan.left == ["b", "c"]
        assert not plan.ends

    def test_what_is_not_in_the_lease_is_ignored(self):
        lease = settle(b=AGAIN, c=Release(START), d=Bury("why"))
        assert buried_keys(lease, {"a"}) == []
        plan = plan_settle(lease, {"a"}, {"d": message("d")})
        assert plan.left == plan.deleted == ["a"]
        assert not plan.released
        assert not plan.rescheduled
        assert not plan.buried

    def test_nothing_is_named_and_nothing_leaves(self):
        plan = plan_settle(settle([]), {"a"})
        assert plan.left == plan.deleted == []
        assert not plan.ends

    @pytest.mark.parametrize(("following", "deleted"), [(None, ["a"]), (NEXT, [])])
    def test_an_occurrence_is_buried_and_its_series_goes_on_or_ends(self, following, deleted):
        series = with_changes(message(series=True), state=State.CLAIMED)
        plan = plan_settle(settle(a=Bury("why", following)), {"a"}, {"a": series})
        (letter,) = plan.occurrences.values()
        assert letter == occurrence(series, "why")
        assert letter.state is State.DEAD
        assert letter.id == letter.delivery_id == series.delivery_id
        assert plan.buried == {}
        assert plan.deleted == deleted
        assert plan.rescheduled == ({} if following is None else {"a": following})

    def test_the_messages_of_what_is_buried_are_asked_for(self):
        lease = settle(a=Bury("why"), b=AGAIN, c=Bury("why"))
        assert buried_keys(lease, dict.fromkeys("ab")) == ["a"]

    def test_what_cannot_be_read_is_buried_as_it_is(self):
        plan = plan_settle(settle(a=Bury("why", NEXT)), {"a"}, {"a": None})
        assert plan.buried == {"a": Bury("why", NEXT)}
        assert not plan.rescheduled

    def test_of_what_is_gone_the_key_leaves_the_lease(self):
        plan = plan_settle(settle(a=Bury("why", NEXT)), {"a"})
        assert plan.left == ["a"]
        assert not plan.buried
        assert not plan.deleted
        assert not plan.rescheduled
        assert not plan.occurrences

    def test_what_is_put_back_has_the_counters_it_was_given(self):
        claimed = with_changes(message(series=True), state=State.CLAIMED, retry_count=3)
        back = put_back(claimed, NEXT)
        assert back.state is State.SCHEDULED
        assert back.scheduled_at == back.next_attempt_at == START + SECOND
        assert (back.retry_count, back.occurrence_count, back.last_error) == (0, 1, None)
        again = put_back(claimed, AGAIN)
        assert (again.scheduled_at, again.next_attempt_at) == (START, START + SECOND)
        assert (again.retry_count, again.last_error) == (1, ERROR)

    @given(
        held=st.sets(st.integers(0, 9)),
        exceptions=st.dictionaries(
            st.integers(0, 9),
            st.sampled_from([Release(START), AGAIN, Bury("why"), Bury("why", NEXT)]),
        ),
        only=st.none() | st.lists(st.integers(0, 9)),
        kinds=st.lists(st.sampled_from(["series", "single", "unreadable", "gone"]), min_size=10),
    )
    def test_every_key_that_leaves_has_one_place(self, held, exceptions, only, kinds):
        lease = Settle("token", exceptions, only)
        messages: Mapping[Key, Message | None] = {
            key: None if kinds[key] == "unreadable" else message(series=kinds[key] == "series")
            for key in range(10)
            if kinds[key] != "gone"
        }
        asked = buried_keys(lease, held)
        given = {key: each for key, each in messages.items() if key in asked}
        plan = plan_settle(lease, held, given)
        assert {*plan.left} == (held if only is None else held & {*only})
        assert plan.ends is (only is None)
        places = [*plan.deleted, *plan.released, *plan.rescheduled, *plan.buried]
        assert len(places) == len({*places})
        gone = {
            key
            for key in plan.left
            if isinstance(exceptions.get(key), Bury) and kinds[key] == "gone"
        }
        assert {*places} == {*plan.left} - gone
        assert plan.occurrences.keys() == {
            key
            for key in plan.left
            if isinstance(exceptions.get(key), Bury) and kinds[key] == "series"
        }


def test_the_next_id_has_a_plus_more_and_the_delivery_id_stays():
    letter = occurrence(message(series=True), "why")
    other = with_next_id(with_next_id(letter))
    assert other.id == f"{letter.id}++"
    assert other.delivery_id == letter.delivery_id


def test_no_moment_is_later_than_the_last():
    last = datetime.max.replace(tzinfo=UTC)
    row = stored(message(created_at=last), State.DEAD)
    (new,) = plan_put([Group([message()], replace=True)], {"a": row}).inserts
    assert new.created_at == START
