import copy
import enum
import os
import pickle
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta, timezone

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import duly
from duly.message import METADATA_LIMIT, UNREADABLE, new_id, restore, with_changes
from duly.recurrence import Cron, Every, Recurrence
from duly.transport import envelope_of

AT = datetime(2030, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)


def message(**arguments):
    return duly.Message(**{"event_name": "orders.reminder", "scheduled_at": AT, **arguments})


class Event(enum.StrEnum):
    REMINDER = "orders.reminder"


class Mixed(str, enum.Enum):  # noqa: UP042  # what was written before there was StrEnum
    REMINDER = "orders.reminder"


class Chunk(bytes):
    pass


class TestDefaults:
    def test_a_message_needs_only_a_name_and_a_moment(self):
        before = datetime.now(UTC)
        made = duly.Message("orders.reminder", scheduled_at=AT)
        assert made.payload == b""
        assert made.metadata == {}
        assert made.recurrence is None
        assert made.expires_at is None
        assert before <= made.created_at <= datetime.now(UTC)
        assert made.retry_count == made.occurrence_count == 0
        assert made.state is duly.State.SCHEDULED
        assert made.next_attempt_at == made.scheduled_at == AT
        assert made.last_error is None

    def test_each_message_has_an_id_of_its_own(self):
        assert message().id != message().id

    def test_moments_of_any_zone_are_kept_in_utc(self):
        there = AT.astimezone(timezone(timedelta(hours=5, minutes=45)))
        made = message(scheduled_at=there, created_at=there, expires_at=there + timedelta(hours=1))
        for moment in (made.scheduled_at, made.created_at, made.next_attempt_at):
            assert moment == AT
            assert moment.tzinfo is UTC
        assert made.expires_at == AT + timedelta(hours=1)
        assert made.expires_at.tzinfo is UTC

    def test_the_payload_and_metadata_do_not_show(self):
        made = message(payload=b"geheim", metadata={"key": "geheim"})
        assert "geheim" not in repr(made)
        assert "geheim" not in str(made)


class TestFrozen:
    @pytest.mark.parametrize("name", [field.name for field in attrs.fields(duly.Message)])
    def test_nothing_can_be_set(self, name):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(message(), name, None)

    def test_metadata_is_a_copy_that_cannot_be_changed(self):
        given_ = {"a": "1"}
        made = message(metadata=given_)
        given_["a"] = "2"
        assert made.metadata == {"a": "1"}
        with pytest.raises(TypeError):
            made.metadata["a"] = "2"

    @pytest.mark.parametrize(
        "name",
        ["retry_count", "occurrence_count", "state", "next_attempt_at", "last_error",
         "trace_context", "delivery_id"],
    )  # fmt: skip
    def test_what_duly_manages_cannot_be_given(self, name):
        with pytest.raises(TypeError, match=name):
            message(**{name: None})

    def test_only_name_and_payload_may_be_given_by_position(self):
        with pytest.raises(TypeError):
            duly.Message("orders.reminder", b"", AT)


@pytest.mark.parametrize("field", ["id", "event_name"])
class TestNames:
    @pytest.mark.parametrize(
        "name", ["x", "x" * 255, "ä" * 255, "日本語", "a b", "🚀", "a\u00a0b", "a\u200bb", ""],
    )  # fmt: skip
    def test_any_printable_text_of_1_to_255_characters_will_do(self, field, name):
        if name:
            assert getattr(message(**{field: name}), field) == name
        else:
            with pytest.raises(duly.InvalidMessage, match=f"{field} must have 1 to 255 characters"):
                message(**{field: name})

    def test_256_characters_are_too_many(self, field):
        with pytest.raises(duly.InvalidMessage, match=f"{field} must have 1 to 255.*not 256"):
            message(**{field: "x" * 256})

    @pytest.mark.parametrize("control", ["\0", "\n", "\r", "\t", "\x1b", "\x7f", "\x80", "\x9f"])
    def test_control_characters_are_refused(self, field, control):
        with pytest.raises(duly.InvalidMessage, match=f"{field} holds a control character"):
            message(**{field: f"a{control}b"})

    def test_a_lone_surrogate_is_refused(self, field):
        with pytest.raises(duly.InvalidMessage, match=f"{field} cannot be encoded as UTF-8"):
            message(**{field: "a\ud800"})

    @pytest.mark.parametrize(
        "value", [b"name", 7, 1.5, ("a",), pytest.param(object(), id="object")], ids=repr
    )
    def test_what_is_no_text_is_refused(self, field, value):
        with pytest.raises(duly.InvalidMessage, match=f"{field} must be text"):
            message(**{field: value})

    @pytest.mark.parametrize("member", [Event.REMINDER, Mixed.REMINDER])
    def test_a_member_of_a_text_enum_becomes_its_text(self, field, member):
        kept = getattr(message(**{field: member}), field)
        assert type(kept) is str
        assert kept == "orders.reminder"


