"""The tables, by versions of the schema: what each version adds to the one before."""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from typing import Final

from duly.message import METADATA_LIMIT, UNREADABLE
from duly_postgres.columns import IN_YEARS, MARK, SOON, SORTED_ID

__all__ = [
    "AFTERWARDS", "CHECKED_FROM", "CHECKED_LATER", "FIRST_INDEXES", "INDEXES", "STEPS", "VERSION",
    "constraint",
]  # fmt: skip

_MOMENT: Final = f"CHECK {IN_YEARS}"

CHECKED_LATER: Final = ("expires_at", "next_attempt_at", "given_at")
"""The columns whose checks were added when rows existed already: see ``old_rows``."""

CHECKED_FROM: Final = 3
"""The version that brought these checks."""


def constraint(column: str) -> str:
    """The name of the check on such a column."""
    return f'"{{table}}_{column}_check"'


_CONTROL: Final = r"[\u0001-\u001f\u007f-\u009f]"
"""Control characters, as a regular expression of PostgreSQL."""

FIRST_INDEXES: Final = {
    '"{table}_event_name_idx"': f"{{messages}} (event_name, scheduled_at, {SORTED_ID})",
    '"{table}_time_idx"': f"{{messages}} (scheduled_at, {SORTED_ID})",
    '"{table}_dead_idx"': f"{{messages}} (scheduled_at, {SORTED_ID}) WHERE dead > 0",
    '"{table}_leases_end_idx"': "{leases} (expires_at)",
}
"""Those of the first version."""

_LATER_INDEXES: Final = {
    '"{table}_declared_idx"': (
        "{messages} (declared_by, generation) WHERE declared_by IS NOT NULL"
    ),
    '"{table}_series_idx"': "{messages} (key) WHERE recurrence IS NOT NULL",
}

INDEXES: Final = FIRST_INDEXES | _LATER_INDEXES
"""By name: on what. For tables in use :mod:`duly_postgres.indexes` makes them."""

AFTERWARDS: Final = (*(f"CREATE INDEX {name} ON {on}" for name, on in _LATER_INDEXES.items()), MARK)
"""The statements after all steps where there were no tables, so that there is nothing to read."""

# A queue's tables turn over many times a minute; the usual settings vacuum too rarely for that.
_OFTEN: Final = (
    "autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, "
    "autovacuum_vacuum_cost_delay = 1"
)

# It makes the same checks as Message; see there.
_SCHEDULE: Final = f"""\
CREATE OR REPLACE FUNCTION {{schedule}} (
    event_name text,
    payload bytea DEFAULT '',
    scheduled_at timestamptz DEFAULT clock_timestamp(),
    id text DEFAULT NULL,
    metadata jsonb DEFAULT '{{{{}}}}',
    expires_at timestamptz DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $duly$
#variable_conflict use_variable
DECLARE
    new_id text := coalesce(id, gen_random_uuid()::text);
    new_key bigint;
BEGIN
    IF event_name IS NULL OR char_length(event_name) NOT BETWEEN 1 AND 255
        OR char_length(new_id) NOT BETWEEN 1 AND 255
        OR event_name || new_id ~ '{_CONTROL}'
    THEN
        RAISE EXCEPTION 'id and event name have 1 to 255 characters, no control characters'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF event_name = '{UNREADABLE}' THEN
        RAISE EXCEPTION 'the event name {UNREADABLE} is reserved'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF metadata IS NULL OR jsonb_typeof(metadata) <> 'object'
        OR EXISTS (SELECT FROM jsonb_each(metadata) AS e WHERE jsonb_typeof(e.value) <> 'string')
    THEN
        RAISE EXCEPTION 'metadata is an object of texts'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF EXISTS (SELECT FROM jsonb_each_text(metadata) AS e WHERE e.key ~ '{_CONTROL}') THEN
        RAISE EXCEPTION 'a metadata key holds a control character'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF (
        SELECT sum(octet_length(convert_to(e.key || e.value, 'UTF8')))
        FROM jsonb_each_text(metadata) AS e
    ) > {METADATA_LIMIT}
    THEN
        RAISE EXCEPTION 'metadata takes more than {METADATA_LIMIT} bytes'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF payload IS NULL OR scheduled_at IS NULL OR expires_at <= scheduled_at THEN
        RAISE EXCEPTION 'payload and scheduled_at are required; expires_at is later than that'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT {IN_YEARS.format("scheduled_at")} OR NOT {IN_YEARS.format("expires_at")} THEN
        RAISE EXCEPTION 'scheduled_at and expires_at are moments of the years 1 to 9999'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO {{messages}} (
        due_at, format, id, event_name, payload, metadata, scheduled_at, created_at, expires_at,
        next_attempt_at
    ) VALUES (
        scheduled_at, 1, new_id, event_name, payload,
        CASE WHEN metadata = '{{{{}}}}' THEN '' ELSE convert_to(metadata::text, 'UTF8') END,
        scheduled_at, clock_timestamp(), expires_at, scheduled_at
    ) RETURNING key INTO new_key;
    INSERT INTO {{due}} (suspect, due_at, key) VALUES (false, scheduled_at, new_key);
    IF scheduled_at <= clock_timestamp() + {SOON} THEN
        PERFORM pg_notify('{{channel}}', '');
    END IF;
    RETURN new_id;
END
$duly$"""

