import copy
import json
import pickle
import sqlite3
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import duly
from duly.message import MOMENTS, UNREADABLE, with_changes
from duly.record import (
    FORMAT,
    NewerRecord,
    Record,
    UnreadableRecord,
    from_record,
    occurrence,
    to_record,
    unreadable,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RECORDED = {name: Record._fields.index(name) for name in MOMENTS}  # their places in a record
AT = datetime(2030, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
shared = {
    "max_occurrences": st.none() | st.integers(1, 10**9),
    "missed": st.sampled_from(["once", "all", "skip"]),
    "grace": st.timedeltas(timedelta(0), timedelta(days=400)),
}
recurrences = st.builds(
    duly.Every, st.timedeltas(timedelta(milliseconds=1), timedelta(days=10**6)),
    until=st.none() | st.just(datetime.max.replace(tzinfo=UTC)), **shared,
) | st.builds(
    duly.Cron, st.sampled_from(["* * * * *", "*/5 0 12 * * MON-FRI", "0 0 L * *"]),
    timezone=st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]), **shared,
)  # fmt: skip


@st.composite
def messages(draw):
    recurrence = draw(st.none() | recurrences)
    made = duly.Message(
        draw(texts.filter(lambda name: name not in (UNREADABLE, "*") and not name.endswith(".*"))),
        draw(st.binary()),
        id=draw(texts),
        scheduled_at=draw(
            st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
        ),
        created_at=draw(moments),
        metadata=draw(
            st.dictionaries(
                texts, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
            )
        ),
        recurrence=recurrence,
    )
    return with_changes(
        made,
        expires_at=None if recurrence else draw(st.none() | moments),  # whatever a store holds
        next_attempt_at=draw(st.just(made.scheduled_at) | moments),
        retry_count=draw(st.integers(0, 10**6)),
        occurrence_count=draw(st.integers(0, 10**6)),
        last_error=draw(st.none() | texts),
        state=draw(st.sampled_from(duly.State)),
        trace_context=MappingProxyType(draw(st.dictionaries(texts, texts, max_size=2))),
        _delivery_id=draw(st.none() | texts),
        _given_at=draw(st.none() | moments),
        postpone_count=draw(st.integers(0, 100)),
        died_at=draw(st.none() | moments),
        error_class=draw(st.none() | texts),
        _put_back=draw(st.booleans()),
    )


def record(**changes):
    message = duly.Message("orders.reminder", b"{}", id="a", scheduled_at=AT, created_at=AT)
    return to_record(message)._replace(**changes)


@given(messages())
def test_a_message_comes_back_as_it_went(message):
    back = from_record(to_record(message), message.state)
    assert back == message
    assert back.died_at == message.died_at


@given(messages())
def test_a_record_holds_nothing_that_a_database_cannot_keep(message):
    kept = to_record(message)
    assert {type(field) for field in kept} <= {int, str, bytes, type(None)}
    with sqlite3.connect(":memory:") as database:
        (row,) = database.execute(f"SELECT {', '.join('?' * len(kept))}", kept)
    database.close()
    assert from_record(row, message.state) == message


def loaded(**changes) -> duly.Message:
    message = duly.Message("a", id="x", scheduled_at=AT, created_at=AT - timedelta(hours=1))
    return from_record(to_record(with_changes(message, **changes)), duly.State.SCHEDULED)


def test_moments_that_nobody_asked_for_yet_are_there_all_the_same():
    message = duly.Message("a", id="x", scheduled_at=AT, created_at=AT - timedelta(hours=1))
    assert loaded() == message
    assert repr(loaded()) == repr(message)
    assert loaded().delivery_id == message.delivery_id
    assert to_record(loaded()) == to_record(message)
    assert copy.copy(loaded()) == copy.deepcopy(loaded()) == message
    assert pickle.loads(pickle.dumps(loaded())) == message
    assert attrs.asdict(loaded()) == attrs.asdict(message)


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("name", MOMENTS)
def test_a_moment_that_is_changed_is_changed_whether_or_not_it_was_asked_for(name, asked):
    message, later = loaded(), AT + timedelta(days=1)
    before = loaded()
    if asked:
        assert getattr(message, name)
    changed = with_changes(message, **{name: later})
    for each in MOMENTS:
        assert getattr(changed, each) == (later if each == name else getattr(before, each))
    assert message == before
    assert to_record(changed)[RECORDED[name]] == (later - EPOCH) // timedelta(microseconds=1)
    assert (changed.delivery_id != message.delivery_id) == (name == "created_at")