def test_an_event_name_is_required():
    with pytest.raises(duly.InvalidMessage, match="event_name must be text, not NoneType"):
        message(event_name=None)


def test_the_name_of_unreadable_records_is_reserved():
    with pytest.raises(duly.InvalidMessage, match="reserved"):
        message(event_name=UNREADABLE)
    assert message(id=UNREADABLE).id == UNREADABLE


class TestPayload:
    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, Chunk])
    def test_bytes_of_any_kind_become_bytes(self, kind):
        payload = message(payload=kind(b"a\0b")).payload
        assert type(payload) is bytes
        assert payload == b"a\0b"

    @pytest.mark.parametrize("value", ["text", None, 5, [1, 2], {"a": 1}], ids=repr)
    def test_anything_else_is_refused_with_advice(self, value):
        with pytest.raises(duly.InvalidMessage, match="payload must be bytes.*encode it first"):
            message(payload=value)


class TestMetadata:
    @pytest.mark.parametrize("value", ["", "ä", "a\nb", "\x1b", "x" * 60_000])
    def test_values_may_be_any_text_without_nul(self, value):
        assert message(metadata={"key": value}).metadata == {"key": value}

    @pytest.mark.parametrize(
        ("metadata", "complaint"),
        [
            ([("a", "b")], "must map text to text, not list"),
            (None, "must map text to text, not NoneType"),
            ("a=b", "must map text to text, not str"),
            ({1: "a"}, "must map text to text"),
            ({"a": 1}, "must map text to text"),
            ({"a": None}, "must map text to text"),
            ({"a": b"b"}, "must map text to text"),
            ({"a\n": "b"}, "metadata key holds a control character"),
            ({"a\0": "b"}, "metadata key holds a control character"),
            ({"\ud800": "b"}, "metadata key cannot be encoded"),
            ({"a": "\0"}, "metadata value of 'a' holds a NUL"),
            ({"a": "\udfff"}, "metadata value of 'a' cannot be encoded"),
        ],
        ids=repr,
    )
    def test_anything_else_is_refused(self, metadata, complaint):
        with pytest.raises(duly.InvalidMessage, match=complaint):
            message(metadata=metadata)

    def test_all_of_it_takes_at_most_64_kib_of_utf_8(self):
        exact = {"ä": "€" * ((METADATA_LIMIT - 2) // 3)}
        size = sum(len(part.encode()) for pair in exact.items() for part in pair)
        rest = "x" * (METADATA_LIMIT - size - 1)
        assert message(metadata={**exact, "r": rest})
        with pytest.raises(duly.InvalidMessage, match=r"65537 bytes, at most 65536"):
            message(metadata={**exact, "r": rest + "x"})


class TestMoments:
    @pytest.mark.parametrize("field", ["scheduled_at", "created_at", "expires_at"])
    @pytest.mark.parametrize(
        ("value", "complaint"),
        [
            (datetime(2030, 1, 1), "is naive"),
            ("2030-01-01T00:00:00Z", "must be a datetime"),
            (1893456000, "must be a datetime"),
            (timedelta(hours=1), "must be a datetime"),
            (datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))), "out of range"),
            (datetime.min.replace(tzinfo=timezone(timedelta(hours=1))), "out of range"),
        ],
        ids=repr,
    )
    def test_only_aware_datetimes_in_range_are_taken(self, field, value, complaint):
        with pytest.raises(duly.InvalidMessage, match=f"{field} .*{complaint}|{field} {complaint}"):
            message(**{field: value})

    def test_a_moment_is_required_without_a_recurrence(self):
        with pytest.raises(duly.InvalidMessage, match="scheduled_at is missing"):
            duly.Message("orders.reminder")

    def test_the_past_and_the_ends_of_the_calendar_are_taken(self):
        for moment in (datetime.min, datetime.max):
            assert message(scheduled_at=moment.replace(tzinfo=UTC)).scheduled_at.year in (1, 9999)

    @pytest.mark.parametrize(
        "earlier", [timedelta(0), timedelta(microseconds=1), timedelta(days=1)]
    )
    def test_it_cannot_expire_before_it_is_due(self, earlier):
        with pytest.raises(duly.InvalidMessage, match="expires_at must be later than scheduled_at"):
            message(expires_at=AT - earlier)

    def test_it_may_expire_at_once(self):
        moment = AT + timedelta(microseconds=1)
        assert message(expires_at=moment).expires_at == moment


