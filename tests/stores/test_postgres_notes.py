"""Notes in PostgreSQL: the table may be missing, or be closed to a user, and all else works."""

from collections.abc import AsyncIterator

import pytest
from tests.stores.postgres_kit import Place, due, place

from duly import StoreError
from duly_postgres import PostgresStore, ddl

__all__ = ["place"]

OTHERS = "{t}, {t}_due, {t}_aside, {t}_leases"


async def works(store: PostgresStore) -> None:
    """What needs no notes does."""
    assert await store.put([due("a")]) == [None]
    assert (await store.stats()).scheduled == 1
    assert await store.lapse("nobody") == 0
    assert list(await store.cancel(["a"])) != [None]


@pytest.fixture
async def clerk(place: Place) -> AsyncIterator[Place]:
    """Somebody who owns nothing and may do all that needs no notes."""
    name = f"{place.table}_clerk"
    async with place.opened():
        pass
    await place.execute(
        f"CREATE ROLE {name} LOGIN",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {OTHERS} TO {name}",
        f"GRANT SELECT ON {{t}}_version TO {name}",
    )
    yield Place(place.url.replace("postgres@", f"{name}@"), place.table)
    await place.execute(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


async def test_its_owner_adds_the_table(place: Place) -> None:
    """To tables that a version under way has made."""
    async with place.opened():
        pass
    await place.execute("DROP TABLE {t}_notes")
    async with place.opened() as store:
        assert await store.write_note("a", b"1", None) is not None
        assert list(await store.notes("")) == ["a"]
        assert await store.migrate(dry_run=True) == []


async def test_migrating_adds_the_table(place: Place) -> None:
    async with place.opened():
        pass
    await place.execute("DROP TABLE {t}_notes")
    async with place.opened(auto_migrate="false") as store:
        await works(store)
        with pytest.raises(StoreError, match=r"a table is missing: await client.migrate\(\)"):
            await store.write_note("a", b"1", None)
        assert await store.migrate(dry_run=True) == [place.names(ddl.NOTES)]
        assert await store.migrate() == [place.names(ddl.NOTES)]
        assert await store.write_note("a", b"1", None) is not None
        assert await store.migrate() == []


async def test_who_may_not_make_the_table_goes_on_without(place: Place, clerk: Place) -> None:
    await place.execute("DROP TABLE {t}_notes")
    async with clerk.opened() as store:
        await works(store)
        assert await store.read_note("a") is None
        assert await store.notes("") == {}
        with pytest.raises(StoreError, match=r"a table is missing: await client.migrate\(\)"):
            await store.write_note("a", b"1", None)
        assert await store.migrate() == []
        await works(store)


async def test_who_has_no_grant_goes_on_without(place: Place, clerk: Place) -> None:
    async with clerk.opened() as store:
        await works(store)
        for call in (store.read_note("a"), store.write_note("a", b"1", None), store.notes("")):
            with pytest.raises(StoreError, match="lacks a grant.*_notes"):
                await call
        await place.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON {t}_notes TO {t}_clerk")
        revision = await store.write_note("a", b"1", None)
        assert await store.write_note("a", b"2", revision) is not None
        found = await store.notes("")
        assert await store.write_note("a", None, found["a"].revision) is not None
        await works(store)


async def test_a_table_of_somebody_else_is_named(place: Place) -> None:
    await place.execute("CREATE TABLE {t}_notes (title text)")
    with pytest.raises(StoreError, match="_notes: there is no table of versions"):
        await place.store().open()