def test_a_retry_comes_back_with_both_its_moments():
    later = AT + timedelta(seconds=30)
    assert loaded(next_attempt_at=later).next_attempt_at == later
    assert loaded(next_attempt_at=later).scheduled_at == AT


def test_a_message_has_nothing_that_it_has_not():
    for each in (loaded(), duly.Message("a", scheduled_at=AT), duly.Message.__new__(duly.Message)):
        with pytest.raises(AttributeError, match="'Message' object has no attribute 'sheduled_at'"):
            each.sheduled_at  # noqa: B018  # it is enough to ask
    with pytest.raises(AttributeError, match="scheduled_at"):
        duly.Message.__new__(duly.Message).scheduled_at  # noqa: B018  # likewise


@pytest.mark.parametrize("field", RECORDED.values())
@pytest.mark.parametrize("odd", [None, "1", 1.5, True, 10**18, -(10**18)])
def test_a_moment_that_is_none(field, odd):
    record = list(to_record(duly.Message("a", scheduled_at=AT)))
    record[field] = odd
    with pytest.raises(UnreadableRecord, match="no moment is|wrong type|cannot be read"):
        from_record(record, duly.State.SCHEDULED)


def test_moments_and_mappings_come_back_in_the_same_shape():
    message = duly.Message("a", scheduled_at=AT, metadata={"k": "v"})
    back = from_record(list(to_record(message)), duly.State.CLAIMED)
    assert back.state is duly.State.CLAIMED
    assert back.scheduled_at.tzinfo is UTC
    assert back.next_attempt_at == back.scheduled_at
    with pytest.raises(TypeError):
        back.metadata["k"] = "w"


def test_the_format_is_the_one_that_was_published():
    """A change here is a new format: raise FORMAT and go on reading this one."""
    message = duly.Message(
        "orders.reminder", b"\0", id="a", scheduled_at=AT, created_at=AT, metadata={"k": "ä"},
        recurrence=duly.Cron("0 12 * * *", timezone="Europe/Berlin", max_occurrences=3,
                             until=AT + timedelta(days=9), missed="all", grace=timedelta(seconds=1)),
    )  # fmt: skip
    assert to_record(message) == (
        1, "a", "orders.reminder", b"\0", '{"k":"ä"}'.encode(), 1904292000000000, 1904281689123456, None,
        ('{"max_occurrences":3,"until":1905059289123456,"missed":"all","grace":1000000,'
         '"cron":"0 12 * * *","timezone":"Europe/Berlin"}'),
        1904292000000000, 0, 0, None, None, b"", None, None, None, None, None,
    )  # fmt: skip


def test_what_was_written_before_there_was_more_is_read():
    message = duly.Message("a", b"{}", id="x", scheduled_at=AT, recurrence=duly.Every(HOUR))
    assert from_record(to_record(message)[:16], duly.State.SCHEDULED) == message


def test_the_second_format_is_the_one_that_was_published():
    message = with_changes(
        duly.Message("a", id="x", scheduled_at=AT, created_at=AT,
                     recurrence=duly.Every(HOUR, jitter=timedelta(seconds=9))),
        next_attempt_at=AT, postpone_count=7, died_at=AT + HOUR, error_class="Rejected", _put_back=True,
    )  # fmt: skip
    assert to_record(message) == (
        2, "x", "a", b"", b"", 1904281689123456, 1904281689123456, None,
        ('{"max_occurrences":null,"until":null,"missed":"once","grace":60000000,'
         '"jitter":9000000,"every":3600000000}'),
        1904281689123456, 0, 0, None, None, b"", None, 7, 1, 1904285289123456, "Rejected",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "version"),
    [
        ({}, 1),
        ({"died_at": AT, "error_class": "Rejected"}, 1),  # an older reader loses nothing it needs
        ({"postpone_count": 1}, 2),
        ({"_put_back": True}, 2),
        ({"recurrence": duly.Every(HOUR)}, 1),
        ({"recurrence": duly.Every(HOUR, jitter=timedelta(seconds=1))}, 2),
        ({"recurrence": duly.Cron("@daily", jitter=timedelta(seconds=1))}, 2),
    ],
)
def test_what_an_older_reader_would_misread_is_of_another_format(changes, version):
    message = duly.Message("a", scheduled_at=AT)
    assert to_record(with_changes(message, **changes)).format == version