class TestRecurrence:
    def test_a_series_starts_at_scheduled_at(self):
        made = message(recurrence=duly.Every(timedelta(hours=1)))
        assert made.scheduled_at == made.next_attempt_at == AT

    def test_without_it_one_interval_after_creation(self):
        made = duly.Message("tick", recurrence=duly.Every(timedelta(hours=1)), created_at=AT)
        assert made.scheduled_at == made.next_attempt_at == AT + timedelta(hours=1)

    def test_a_cron_series_starts_at_the_first_match_at_or_after_scheduled_at(self):
        made = message(recurrence=duly.Cron("0 12 * * *"))
        assert made.scheduled_at == made.next_attempt_at == AT.replace(hour=12, minute=0, second=0,
                                                                       microsecond=0)  # fmt: skip

    def test_without_it_at_the_first_match_after_now(self):
        before = datetime.now(UTC)
        made = duly.Message("tick", recurrence=duly.Cron("* * * * *"))
        assert before < made.scheduled_at <= datetime.now(UTC) + timedelta(minutes=1)

    def test_expires_at_is_refused_with_advice(self):
        with pytest.raises(duly.InvalidMessage, match="use until instead"):
            message(recurrence=duly.Every(timedelta(hours=1)), expires_at=AT)

    @pytest.mark.parametrize(
        "recurrence",
        [
            duly.Every(timedelta(hours=1), until=AT - timedelta(microseconds=1)),
            duly.Cron("* * * * *", until=AT - timedelta(days=1)),
            duly.Cron("0 0 * 2 MON#5", until=AT + timedelta(days=365)),
        ],
    )
    def test_a_series_that_can_never_fire_is_refused(self, recurrence):
        with pytest.raises(duly.InvalidMessage, match="can never fire"):
            message(recurrence=recurrence)

    @pytest.mark.parametrize("value", ["0 * * * *", timedelta(hours=1), 5], ids=repr)
    def test_what_is_no_recurrence_is_refused(self, value):
        with pytest.raises(duly.InvalidMessage, match="recurrence must be Every or Cron"):
            message(recurrence=value)

    def test_a_recurrence_that_no_store_could_keep_is_refused(self):
        class Own(Recurrence):
            def first(self, scheduled_at, created_at):
                return scheduled_at

            def _next(self, moment):
                return None

            def _last(self, fire, bound):
                return fire

            def is_same_rule(self, other):
                return False

        with pytest.raises(duly.InvalidMessage, match="recurrence must be Every or Cron, not Own"):
            message(recurrence=Own())


class TestDeliveryId:
    def test_it_names_the_scheduling(self):
        made = message(id="a", created_at=datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))
        assert made.delivery_id == "a:1000005:0"
        assert with_changes(made, scheduled_at=AT + timedelta(days=1)).delivery_id == "a:1000005:0"

    def test_of_a_series_it_names_the_fire(self):
        second = datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC)
        made = message(id="a", created_at=second, scheduled_at=second,
                       recurrence=duly.Every(timedelta(seconds=2)))  # fmt: skip
        assert made.delivery_id == "a:1000005:1000005"
        later = with_changes(made, scheduled_at=second - timedelta(seconds=2))
        assert later.delivery_id == "a:1000005:-999995"
        assert with_changes(made, occurrence_count=7).delivery_id == made.delivery_id

    def test_retries_do_not_change_it(self):
        made = message()
        retried = with_changes(made, retry_count=3, next_attempt_at=AT + timedelta(hours=1))
        assert retried.delivery_id == made.delivery_id


class TestCopies:
    def test_with_changes_leaves_the_original_alone(self):
        made = message()
        changed = with_changes(made, retry_count=2, last_error="lost")
        assert (made.retry_count, made.last_error) == (0, None)
        assert (changed.retry_count, changed.last_error) == (2, "lost")
        assert changed.id == made.id

    def test_restored_is_equal(self):
        made = message(metadata={"a": "b"})
        assert restore(dict(vars(made))) == made

    def test_evolve_checks_again(self):
        assert attrs.evolve(message(), payload=bytearray(b"x")).payload == b"x"
        with pytest.raises(duly.InvalidMessage):
            attrs.evolve(message(), event_name="")


class TestIds:
    def test_an_id_is_a_uuid_of_version_7(self):
        before = time.time_ns() // 1_000_000
        made = uuid.UUID(new_id())
        after = time.time_ns() // 1_000_000
        assert made.version == 7
        assert made.variant == uuid.RFC_4122
        assert before <= made.int >> 80 <= after
        assert str(made) == str(made).lower()

    def test_ids_of_later_milliseconds_sort_later(self):
        first = new_id()
        made = uuid.UUID(first).int >> 80
        while time.time_ns() // 1_000_000 == made:
            pass
        assert first < new_id()

    def test_ids_do_not_meet(self):
        assert len({new_id() for _ in range(20_000)}) == 20_000

    def test_processes_that_were_forked_do_not_share_ids(self):
        code = "import os, duly.message as m; os.fork(); os.write(1, m.new_id().encode() + b' ')"
        out = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True,
                             text=True, check=True, env={**os.environ})  # fmt: skip
        assert len(set(out.stdout.split())) == 2


