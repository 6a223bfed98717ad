"""Makes the tables in a database, and checks that they are there."""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from collections.abc import Sequence
from typing import Final

from duly import StoreError
from duly.record import Record
from duly.store import unhurried
from duly_postgres.columns import MARK
from duly_postgres.connection import Connection
from duly_postgres.ddl import AFTERWARDS, NOTES, STEPS, VERSION
from duly_postgres.later import do, to_do, validated
from duly_postgres.marking import marked
from duly_postgres.migrating import COMMAND, in_turn, patiently
from duly_postgres.names import Names
from duly_postgres.usable import newer

__all__ = ["migrate", "prepare"]

_FOUND: Final = """\
SELECT c.relname FROM pg_class AS c
WHERE c.relnamespace = to_regnamespace($1) AND c.relname = ANY ($2::text[]) ORDER BY c.relname"""

_OTHERS: Final = ("due", "leases", "floors", "aside", "notes", "version")

_VERSIONS: Final = "SELECT max(version) AS version, max(usable_from) AS usable_from FROM {version}"

_PROBE: Final = f"""\
SELECT FROM
    (
        SELECT key, due_at, lapses, dead, successor, cut, declared_by, generation,
            {", ".join(Record._fields)}
        FROM {{messages}} LIMIT 0
    ) AS m,
    (SELECT suspect, due_at, key FROM {{due}} LIMIT 0) AS d,
    (SELECT token, expires_at, owner, keys, outcome FROM {{leases}} LIMIT 0) AS l,
    (SELECT event_name, due_at, key FROM {{aside}} LIMIT 0) AS a,
    (SELECT lines FROM {{version}} LIMIT 0) AS v"""
"""It succeeds if the tables have the columns that are needed."""

_LACKING: Final = """\
SELECT privilege || ' ON ' || name AS lacking
FROM (VALUES ('{messages}'), ('{due}'), ('{leases}'), ('{aside}')) AS tables (name),
    unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
WHERE NOT has_table_privilege(to_regclass(name), privilege)
UNION ALL SELECT 'SELECT ON {version}' WHERE NOT has_table_privilege('{version}', 'SELECT')"""

# Tables may lack it that had all others from a version under way; only their owner may add it.
_LACKS_NOTES: Final = """\
SELECT FROM pg_class
WHERE oid = to_regclass('{messages}') AND to_regclass('{notes}') IS NULL
    AND pg_has_role(relowner, 'USAGE') AND has_schema_privilege(relnamespace, 'CREATE')"""

_WHAT_TO_DO: Final = (
    f"as a user who may make tables, {COMMAND}; migrate(dry_run=True) lists the statements instead"
)

_LOCK: Final = "SELECT pg_advisory_xact_lock($1::bigint)"


async def migrate(db: Connection, names: Names, *, dry_run: bool) -> Sequence[str]:
    """The statements that bring the schema up to date; run, unless ``dry_run``.

    If several processes start at once, one runs them and the others find them done. Work that must
    read every message comes afterwards, while all others can go on.
    """
    version = await _version(db, names)
    mark = [] if not version or await marked(db, names, version) else [names(MARK)]
    steps = await _steps(db, names, version)
    if dry_run:
        return [*steps, *await to_do(db, names, version), *mark]
    made = await _make(db, names) if steps else []
    later = await to_do(db, names, VERSION)
    if later:
        await do(db, names)
    for statement in mark:  # last, so that old rows that nobody can read stand in the main line
        await in_turn(db, statement)
    return [*made, *later, *mark]


async def prepare(db: Connection, names: Names, *, auto_migrate: bool) -> bool:
    """Check that the schema is current and may be used; make it if that is wanted.

    Returns whether :func:`~duly_postgres.later.do` has something to do.

    Raises:
        StoreError: it is not; the text says what to run.
    """
    version = await _version(db, names)
    if version < VERSION:
        if not auto_migrate:
            state = f"is of version {version}, not {VERSION}" if version else "is not there"
            raise StoreError(f"PostgreSQL, {names}: the schema {state}: {_WHAT_TO_DO}")
        with unhurried():
            await _make(db, names)
        version = VERSION
    elif auto_migrate and await _steps(db, names, version):
        await _make(db, names)
    if lacking := [row["lacking"] for row in await db.fetch(names(_LACKING))]:
        raise StoreError(
            f"PostgreSQL, {names}: this user lacks rights that are needed: "
            f"GRANT {'; GRANT '.join(lacking)} to it"
        )
    return auto_migrate and bool(await to_do(db, names, version))


async def _make(db: Connection, names: Names) -> Sequence[str]:
    async def make() -> Sequence[str]:
        await db.fetch(_LOCK, names.lock)
        version = await _version(db, names)
        made = await _steps(db, names, version)
        for statement in made:
            await db.fetch(statement)
        return made if version else [*made, *await validated(db, names)]

    return await patiently(db, make)


async def _steps(db: Connection, names: Names, version: int) -> Sequence[str]:
    """The statements that a schema of that version lacks."""
    steps = STEPS[version:] if version else (*STEPS, AFTERWARDS)
    if version == VERSION and await db.fetch(names(_LACKS_NOTES)):
        steps = ((NOTES,),)
    return [names(statement) for step in steps for statement in step]


async def _version(db: Connection, names: Names) -> int:
    """The version of the existing schema: 0 for none, at most :data:`VERSION`."""
    tables = [names.table, *(f"{names.table}_{each}" for each in _OTHERS)]
    found = [row["relname"] for row in await db.fetch(_FOUND, f'"{names.schema}"', tables)]
    if not found:
        return 0
    if f"{names.table}_version" not in found:
        raise _foreign(names, found, "there is no table of versions")
    try:
        (row,) = await db.fetch(names(_VERSIONS))
        version, usable_from = row["version"], row["usable_from"]
        if isinstance(usable_from, int) and usable_from > VERSION:
            raise newer(names, usable_from)
        if version == VERSION:
            await db.fetch(names(_PROBE))
    except db.WRONG_TABLE as error:
        raise _foreign(names, found, str(error)) from error
    if not isinstance(version, int):
        raise _foreign(names, found, "it names no version")
    return min(version, VERSION)


def _foreign(names: Names, found: Sequence[str], reason: str) -> StoreError:
    return StoreError(
        f"PostgreSQL, {names}: it has tables that are not what duly makes ({', '.join(found)}: "
        f"{reason}): choose another table or schema, or remove them"
    )