class TestNewer:
    def test_a_newer_record_is_left_for_a_newer_reader(self):
        with pytest.raises(
            NewerRecord, match=f"format {FORMAT + 1} is newer than {FORMAT}.*upgrade"
        ):
            from_record(record(format=FORMAT + 1), duly.State.SCHEDULED)

    @pytest.mark.parametrize(
        "fields",
        [
            (FORMAT + 1,),
            (FORMAT + 1, "a", {"any": "thing"}),
            (*record(format=FORMAT + 7), "one", "more"),
            [FORMAT + 1, *[None] * 14],
        ],
        ids=len,
    )
    def test_whatever_its_fields_are(self, fields):
        with pytest.raises(NewerRecord):
            from_record(fields, duly.State.SCHEDULED)

    @pytest.mark.parametrize(
        "version", [0, -1, None, "1", "2", 1.5, float("nan"), b"", [2]], ids=repr
    )
    def test_what_was_never_a_format_is_unreadable(self, version):
        with pytest.raises(UnreadableRecord) as caught:
            from_record(record(format=version), duly.State.SCHEDULED)
        assert not isinstance(caught.value, NewerRecord)


WRONG: dict[str, list[object]] = {
    "id": [None, 5, b"a"],
    "event_name": [None, 5, b"a"],
    "payload": [None, 5, "a"],
    "metadata": [5, b"{", b"[]", b"5", b"null", b'{"a": 1}', b'{"a": null}', b"\xff", b"[" * 100_000],
    "scheduled_at": [None, "now", b"", float("nan"), float("inf"), 10**30, -(10**18)],
    "created_at": [None, "now", 10**30],
    "expires_at": ["now", b"", 10**30],
    "recurrence": [
        5, b"\xff", "", "{", "[]", "5", "null", "{}", "[" * 100_000, ["a"], {"a": 1}, bytearray(b"{}"),
        '{"every": 1}',
        '{"max_occurrences": null, "until": null, "missed": "once", "grace": 1}',
        '{"max_occurrences": null, "until": null, "missed": "once", "grace": 1, "every": 0}',
        '{"max_occurrences": null, "until": null, "missed": "once", "grace": 1, "every": "x"}',
        '{"max_occurrences": null, "until": null, "missed": "once", "grace": 1e400, "every": 3600000000}',
        '{"max_occurrences": null, "until": null, "missed": "once", "grace": null, "every": 3600000000}',
        '{"max_occurrences": 0, "until": null, "missed": "once", "grace": 1, "every": 3600000000}',
        '{"max_occurrences": null, "until": "x", "missed": "once", "grace": 1, "every": 3600000000}',
        '{"max_occurrences": null, "until": 1e300, "missed": "once", "grace": 1, "every": 3600000000}',
        '{"max_occurrences": null, "until": null, "missed": "twice", "grace": 1, "every": 3600000000}',
        '{"max_occurrences": null, "until": null, "missed": {}, "grace": 1, "every": 3600000000}',
        '{"max_occurrences": null, "until": null, "missed": "once", "grace": 1, "cron": "x", "timezone": "UTC"}',
        '{"max_occurrences": null, "until": null, "missed": "once", "grace": 1, "cron": 5, "timezone": "UTC"}',
        '{"max_occurrences": null, "until": null, "missed": "once", "grace": 1, "cron": "* * * * *", "timezone": "x"}',
        '{"max_occurrences": null, "until": null, "missed": "once", "grace": 1, "cron": "* * * * *"}',
        '{"max_occurrences": null, "until": null, "missed": "once", "grace": 1}',
        '{"max_occurrences": null, "until": null, "missed": "once", "grace": 1, "every": 3600000000, "rrule": ""}',
        '{"max_occurrences": null, "until": null, "missed": "once", "grace": 1, "every": 3600000000, "jitter": -1}',
        '{"max_occurrences": null, "until": null, "missed": "once", "grace": 1, "every": 3600000000, "jitter": "x"}',
        '{"max_occurrences": null, "until": null, "missed": "once", "grace": 1, "every": 3600000000, "jitter": 3600000001}',
    ],
    "next_attempt_at": [None, "now", 10**30],
    "retry_count": [None, "1", b"1", 1.5],
    "occurrence_count": [None, "1", b"1", 1.5],
    "last_error": [5, b"a"],
    "delivery_id": [5, b"a"],
    "given_at": [b"1", "1", 2**63],
    "postpone_count": ["1", b"1", 1.5, True],
    "put_back": ["1", b"1", 1.5, True],
    "died_at": [b"1", "now", 10**30],
    "error_class": [5, b"a"],
    "trace_context": [5, b"{", b"[]", b'{"a": 1}', b"\xff"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, values in WRONG.items() for value in values],
    ids=lambda each: repr(each)[-60:],
)
def test_a_damaged_field_is_found_out(field, value):
    with pytest.raises(UnreadableRecord):
        from_record(record(**{field: value}), duly.State.SCHEDULED)


