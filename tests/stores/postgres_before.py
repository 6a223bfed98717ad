"""What the version before, of the fourth schema, does with the tables: its statements, as it had them.

``{t}`` stands for the table of messages.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from tests.stores.postgres_kit import Place

from duly import Message, State
from duly.record import NewerRecord, from_record
from duly_postgres import ddl

VERSION = 4

COLUMNS = (
    "format, id, event_name, payload, metadata, scheduled_at, created_at, expires_at, recurrence, "
    "next_attempt_at, retry_count, occurrence_count, last_error, delivery_id, trace_context, "
    "given_at"
)
TIMES = [name for name in COLUMNS.split(", ") if name.endswith("_at")]

STORE = """\
WITH added AS (
    INSERT INTO {t} (
        due_at, format, id, event_name, payload, metadata, scheduled_at, created_at, expires_at,
        recurrence, next_attempt_at, delivery_id, trace_context, given_at
    ) VALUES (now(), 1, $1, 'event', '', '', now(), now(), NULL, $2, now(), NULL, '', NULL)
    RETURNING due_at, key
)
INSERT INTO {t}_due (suspect, due_at, key) SELECT false, due_at, key FROM added RETURNING key"""

CLAIM = """\
WITH taken AS (DELETE FROM {t}_due WHERE key = $1 RETURNING key)
INSERT INTO {t}_leases (token, expires_at, owner, keys)
SELECT $2, now() + $3, 'before', array_agg(key) FROM taken"""

NOTE = """\
WITH taken AS (DELETE FROM {t}_due WHERE key = $1 RETURNING key)
INSERT INTO {t}_leases (token, expires_at, owner, keys, outcome)
SELECT $2, timestamptz '9999-12-31 23:59:59+00', 'before', array_agg(key), $3 FROM taken"""

NOTED = "SELECT outcome FROM {t}_leases WHERE expires_at = timestamptz '9999-12-31 23:59:59+00'"

RETRY = """\
WITH back AS (
    UPDATE {t} SET lapses = 0, (
        due_at, next_attempt_at, scheduled_at, retry_count, occurrence_count, last_error
    ) = (SELECT now(), now(), scheduled_at, 1, 0, 'broken')
    WHERE key = $1 RETURNING key, due_at
)
UPDATE {t}_due SET due_at = back.due_at FROM back WHERE {t}_due.key = back.key"""

BURY = """\
WITH left_line AS (DELETE FROM {t}_due WHERE key = $1)
UPDATE {t} SET dead = 1, last_error = $2 WHERE key = $1"""

MOVE = """\
WITH left_line AS (DELETE FROM {t}_due WHERE key = $1),
moved AS (
    UPDATE {t} SET
        key = DEFAULT, due_at = scheduled_at, next_attempt_at = scheduled_at,
        retry_count = 0, lapses = 0, last_error = NULL, dead = 0
    WHERE key = $1 RETURNING due_at, key
)
INSERT INTO {t}_due (suspect, due_at, key) SELECT false, due_at, key FROM moved RETURNING key"""


def microseconds(name: str) -> str:
    """A column as the version before has it in its records."""
    return f"(extract(epoch FROM {name}) * 1000000)::bigint" if name in TIMES else name


def at_version(monkeypatch: pytest.MonkeyPatch, version: int = VERSION) -> None:
    """Let the schema be made as an earlier version makes it, the one before unless told."""
    monkeypatch.setattr("duly_postgres.schema.STEPS", ddl.STEPS[:version])
    monkeypatch.setattr("duly_postgres.schema.VERSION", version)
    monkeypatch.setattr("duly_postgres.schema.AFTERWARDS", ())
    monkeypatch.setattr("duly_postgres.indexes.INDEXES", ddl.FIRST_INDEXES)


async def key_of(place: Place, id: str) -> int:
    """The key of the message of an id."""
    ((key,),) = await place.fetch("SELECT key FROM {t} WHERE id = $1", id)
    return int(key)


async def record_of(place: Place, id: str) -> Sequence[Any]:
    """The record of an id as the version before fetches it."""
    columns = ", ".join(map(microseconds, COLUMNS.split(", ")))
    (record,) = await place.fetch(f"SELECT {columns} FROM {{t}} WHERE id = $1", id)
    return tuple(record)


async def read(place: Place, id: str, state: State = State.SCHEDULED) -> Message:
    """The message of an id as the version before reads it.

    Raises:
        NewerRecord: it leaves it alone.
    """
    record = await record_of(place, id)
    if record[0] > 1:
        raise NewerRecord(f"record format {record[0]} is newer than 1")
    return from_record(record, state)
