"""What a store answers about notes and leases that are taken over; each mistake is named."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from duly import StoreError
from duly._caller import ability_answers as answers
from duly.memory import MemoryStore
from duly.store import Note

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
NOTE = Note(b"1", "r1", NOW)
NAIVE = datetime(2030, 1, 1, 12)  # the mistake of a store
WRONG: Any = None


def listed(answer: Any) -> Any:
    return answers.notes(answer, "a")


MISTAKES: list[tuple[Callable[[Any], Any], Any, str]] = [
    (answers.note, b"1", "read_note() returned bytes, not a Note"),
    (answers.note, (b"1", "r1", NOW), "read_note() returned tuple, not a Note"),
    (answers.note, Note("1", "r1", NOW), "a Note whose value is str, not bytes"),  # type: ignore[arg-type]  # the mistake
    (answers.note, Note(WRONG, "r1", NOW), "a Note whose value is NoneType"),
    (answers.note, Note(b"1", WRONG, NOW), "read_note() returned NoneType for a revision"),
    (answers.note, Note(b"1", "", NOW), "read_note() returned str for a revision"),
    (answers.note, Note(b"1", "r1", NAIVE), "now as a naive datetime"),
    (answers.note, Note(b"1", "r1", WRONG), "now as NoneType, not an aware datetime"),
    (answers.written, True, "write_note() returned bool for a revision"),
    (answers.written, 7, "write_note() returned int for a revision"),
    (answers.written, "", "write_note() returned str for a revision"),
    (listed, None, "notes() returned NoneType, not a mapping"),
    (listed, [NOTE], "notes() returned list, not a mapping"),
    (listed, {"a": b"1"}, "notes() returned bytes, not a Note"),
    (listed, {"b": NOTE}, "a note by the name str, which does not begin as asked"),
    (listed, {b"a": NOTE}, "a note by the name bytes"),
    (listed, {"ab": Note(b"1", WRONG, NOW)}, "notes() returned NoneType for a revision"),
    (answers.lapsed, None, "lapse() returned NoneType, not a number of messages"),
    (answers.lapsed, True, "lapse() returned bool"),
    (answers.lapsed, -1, "lapse() returned int, not a number of messages"),
    (answers.lapsed, ["a"], "lapse() returned list"),
]


@pytest.mark.parametrize(("check", "answer", "said"), MISTAKES)
def test_what_came_back_is_named(check: Callable[[Any], Any], answer: Any, said: str) -> None:
    with pytest.raises(StoreError) as caught:
        check(answer)
    assert said in str(caught.value)
    assert "against its contract" in str(caught.value)


def test_what_is_right_is_passed_on() -> None:
    assert answers.note(None) is None
    assert answers.note(NOTE) is NOTE
    assert answers.written(None) is None
    assert answers.written("r1") == "r1"
    assert answers.notes({"a": NOTE}, "") == {"a": NOTE}
    assert answers.lapsed(0) == 0


async def test_what_the_memory_store_answers_is_right() -> None:
    store = MemoryStore()
    assert answers.note(await store.read_note("a")) is None
    assert answers.written(await store.write_note("a", b"", None)) is not None
    assert answers.written(await store.write_note("a", b"", None)) is None
    assert answers.note(await store.read_note("a")) is not None
    assert list(answers.notes(await store.notes("a"), "a")) == ["a"]
    assert answers.lapsed(await store.lapse("me")) == 0