def test_every_field_is_among_the_damaged():
    assert {"format", *WRONG} == {*Record._fields}


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        (),
        [],
        "",
        "x" * 15,
        b"x" * 15,
        {},
        pytest.param(object(), id="object"),
        record()[:-1],
    ],
    ids=repr,
)
def test_what_is_no_record_is_found_out(value):
    with pytest.raises(UnreadableRecord):
        from_record(value, duly.State.SCHEDULED)


fields = st.none() | st.integers() | st.floats() | st.text() | st.binary() | st.booleans()
junk = st.recursive(
    fields, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=4
)
json_junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
).map(json.dumps)


@given(st.data(), st.sampled_from(Record._fields[1:]))
def test_whatever_stands_in_a_field_no_other_error_comes_out(data, name):
    value = data.draw(junk | json_junk | json_junk.map(str.encode))
    try:
        message = from_record(record(**{name: value}), duly.State.DEAD)
    except UnreadableRecord:
        return
    to_record(message)  # what was taken can be kept


@given(st.lists(junk, max_size=20) | junk)
def test_whatever_is_given_no_other_error_comes_out(value):
    with pytest.raises(UnreadableRecord):
        from_record(value, duly.State.SCHEDULED)


class TestUnreadable:
    def test_it_is_listed_with_its_raw_bytes_and_the_reason(self):
        listed = unreadable("a", b"\xff\0", "it is torn")
        assert listed.id == "a"
        assert listed.event_name == UNREADABLE == "duly.unreadable"
        assert listed.payload == b"\xff\0"
        assert listed.last_error == "it is torn"
        assert listed.state is duly.State.DEAD
        assert listed.scheduled_at == listed.created_at == listed.next_attempt_at
        assert listed.metadata == listed.trace_context == {}
        assert {*vars(listed)} == {*vars(duly.Message("a", scheduled_at=AT))}

    def test_a_newer_one_keeps_its_state(self):
        assert unreadable("a", b"", "", state=duly.State.CLAIMED).state is duly.State.CLAIMED

    def test_the_reason_is_cut(self):
        assert unreadable("a", b"", "x" * 5000).last_error == "x" * 1024


class TestOccurrence:
    def test_a_buried_occurrence_is_a_message_of_its_own(self):
        series = duly.Message("tick", b"p", id="s", recurrence=duly.Every(timedelta(hours=1)),
                              created_at=AT, metadata={"k": "v"})  # fmt: skip
        buried = occurrence(with_changes(series, occurrence_count=4), "broken")
        assert (
            buried.id
            == buried.delivery_id
            == f"s:1904281689123456:{1904281689123456 + 3600 * 10**6}"
        )
        assert buried.recurrence is None
        assert buried.state is duly.State.DEAD
        assert buried.last_error == "broken"
        assert (buried.payload, buried.metadata) == (b"p", {"k": "v"})

    def test_it_keeps_its_delivery_id_when_replayed(self):
        series = duly.Message(
            "tick", id="s", recurrence=duly.Every(timedelta(hours=1)), created_at=AT
        )
        buried = occurrence(series, "broken")
        replayed = with_changes(
            buried, retry_count=0, occurrence_count=0, state=duly.State.SCHEDULED
        )
        assert replayed.delivery_id == buried.delivery_id
        assert from_record(to_record(replayed), replayed.state).delivery_id == buried.delivery_id


@pytest.mark.parametrize("place", ["format", "scheduled_at", "expires_at"])
def test_a_number_too_long_to_be_shown_is_an_unreadable_record(place):
    with pytest.raises(UnreadableRecord):
        from_record(record(**{place: 10**5000}), duly.State.SCHEDULED)
