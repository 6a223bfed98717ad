"""The function by which callers of any language schedule."""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from typing import Final

from duly.message import METADATA_LIMIT, UNREADABLE
from duly_postgres.columns import IN_YEARS, SOON

__all__ = ["SCHEDULE"]

_CONTROL: Final = r"[\u0001-\u001f\u007f-\u009f]"
"""Control characters, as a regular expression of PostgreSQL."""

# It makes the same checks as Message; see there.
SCHEDULE: Final = f"""\
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
