"""A server that falls silent, or writes no more, and an application that keeps its own pool busy."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from tests.stores.postgres_kit import Place, cut, due, place

from duly import StoreUnavailable
from duly.testing import Gate
from duly.url import parse
from duly_postgres import PostgresStore, connections, notifying
from duly_postgres.plugin import store_from_url

__all__ = ["place"]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # it happens in tasks of the store's own
            await asyncio.sleep(0.01)


class Behind:
    """A store behind a gate; what it waits for an answer is short."""

    def __init__(self, store: PostgresStore, gate: Gate) -> None:
        self.store = store
        self.gate = gate
        self.desk = store._desk

    def freeze_before(
        self, function: Callable[[], Awaitable[None]]
    ) -> Callable[..., Awaitable[None]]:
        """The same, with nothing passed on from then on."""

        async def frozen() -> None:
            self.gate.freeze()
            await function()

        return frozen


@pytest.fixture
async def behind(place: Place, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Behind]:
    monkeypatch.setattr(notifying, "_PATIENCE", 0.3)
    monkeypatch.setattr(notifying, "_LAST_WORDS", 0.3)
    monkeypatch.setattr(connections, "_GRACE", 0.3)
    url = parse(place.url)
    ((_, port),) = url.hosts
    async with Gate(port or 5432) as gate:
        user = f"{url.username}@" if url.username else ""
        there = f"postgresql://{user}127.0.0.1:{gate.port}{url.path}?table={place.table}"
        store = store_from_url(there)
        await store.open()
        try:
            yield Behind(store, gate)
        finally:
            gate.thaw()
            await store.close()


class TestNotes:
    async def test_one_without_an_answer_does_not_keep_a_store_from_closing(
        self, behind: Behind
    ) -> None:
        send = behind.desk.notifier._send
        behind.desk.notifier._send = behind.freeze_before(send)  # type: ignore[arg-type]  # a stand-in
        await behind.store.put([due("a")])
        await asyncio.wait_for(behind.store.close(), 20)

    async def test_one_without_an_answer_is_told_and_the_next_goes_another_way(
        self, behind: Behind
    ) -> None:
        notifier = behind.desk.notifier
        send = notifier._send
        notifier._send = behind.freeze_before(send)  # type: ignore[arg-type]  # a stand-in
        await behind.store.put([due("a")])
        await until(lambda: notifier.trouble is not None)
        behind.gate.thaw()
        notifier._send = send
        assert any("are not told at present" in each for each in await behind.store.check())
        await behind.store.put([due("b")])
        await until(lambda: notifier.trouble is None)
        assert not any("are not told" in each for each in await behind.store.check())

    async def test_one_who_cannot_begin_to_listen_is_told_and_tries_again(
        self, behind: Behind
    ) -> None:
        connect = behind.desk._connector.connect

        async def connect_and_freeze() -> object:
            connection = await connect()
            behind.gate.freeze()
            return connection

        behind.desk._connector.connect = connect_and_freeze  # type: ignore[assignment, method-assign]  # a stand-in
        waiting = asyncio.create_task(behind.store.wait_for_change())
        await until(lambda: any("not woken" in each for each in behind.desk.doubts()))
        behind.desk._connector.connect = connect  # type: ignore[method-assign]  # a stand-in
        behind.gate.thaw()
        await until(lambda: not any("not woken" in each for each in behind.desk.doubts()))
        await asyncio.wait_for(waiting, 20)


class TestReadOnly:
    @pytest.fixture
    async def other(self, place: Place) -> AsyncIterator[Place]:
        """A database of its own, whose settings concern nobody else."""
        name = f"reads_{secrets.token_hex(4)}"
        await place.execute(f"CREATE DATABASE {name}")
        base, _, _ = place.url.rpartition("/")
        yield Place(f"{base}/{name}")
        await place.execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def set(self, place: Place, other: Place, *, only_reads: bool) -> None:
        name = other.url.rpartition("/")[2]
        how = "SET default_transaction_read_only = on" if only_reads else "RESET ALL"
        await place.execute(f"ALTER DATABASE {name} {how}")

    async def test_a_setting_is_told_from_a_standby_and_ends_when_it_ends(
        self, place: Place, other: Place
    ) -> None:
        async with other.opened() as store:
            await store.put([due("a")])
            await self.set(place, other, only_reads=True)
            await cut(other)
            for _ in range(5):  # those that were kept are found out to be cut, one by one
                with pytest.raises(StoreUnavailable) as told:
                    await store.put([due("b")])
            assert "default_transaction_read_only is on" in str(told.value)
            await self.set(place, other, only_reads=False)
            assert await store.put([due("b")]) == [None]

    async def test_connections_that_only_read_by_now_are_not_kept(self, other: Place) -> None:
        """As those to a primary that has stepped down without a restart."""
        async with other.opened() as store:
            await asyncio.gather(*(store.put([due(f"m{n}")]) for n in range(9)))
            for connection in store._desk.callers._idle:
                await connection.driver.execute("SET default_transaction_read_only = on")
            with pytest.raises(StoreUnavailable, match="only reads"):
                await store.put([due("a")])
            for number in range(5):
                assert await store.put([due(f"a{number}")]) == [None]


async def test_an_application_that_keeps_its_pool_busy_stops_nothing(place: Place) -> None:
    engine = create_async_engine(
        place.url.replace("postgresql:", "postgresql+asyncpg:"),
        pool_size=1, max_overflow=0, pool_timeout=1,
    )  # fmt: skip
    async with engine.connect() as connection:
        store = PostgresStore(engine, table=place.table)
        await store.open()
        assert await store.put([due("a")]) == [None]
        batch = await store.claim(limit=1, lease=timedelta(minutes=1), owner="host:1:case")
        assert len(batch.claims) == 1
        await store.close()
        assert (await connection.exec_driver_sql("SELECT 1")).scalar() == 1
    await engine.dispose()
