"""Who is woken by what, and what becomes of it when the connection that listens drops."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.stores.postgres_kit import Place, cut, due, place, until_listening

from duly import Message, State, StoreUnavailable, after
from duly.store import Group
from duly_postgres import PostgresStore

__all__ = ["place"]


@pytest.fixture
async def store(place: Place) -> AsyncIterator[PostgresStore]:
    async with place.opened() as store:
        yield store


class TestWakeups:
    async def test_the_listener_comes_back(self, store: PostgresStore, place: Place) -> None:
        async def heard() -> None:
            await asyncio.wait_for(store.wait_for_change(), 10)

        waiting = asyncio.create_task(heard())
        await until_listening(place)
        await waiting  # it began to listen, and something may have come in before
        await cut(place)
        await heard()  # it listens again, and something may have come in meanwhile
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(heard())
        async with place.opened() as other:
            await other.put([due("a")])
            await waiting

    async def test_that_nobody_listens_is_told(self, store: PostgresStore, place: Place) -> None:
        waiting = asyncio.create_task(store.wait_for_change())  # which begins to listen
        await until_listening(place)
        waiting.cancel()  # or it is done: whoever begins to listen may have missed something
        assert store._desk._listener is not None
        store._desk._listener.trouble = StoreUnavailable("cut")
        assert "schedulers are not woken at present (cut)" in await store.check()

    async def test_what_is_far_off_wakes_nobody(self, store: PostgresStore, place: Place) -> None:
        async with place.connection() as connection:
            notes: list[Any] = []
            await connection.add_listener(
                store._desk.names.channel, lambda *note: notes.append(note)
            )
            far = [Message("event", id=f"far-{n}", scheduled_at=after(days=1)) for n in range(5)]
            await store.put([Group(far)])
            await store.reschedule("far-1", after(days=2), of_state=State.SCHEDULED)
            await connection.execute("SELECT 1")
            assert notes == []
            await store.put([due("near")])
            for _ in range(500):
                await connection.execute("SELECT 1")
                if notes:
                    break
                await asyncio.sleep(0.02)
            assert len(notes) == 1

    async def test_many_notes_become_few(self, store: PostgresStore, place: Place) -> None:
        async with place.connection() as connection:
            notes: list[Any] = []
            await connection.add_listener(
                store._desk.names.channel, lambda *note: notes.append(note)
            )
            for number in range(200):
                await store.put([due(f"m{number}")])
            await store.close()  # sends what is still to be told
            await connection.execute("SELECT 1")
        assert 0 < len(notes) < 190

    async def test_a_client_does_not_listen(self, store: PostgresStore, place: Place) -> None:
        await store.put([due("a")])
        assert (
            len(
                await place.fetch(
                    "SELECT FROM pg_stat_activity WHERE application_name = 'duly' "
                    "AND datname = current_database()"
                )
            )
            <= 2
        )  # a second one tells that something came in

    async def test_schedulers_are_told_with_the_commit(
        self, store: PostgresStore, place: Place
    ) -> None:
        async with place.opened() as waker, place.connection() as connection:
            first = asyncio.create_task(waker.wait_for_change())
            await until_listening(place)
            await asyncio.wait_for(first, 10)  # something may have come in before
            waiting = asyncio.create_task(waker.wait_for_change())
            async with connection.transaction():
                await store.put([due("a")], within=connection)
                await asyncio.sleep(0.05)
                assert not waiting.done()
            await asyncio.wait_for(waiting, 10)
