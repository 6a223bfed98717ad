"""The schema: who may use it, how it is made and brought up to date, and where it is."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from tests.stores.postgres_before import at_version
from tests.stores.postgres_kit import ENDS, Place, place, refusal

import duly
from duly import Filter, Message, after
from duly.store import Group
from duly_postgres import PostgresStore, ddl

__all__ = ["place"]


@pytest.fixture
async def clerk(place: Place) -> AsyncIterator[str]:
    """The address by which a user comes in who was granted nothing yet."""
    name = f"{place.table}_clerk"
    await place.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{name}'")
    yield re.sub(r"//[^@]*@", f"//{name}:{name}@", place.url) + f"?table={place.table}"
    await place.execute(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


class TestGrants:
    async def test_what_is_lacking_is_listed(self, place: Place, clerk: str) -> None:
        async with place.opened():
            pass
        await place.execute(
            "GRANT SELECT, INSERT, UPDATE ON {t}, {t}_due, {t}_aside, {t}_leases TO {t}_clerk",
            "GRANT SELECT ON {t}_version TO {t}_clerk",
        )
        told = await refusal(clerk)
        assert 'GRANT DELETE ON "public"' in told
        assert "INSERT" not in told

    async def test_tables_it_may_not_even_see(self, place: Place, clerk: str) -> None:
        async with place.opened():
            pass
        assert "grant" in await refusal(clerk)

    async def test_no_more_than_these_is_needed(self, place: Place, clerk: str) -> None:
        async with place.opened():
            pass
        await place.execute(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON {t}, {t}_due, {t}_aside, {t}_leases TO {t}_clerk",
            "GRANT SELECT ON {t}_version TO {t}_clerk",
        )
        async with duly.Client(clerk) as client:
            await client.schedule(Message("event", id="a", scheduled_at=after(days=1)))
            await client.reschedule("a", after(days=2))
            assert await client.cancel("a")
            assert await client.migrate() == []

    async def test_no_right_to_make_tables(self, place: Place, clerk: str) -> None:
        await place.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        assert "grant" in await refusal(clerk)


class TestMigrating:
    async def test_nothing_is_made_that_was_not_asked_for(self, place: Place) -> None:
        told = await refusal(f"{place.url}?table={place.table}&auto_migrate=false")
        assert "migrate(dry_run=True)" in told
        assert await place.fetch("SELECT FROM pg_class WHERE relname = '{t}'") == []

    async def test_by_hand(self, place: Place) -> None:
        store = place.store(auto_migrate="false")
        statements = await store.migrate(dry_run=True)
        assert await place.fetch("SELECT FROM pg_class WHERE relname = '{t}'") == []
        async with place.connection() as connection:
            await connection.execute(";\n".join(statements))  # as from a file
        assert await store.migrate(dry_run=True) == []
        await store.open()
        assert await store.put([Group([Message("event", scheduled_at=after())])]) == [None]
        await store.close()

    async def test_by_the_verb(self, place: Place) -> None:
        store = place.store(auto_migrate="false")
        wanted = await store.migrate(dry_run=True)
        assert await store.migrate() == wanted
        assert await store.migrate() == []
        async with place.opened(auto_migrate="false") as opened:
            assert (await opened.stats()).scheduled == 0

    async def test_an_old_schema(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        async with place.opened() as store:
            await store.put([Group([Message("event", id="old", scheduled_at=after(days=1))])])
        newer = ddl.VERSION + 1
        step = (
            "ALTER TABLE {messages} ADD COLUMN newer text",
            f"UPDATE {{version}} SET version = {newer}",
        )
        monkeypatch.setattr("duly_postgres.schema.STEPS", (*ddl.STEPS, step))
        monkeypatch.setattr("duly_postgres.schema.VERSION", newer)
        told = await refusal(f"{place.url}?table={place.table}&auto_migrate=false")
        assert f"is of version {ddl.VERSION}, not {newer}" in told
        assert len(await place.store().migrate(dry_run=True)) == 2
        stores = [place.store() for _ in range(3)]
        await asyncio.gather(*(store.open() for store in stores))
        assert [each.id for each in await stores[0].list(Filter())] == ["old"]
        await asyncio.gather(*(store.close() for store in stores))

    async def test_the_first_schema_and_who_goes_on_with_it(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as old:
            at_version(old, 1)
            assert await place.store().migrate()
        for id in ("a", "b"):
            await self._store_as_version_1(place, id)
        async with place.opened() as store:
            await self._store_as_version_1(place, "c")
            found = await store.list(Filter())
            assert sorted(each.id for each in found) == ["a", "b", "c"]
            for replace in (False, True):
                assert await store.put([Group(found, replace)]) == [None]
            assert await store.list(Filter()) == found
            batch = await store.claim(limit=9, lease=timedelta(minutes=1), owner="new")
            assert sorted(each.message.id for each in batch.claims) == ["a", "b", "c"]

    async def _store_as_version_1(self, place: Place, id: str) -> None:
        await place.execute(
            f"""
            WITH m AS (
                INSERT INTO {{t}} (
                    due_at, format, id, event_name, payload, metadata, scheduled_at, created_at,
                    expires_at, recurrence, next_attempt_at, delivery_id, trace_context
                ) VALUES (now(), 1, '{id}', 'event', '', '', now(), now(), NULL, NULL, now(), NULL, '')
                RETURNING due_at, key
            )
            INSERT INTO {{t}}_due (suspect, due_at, key) SELECT false, due_at, key FROM m"""
        )

    async def test_many_at_once(self, place: Place) -> None:
        stores = [place.store() for _ in range(8)]
        await asyncio.gather(*(store.open() for store in stores))
        assert len(await place.fetch("SELECT * FROM {t}_version")) == 1
        await asyncio.gather(*(store.close() for store in stores))

    async def test_one_who_dies_in_the_middle_leaves_nothing(self, place: Place) -> None:
        broken = [*await place.store().migrate(dry_run=True), "SELECT 1 / 0"]
        async with place.connection() as connection:
            with pytest.raises(asyncpg.DivisionByZeroError):
                async with connection.transaction():
                    for statement in broken:
                        await connection.execute(statement)
        async with place.opened() as store:
            assert (await store.stats()).scheduled == 0


class TestPlaces:
    async def test_a_schema_of_its_own(self, place: Place) -> None:
        await place.execute("CREATE SCHEMA {t}_s")
        async with place.opened(schema=f"{place.table}_s") as store:
            await store.put([Group([Message("event", scheduled_at=after())])])
        assert len(await place.fetch("SELECT * FROM {t}_s.{t}")) == 1
        assert (
            await place.fetch(
                "SELECT FROM pg_tables WHERE tablename = '{t}' AND schemaname = 'public'"
            )
            == []
        )
        await place.execute("DROP SCHEMA {t}_s CASCADE")

    async def test_found_along_the_search_path(self, place: Place) -> None:
        async with place.opened() as store:
            await store.put([Group([Message("event", scheduled_at=after())])])
        await place.execute("CREATE SCHEMA {t}_s")
        engine = create_async_engine(
            place.url.replace("postgresql:", "postgresql+asyncpg:"),
            connect_args={"server_settings": {"search_path": f"{place.table}_s, public"}},
        )
        store = PostgresStore(engine, table=place.table)
        await store.open()
        assert (await store.stats()).scheduled == 1
        await store.close()
        await engine.dispose()
        await place.execute("DROP SCHEMA {t}_s CASCADE")

    async def test_tables_side_by_side(self, place: Place) -> None:
        other = Place(place.url)
        async with place.opened() as one, other.opened() as two:
            message = Message("event", id="a", scheduled_at=after())
            assert await one.put([Group([message])]) == [None]
            assert await two.put([Group([message])]) == [None]
            await one.cancel(["a"])
            assert (await two.stats()).scheduled == 1
        await other.drop()

    async def test_an_odd_name(self, place: Place) -> None:
        place.table = place.table.upper()[:8] + "SELECT"
        async with place.opened() as store:
            await store.put([Group([Message("event", scheduled_at=after())])])
            assert (await store.stats()).scheduled == 1
        quoted = ", ".join(f'"{place.table}{end}"' for end in ENDS)
        functions = ", ".join(f'"{place.table}_{end}"' for end in ("schedule", "moved"))
        await place.execute(f"DROP TABLE {quoted}", f"DROP FUNCTION {functions}")
