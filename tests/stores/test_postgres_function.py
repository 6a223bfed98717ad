"""The function by which callers of any language schedule, in transactions of their own."""

import asyncio
import base64
import json
import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest
from tests.servers.postgres import folder_of_programs
from tests.stores.postgres_kit import Place, group, ids, place

import duly
from duly import Filter
from duly_postgres import PostgresStore

__all__ = ["place"]


@pytest.fixture
async def store(place: Place) -> AsyncIterator[PostgresStore]:
    async with place.opened() as store:
        yield store


class TestFunction:
    """What any language can call, here as a synchronous client: psql."""

    async def test_from_psql(self, store: PostgresStore, place: Place) -> None:
        folder = folder_of_programs()
        assert folder is not None
        script = f"""
            BEGIN;
            SELECT {place.table}_schedule(
                'orders.reminder', convert_to('{{"order": 17}}', 'UTF8'),
                now() + interval '1 hour', id => 'order-17', metadata => '{{"shop": "north"}}');
            COMMIT;
            BEGIN;
            SELECT {place.table}_schedule('orders.reminder', id => 'order-18');
            ROLLBACK;
        """
        done = await asyncio.to_thread(
            subprocess.run,
            [str(folder / "psql"), "-qAt", "-v", "ON_ERROR_STOP=1", place.url, "-c", script],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["order-17", "order-18"]
        (message,) = await store.list(Filter())
        assert (message.id, message.event_name) == ("order-17", "orders.reminder")
        assert json.loads(message.payload) == {"order": 17}
        assert message.metadata == {"shop": "north"}
        assert timedelta(minutes=59) < message.scheduled_at - message.created_at

    async def test_what_it_stores_is_delivered(self, place: Place) -> None:
        got: list[duly.Envelope] = []
        arrived = asyncio.Event()

        async def handle(envelope: duly.Envelope) -> None:
            got.append(envelope)
            arrived.set()

        async with (
            duly.Scheduler(f"{place.url}?table={place.table}", handle) as scheduler,
            scheduler.running(),
            place.connection() as connection,
        ):
            id = await connection.fetchval(f"SELECT {place.table}_schedule('tick')")
            await asyncio.wait_for(arrived.wait(), 10)
        assert [(each.message_id, each.payload, dict(each.metadata)) for each in got] == [
            (id, b"", {})
        ]

    @pytest.mark.parametrize(
        "arguments",
        [
            "NULL",
            "''",
            f"'{'x' * 256}'",
            "E'a\\nb'",
            "'e', id => ''",
            f"'e', id => '{'x' * 256}'",
            "'e', id => E'a\\u0085'",
            "'e', NULL",
            "'e', scheduled_at => NULL",
            "'e', metadata => NULL",
            "'e', metadata => '[]'",
            "'e', metadata => '{\"a\": 1}'",
            "'e', metadata => jsonb_build_object('a', repeat('x', 70000))",
            "'e', expires_at => now() - interval '1 day'",
            "'e', scheduled_at => 'infinity'",
            "'e', scheduled_at => '10000-01-01'",
            "'e', scheduled_at => '-infinity'",
            "'e', expires_at => 'infinity'",
            "'e', expires_at => '20000-01-01'",
            "'duly.unreadable'",
            "'e', metadata => jsonb_build_object(E'a\\u0001', 'x')",
        ],
    )
    async def test_what_it_refuses(
        self, store: PostgresStore, place: Place, arguments: str
    ) -> None:
        with pytest.raises(asyncpg.InvalidParameterValueError):
            await place.execute(f"SELECT {{t}}_schedule({arguments})")
        assert await ids(store) == []

    @pytest.mark.parametrize(
        "metadata",
        [
            {}, {"": "x"}, {"a": "x\r\ny"}, {"a": '"' * 65_000}, {"a": "x" * 65_535},
            {"a": "x" * 65_536}, {"\u20ac": "\u20ac" * 21_844}, {"\u20ac": "\u20ac" * 21_845},
            {"a\u007f": "x"}, {"a\u2028": "x"}, {"a": "x", "b": "y"},
        ],
        ids=range(11),
    )  # fmt: skip
    async def test_of_metadata_it_takes_what_a_client_takes(
        self, store: PostgresStore, place: Place, metadata: dict[str, str]
    ) -> None:
        try:
            duly.Message("e", metadata=metadata, scheduled_at=duly.after())
        except duly.InvalidMessage:
            taken = False
        else:
            taken = True
        call = f"SELECT {place.table}_schedule('e', id => 'a', metadata => $1::text::jsonb)"
        async with place.connection() as connection:
            if not taken:
                with pytest.raises(asyncpg.InvalidParameterValueError):
                    await connection.execute(call, json.dumps(metadata))
                return
            await connection.execute(call, json.dumps(metadata))
        message = await store.get("a")
        assert message is not None
        assert message.metadata == metadata

    async def test_rows_that_nobody_could_read_are_kept_out(
        self, store: PostgresStore, place: Place
    ) -> None:
        await store.put([group("a")])
        for column in ("expires_at", "next_attempt_at", "given_at"):
            for moment in ("infinity", "-infinity", "20000-01-01"):
                with pytest.raises(asyncpg.CheckViolationError):
                    await place.execute(f"UPDATE {{t}} SET {column} = '{moment}'")

    async def test_an_id_that_is_taken(self, store: PostgresStore, place: Place) -> None:
        await store.put([group("a")])
        with pytest.raises(asyncpg.UniqueViolationError):
            await place.execute("SELECT {t}_schedule('e', id => 'a')")

    async def test_it_runs_with_the_rights_of_its_caller(
        self, store: PostgresStore, place: Place
    ) -> None:
        (row,) = await place.fetch(
            "SELECT prosecdef, proconfig FROM pg_proc WHERE proname = '{t}_schedule'"
        )
        assert not row["prosecdef"]
        assert row["proconfig"] == ["search_path=pg_catalog, pg_temp"]

    async def test_any_search_path(self, store: PostgresStore, place: Place) -> None:
        await place.execute("SET search_path = pg_temp; SELECT public.{t}_schedule('e', id => 'a')")
        assert await ids(store) == ["a"]

    async def test_bytes_come_as_they_are(self, store: PostgresStore, place: Place) -> None:
        payload = bytes(range(256))
        await place.execute(
            "SELECT {t}_schedule("
            f"'e', decode('{base64.b64encode(payload).decode()}', 'base64'), id => 'a')"
        )
        message = await store.get("a")
        assert message is not None
        assert message.payload == payload