class TestFilter:
    def test_nothing_given_means_all(self):
        everything = duly.Filter()
        told = attrs.asdict(everything)
        assert (told.pop("offset"), told.pop("metadata")) == (0, {})
        assert {*told.values()} == {None}

    def test_moments_are_kept_in_utc(self):
        there = AT.astimezone(timezone(timedelta(hours=-3)))
        made = duly.Filter(before=there, after=there)
        assert made.before == made.after == AT
        assert made.before.tzinfo is made.after.tzinfo is UTC

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            ({"limit": 0}, "None for all"),
            ({"limit": -1}, "limit must be a whole number from 1"),
            ({"limit": 1.0}, "limit must be a whole number from 1"),
            ({"limit": True}, "limit must be a whole number from 1"),
            ({"limit": "5"}, "limit must be a whole number from 1"),
            ({"offset": -1}, "offset must be a whole number from 0"),
            ({"offset": None}, "offset must be a whole number from 0"),
            ({"offset": False}, "offset must be a whole number from 0"),
            ({"offset": 0.5}, "offset must be a whole number from 0"),
            ({"before": datetime(2030, 1, 1)}, "before is naive"),
            ({"after": datetime(2030, 1, 1)}, "after is naive"),
            ({"before": "now"}, "before must be a datetime"),
            ({"after": 5}, "after must be a datetime"),
            ({"state": "dead"}, "state must be a duly.State"),
            ({"state": 1}, "state must be a duly.State"),
            ({"event_name": 1}, "event_name must be text"),
            ({"event_name": b"a"}, "event_name must be text"),
        ],
        ids=str,
    )
    def test_every_argument_is_checked(self, arguments, complaint):
        with pytest.raises(duly.InvalidArgument, match=complaint):
            duly.Filter(**arguments)

    def test_an_unreadable_record_can_be_asked_for(self):
        assert duly.Filter(event_name=UNREADABLE).event_name == UNREADABLE

    def test_nothing_can_be_given_by_position(self):
        with pytest.raises(TypeError):
            duly.Filter("orders.reminder")


anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(),
    st.datetimes(), st.timedeltas(), st.lists(st.text(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)  # fmt: skip
fields = ["event_name", "payload", "scheduled_at", "id", "metadata", "recurrence", "expires_at",
          "created_at"]  # fmt: skip


@given(st.dictionaries(st.sampled_from(fields), anything))
def test_whatever_is_given_is_taken_or_refused_as_an_invalid_message(arguments):
    try:
        made = message(**arguments)
    except duly.InvalidMessage:
        return
    assert 1 <= len(made.id) <= 255
    assert type(made.payload) is bytes


@given(
    st.dictionaries(st.sampled_from([field.name for field in attrs.fields(duly.Filter)]), anything)
)
def test_whatever_a_filter_is_given_is_taken_or_refused(arguments):
    try:
        duly.Filter(**arguments)
    except duly.InvalidArgument:
        return


@pytest.mark.parametrize(
    ("value", "later"),
    [
        (Every(timedelta(hours=1)), {"jitter": timedelta(0)}),
        (Cron("0 4 * * *"), {"jitter": timedelta(0)}),
        (
            duly.Filter(event_name="a"),
            {"phase": None, "order": None, "ids": None, "metadata": {}, "died_after": None},
        ),
        (
            envelope_of(duly.Message("a", id="x", scheduled_at=duly.after()), 1),
            {"postpone_count": 0},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_version_with_fewer_fields_has_pickled_is_read(value, later):
    state = {name: each for name, each in value.__getstate__().items() if name not in later}
    again = type(value).__new__(type(value))
    again.__setstate__(state)
    assert {name: getattr(again, name) for name in later} == later
    assert again == value
    assert repr(again) == repr(value)
    assert pickle.loads(pickle.dumps(copy.deepcopy(again))) == value
    with pytest.raises(AttributeError, match="has no attribute 'colour'"):
        again.colour  # noqa: B018  # it is enough to ask


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]
)
@pytest.mark.parametrize(
    "recurrence", [None, Every(timedelta(hours=1)), Cron("0 4 * * *", timezone="Europe/Berlin")]
)
def test_messages_and_envelopes_can_be_copied_and_pickled(copied, recurrence):
    made = message(payload=b"load", metadata={"a": "b"}, recurrence=recurrence)
    envelope = envelope_of(made, 2)
    for value in (made, envelope, with_changes(made, trace_context={"traceparent": "00"})):
        again = copied(value)
        assert again == value
        assert type(again.metadata) is type(value.metadata)
    assert copied(envelope).headers == envelope.headers
    if recurrence is not None:
        assert copied(made).recurrence.following(AT) == recurrence.following(AT)
