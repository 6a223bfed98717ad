"""Opening: what is made, what is found, and what cannot be used, each told in a sentence."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from tests.servers.postgres import PostgresServer, execute, with_database
from tests.servers.process import free_port
from tests.stores.postgres_kit import ENDS, Place, place, refusal

import duly
from duly import InvalidArgument, Message, StoreError, StoreUnavailable, after
from duly_postgres import PostgresStore, connector
from duly_postgres.plugin import store_from_url

__all__ = ["place"]


class TestURLs:
    @pytest.mark.parametrize(
        ("url", "told"),
        [
            ("postgresql://h/db?tabel=x", "auto_migrate, schema, table, tls"),
            ("postgresql://h/db?table=drop table", "letters"),
            ("postgresql://h/db?table=1st", "letters"),
            ("postgresql://h/db?table=", "letters"),
            ("postgresql://h/db?table=" + "x" * 60, "1 to 48 letters"),
            ('postgresql://h/db?schema=a"b', "letters"),
            ("postgresql://h/db?auto_migrate=maybe", "neither true nor false"),
            ("postgresql://h/db/other", "one database"),
            ("postgresql://h/db?tls_ca=/nowhere", "without tls=true"),
            ("postgresql://h/db?tls=true&tls_ca=/nowhere", "no file"),
            ("postgresql://h:x/db", "port"),
        ],
    )
    def test_what_can_never_work(self, url: str, told: str) -> None:
        with pytest.raises(InvalidArgument, match=re.escape(told)):
            store_from_url(url)

    @pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
    async def test_the_schemes(self, place: Place, scheme: str) -> None:
        url = place.url.replace("postgresql:", f"{scheme}:")
        async with duly.Client(f"{url}?table={place.table}") as client:
            await client.schedule(Message("event", scheduled_at=after()))
            assert (await client.stats()).scheduled == 1

    @pytest.mark.parametrize("engine", [None, "postgresql://h/db", object()])
    def test_no_engine(self, engine: object) -> None:
        with pytest.raises(InvalidArgument, match="create_async_engine"):
            PostgresStore(engine)  # type: ignore[arg-type]  # what is wrong is what is tried

    def test_no_password_is_shown(self) -> None:
        store = store_from_url("postgresql://user:secret@host/db")
        assert "secret" not in repr(store)
        assert "secret" not in repr(vars(store))


async def test_a_password_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with PostgresServer() as server:
        url, database = server.url, server.url.rpartition("/")[2]
        port = urlsplit(url).port
        await execute(url, "CREATE ROLE shop SUPERUSER LOGIN PASSWORD 'of-the-shop'")
        (server.folder / "data" / "pg_hba.conf").write_text(
            "host all shop 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
        )
        await execute(url, "SELECT pg_reload_conf()")
        (file := tmp_path / "passwords").write_text(f"127.0.0.1:{port}:*:shop:of-the-shop\n")
        file.chmod(0o600)
        for name, value in {"HOST": "127.0.0.1", "PORT": str(port), "USER": "shop"}.items():
            monkeypatch.setenv(f"PG{name}", value)
        with pytest.raises(asyncpg.InvalidPasswordError):
            while True:  # until the server has read its rules again
                await (await asyncpg.connect(database=database)).close()
        assert "not let in" in await refusal(f"postgresql:///{database}")
        monkeypatch.setenv("PGPASSFILE", str(file))
        for whole in (
            f"postgresql:///{database}",
            f"postgresql://shop@127.0.0.1:{port}/{database}",
        ):
            async with duly.Client(whole) as client:
                assert (await client.stats()).scheduled == 0


class TestRefused:
    async def test_nobody_there(self) -> None:
        told = await refusal(f"postgresql://u:secret@127.0.0.1:{free_port()}/db", StoreUnavailable)
        assert "cannot be reached" in told
        assert "secret" not in told

    async def test_missing_database(self, postgres_url: str) -> None:
        assert "create it" in await refusal(with_database(postgres_url, "nowhere"))

    async def test_unknown_user(self, postgres_url: str) -> None:
        url = re.sub(r"//[^@]*@", "//nobody_at_all@", postgres_url)
        assert "not let in" in await refusal(url)

    async def test_missing_schema(self, place: Place) -> None:
        assert "the schema does not exist" in await refusal(f"{place.url}?schema=nowhere")

    @pytest.mark.parametrize("end", ENDS)
    async def test_a_table_that_is_not_ours(self, place: Place, end: str) -> None:
        await place.execute(f"CREATE TABLE {{t}}{end} (id text)")
        told = await refusal(f"{place.url}?table={place.table}")
        assert "not what duly makes" in told
        assert f"{place.table}{end}" in told
        assert await place.fetch(f"SELECT * FROM {{t}}{end}") == []

    async def test_a_column_that_is_missing(self, place: Place) -> None:
        async with place.opened():
            pass
        await place.execute("ALTER TABLE {t} RENAME COLUMN lapses TO other")
        assert "not what duly makes" in await refusal(f"{place.url}?table={place.table}")

    async def test_a_schema_of_a_newer_duly(self, place: Place) -> None:
        async with place.opened():
            pass
        await place.execute("UPDATE {t}_version SET version = 99")
        async with place.opened():  # which says that it may be used by older ones
            pass
        await place.execute("UPDATE {t}_version SET usable_from = 98")
        assert "upgrade it" in await refusal(f"{place.url}?table={place.table}")

    async def test_a_version_table_that_is_empty(self, place: Place) -> None:
        async with place.opened():
            pass
        await place.execute("DELETE FROM {t}_version")
        assert "names no version" in await refusal(f"{place.url}?table={place.table}")

    async def test_a_server_that_is_too_old(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connector, "_OLDEST", 990000)  # no server that old can be had
        assert "at least 99 is needed" in await refusal(place.url)

    async def test_another_encoding(self, place: Place) -> None:
        name = f"{place.table}_latin"
        await place.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'"
        )
        try:
            assert "LATIN1" in await refusal(with_database(place.url, name))
        finally:
            await place.execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def test_tls_that_the_server_has_not(
        self, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with place.connection() as connection:
            if await connection.fetchval("SELECT current_setting('ssl')") == "on":
                assert "certificate" in await refusal(f"{place.url}?tls=true", StoreUnavailable)
                return
        assert "SSL" in await refusal(f"{place.url}?tls=true", StoreUnavailable)

    async def test_the_caller_may_go_on_after_a_refusal(self, place: Place) -> None:
        await place.execute("CREATE TABLE {t} (id text)")
        store = place.store()
        for _ in range(2):
            with pytest.raises(StoreError, match="not what duly makes"):
                await store.open()
        await place.execute("DROP TABLE {t}")
        await store.open()
        assert (await store.stats()).scheduled == 0
        await store.close()


class TestPasswords:
    async def test_wrong_password(self) -> None:
        with PostgresServer() as server:
            connection = await asyncpg.connect(server.url)
            await connection.execute("CREATE USER shop PASSWORD 'right'")
            await connection.execute("CREATE TABLE hba (line text)")
            await connection.close()
            hba = server.folder / "data" / "pg_hba.conf"
            hba.write_text("host all shop 127.0.0.1/32 scram-sha-256\n" + hba.read_text())
            connection = await asyncpg.connect(server.url)
            await connection.execute("SELECT pg_reload_conf()")
            await connection.execute("GRANT ALL ON SCHEMA public TO shop")
            await connection.close()
            url = server.url.replace("postgres@", "shop:{}@")
            told = await refusal(url.format("wr0ng"))
            assert "not let in" in told
            assert "wr0ng" not in told
            store = store_from_url(url.format("right"))
            await store.open()
            await store.close()


def test_ssl_is_what_the_options_say(tmp_path: Path) -> None:
    """The context goes to the driver as it is."""
    from duly.tls import TLS
    from duly_postgres.clients import engine_for, take_apart

    url, options = take_apart("postgresql://a,b:5433/db?tls=true")
    assert options["tls"] == TLS()
    assert engine_for(url, options["tls"]).url.database == "db"
