"""From messages that are to be stored to the arguments of statements."""

import base64
import json
import operator
from collections.abc import Callable, Sequence
from typing import Any, Final

from duly import Message, State
from duly.moment import from_microseconds
from duly.record import Record, encodable, to_record
from duly.store import as_stored
from duly_postgres.sql_putting import GIVEN_COLUMNS, KEPT_COLUMNS

__all__ = [
    "Grouped", "as_arrays", "as_json", "given", "record_as_json", "recorded", "storable",
    "storable_text",
]  # fmt: skip

Grouped = Sequence[tuple[int, Message]]
"""Messages with the number of their group."""

_FORMAT: Final = Record._fields.index("format")
_PLACES: Final = tuple(Record._fields.index(name) for name in GIVEN_COLUMNS)
_of_record: Final[Callable[[Record], tuple[Any, ...]]] = operator.itemgetter(*_PLACES)


def given(message: Message) -> tuple[Any, ...]:
    """The values of ``GIVEN_COLUMNS`` for a message."""
    record = to_record(message)
    if record.format != 1:  # perhaps for what it went through elsewhere, which is not stored
        record = to_record(as_stored(message))
    return _of_record(record)


def _kept(message: Message) -> tuple[Any, ...]:
    """The values of ``KEPT_COLUMNS``."""
    return *recorded(message), 1 if message.state is State.DEAD else 0


def as_arrays(messages: Grouped, *, as_is: bool) -> Sequence[Sequence[Any]]:
    """The numbers of the groups, then the columns."""
    numbers = [number for number, _ in messages]
    if not messages:
        return [numbers, *[()] * len(KEPT_COLUMNS if as_is else GIVEN_COLUMNS)]
    if as_is:
        return [numbers, *zip(*[_kept(message) for _, message in messages], strict=True)]
    columns = list(zip(*[to_record(message) for _, message in messages], strict=True))
    if {*columns[_FORMAT]} != {1}:  # as in given()
        records = [to_record(as_stored(message)) for _, message in messages]
        columns = list(zip(*records, strict=True))
    return [numbers, *[columns[place] for place in _PLACES]]


def as_json(messages: Grouped, *, as_is: bool) -> str:
    """The same as an array of objects."""
    values, columns = (_kept, KEPT_COLUMNS) if as_is else (given, GIVEN_COLUMNS)
    objects = [
        {"place": place, "group_number": number}
        | {name: _plain(name, value) for name, value in zip(columns, values(message), strict=True)}
        for place, (number, message) in enumerate(messages)
    ]
    return json.dumps(objects, ensure_ascii=False)


def record_as_json(message: Message, *, at_least: int) -> str:
    """The record of a message as an object, of a format that is not lower."""
    record = recorded(message)
    record = record._replace(format=max(record.format, at_least))
    return json.dumps(
        {name: _plain(name, value) for name, value in record._asdict().items()}, ensure_ascii=False
    )


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if name.endswith("_at") and value is not None:
        return from_microseconds(value).isoformat()
    return value


def recorded(message: Message) -> Record:
    """The record of a message with errors of its own, which may be any text."""
    record = to_record(message)
    return record._replace(
        last_error=storable_text(record.last_error), error_class=storable_text(record.error_class)
    )


def storable(text: str) -> bool:
    """Whether PostgreSQL can hold the text, so that a message may have it."""
    return "\0" not in text and encodable(text)


def storable_text(text: str | None) -> str | None:
    """The text with what PostgreSQL cannot hold replaced."""
    if text is None:
        return None
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