_FIRST: Final = (
    # usable_from: the oldest schema version whose code can work with this one.
    "CREATE TABLE {version} (version integer NOT NULL, usable_from integer NOT NULL)",
    f"""\
CREATE TABLE {{messages}} (
    key bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, -- of one scheduling, never used twice
    id text COLLATE "C" NOT NULL UNIQUE,
    event_name text COLLATE "C" NOT NULL,
    payload bytea NOT NULL,
    metadata bytea NOT NULL DEFAULT '', -- a JSON object
    scheduled_at timestamptz NOT NULL {_MOMENT.format("scheduled_at")},
    created_at timestamptz NOT NULL {_MOMENT.format("created_at")},
    expires_at timestamptz,
    recurrence text,
    next_attempt_at timestamptz NOT NULL,
    -- its place in the line, kept while it is claimed
    due_at timestamptz NOT NULL {_MOMENT.format("due_at")},
    retry_count bigint NOT NULL DEFAULT 0,
    occurrence_count bigint NOT NULL DEFAULT 0,
    lapses integer NOT NULL DEFAULT 0,
    dead smallint NOT NULL DEFAULT 0 CHECK (dead IN (0, 1, 2)), -- 1: a dead letter, 2: unreadable
    format smallint NOT NULL,
    last_error text,
    delivery_id text,
    trace_context bytea NOT NULL DEFAULT ''
) WITH ({_OFTEN})""",
    # What waits: narrow, so that claiming rewrites no payload; suspects stand apart.
    f"""\
CREATE TABLE {{due}} (
    suspect boolean NOT NULL,
    due_at timestamptz NOT NULL,
    key bigint NOT NULL,
    PRIMARY KEY (suspect, due_at, key)
) WITH ({_OFTEN})""",
    # One row for each batch in hand.
    f"""\
CREATE TABLE {{leases}} (
    token text COLLATE "C" PRIMARY KEY,
    expires_at timestamptz NOT NULL,
    owner text NOT NULL, -- host:pid:random of the scheduler that holds it
    keys bigint[] NOT NULL
) WITH ({_OFTEN})""",
    *(f"CREATE INDEX {name} ON {where}" for name, where in FIRST_INDEXES.items()),
    _SCHEDULE,
    "INSERT INTO {version} (version, usable_from) VALUES (1, 1)",
)

_SECOND: Final = (
    # What created_at was before it was moved, to tell repeats by; those of version 1 do without.
    "ALTER TABLE {messages} ADD COLUMN given_at timestamptz",
    "UPDATE {version} SET version = 2",
)

# Rows stored before are left as they are: checking all of them would hold everybody up.
_THIRD: Final = (
    _SCHEDULE,
    *(
        f"ALTER TABLE {{messages}} ADD CONSTRAINT {constraint(name)} "
        f"{_MOMENT.format(name)} NOT VALID"
        for name in CHECKED_LATER
    ),
    "UPDATE {version} SET version = 3",
)

_FOURTH: Final = (
    # What is to become of the messages in it, that were locked when it was to; null: in hand.
    "ALTER TABLE {leases} ADD COLUMN outcome text",
    "UPDATE {version} SET version = 4",
)

# What few messages have; null where there is nothing to tell, as for all that is there already.
_SELDOM: Final = {
    "postpone_count": "bigint",
    "put_back": "smallint",  # 1: a fire of a series with jitter that was claimed before
    "died_at": "timestamptz",
    "error_class": "text",
    "successor": "text",  # what follows a series, as JSON
    "cut": "timestamptz",  # up to when the series itself holds, where something follows it
}

# Who declared a series, and with which generation; a message that is moved is still theirs.
_DECLARED: Final = {"declared_by": 'text COLLATE "C"', "generation": "bigint"}

# To move or replay a message is to begin anew. It alone gives a message another key, and those who
# do it may be of the version before and leave these columns as they are.
_MOVED: Final = f"""\
CREATE OR REPLACE FUNCTION {{moved}} () RETURNS trigger LANGUAGE plpgsql AS $duly$
BEGIN
    {" ".join(f"NEW.{name} := NULL;" for name in _SELDOM)}
    RETURN NEW;
END
$duly$"""

_FIFTH: Final = (
    "ALTER TABLE {messages} "
    + ", ".join(f"ADD COLUMN {name} {kind}" for name, kind in (_SELDOM | _DECLARED).items()),
    # The newest generation that each has declared.
    """\
CREATE TABLE {floors} (
    declared_by text COLLATE "C" PRIMARY KEY,
    generation bigint NOT NULL
)""",
    # What stands aside, of each event name in a line of its own.
    f"""\
CREATE TABLE {{aside}} (
    event_name text COLLATE "C" NOT NULL,
    due_at timestamptz NOT NULL,
    key bigint NOT NULL,
    PRIMARY KEY (event_name, due_at, key)
) WITH ({_OFTEN})""",
    # Whether anything may be moved there: schedulers of older versions would not find it.
    "ALTER TABLE {version} ADD COLUMN lines boolean NOT NULL DEFAULT false",
    _MOVED,
    """\
CREATE TRIGGER duly_moved BEFORE UPDATE OF key ON {messages}
FOR EACH ROW EXECUTE FUNCTION {moved} ()""",
    "UPDATE {version} SET version = 5",
)

STEPS: Final[tuple[tuple[str, ...], ...]] = (_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH)
"""The statements that bring a schema from version 0, which is nothing, to 1, and so on."""

VERSION: Final = len(STEPS)
"""The version of the schema that this code makes. One usable only by later code is refused."""
