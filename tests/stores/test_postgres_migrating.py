"""Migrations beside what goes on: locks that others hold, old rows, and code that is too old."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from tests.stores.postgres_before import at_version
from tests.stores.postgres_kit import Place, due, group, ids, place, refusal

import duly
from duly import Filter, Message, State, StoreError, StoreUnavailable
from duly.store import Settle
from duly.testing import Gate
from duly.url import parse
from duly_postgres import PostgresStore, connector, ddl, migrating, usable

__all__ = ["place"]

MINUTE = timedelta(minutes=1)
BAD = {"expires_at": "infinity", "next_attempt_at": "20000-01-01", "given_at": "-infinity"}


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110  # it happens elsewhere
            await asyncio.sleep(0.02)


@pytest.fixture
async def old(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A schema of the version before the checks, with messages."""
    with monkeypatch.context() as then:
        at_version(then, 2)
        async with place.opened() as store:
            await store.put([due(*"abcd")])
    return place


@pytest.fixture
async def holder(old: Place) -> AsyncIterator[asyncpg.Connection]:
    """A transaction that has looked at the messages and is still open."""
    async with old.connection(server_settings={"application_name": "a report"}) as connection:
        await connection.execute(f"BEGIN; SELECT count(*) FROM {old.table}")
        yield connection


class TestLocks:
    async def test_it_waits_however_long_and_holds_nobody_up(
        self, old: Place, holder: asyncpg.Connection
    ) -> None:
        client = duly.Client(old.store(), store_timeout=timedelta(seconds=1))
        opening = asyncio.create_task(client.open())
        tries = await self._tries(old, 2)  # the first was given up after a second
        await old.fetch("SELECT count(*) FROM {t}")
        assert tries >= 2
        assert not opening.done()
        await holder.execute("COMMIT")
        await opening
        assert len(await client.list()) == 4
        await client._calls.store.close()

    async def test_it_gives_up_and_says_who_was_in_the_way(
        self, old: Place, holder: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(migrating, "PATIENCE", 0.0)
        told = await refusal(f"{old.url}?table={old.table}", StoreUnavailable)
        assert re.search(r"hold locks on its tables: .*\d+ \(a report\)", told)
        assert await old.fetch("SELECT version FROM {t}_version") == [(2,)]

    async def _tries(self, place: Place, enough: int) -> int:
        seen = set[Any]()

        async def look() -> bool:
            seen.update(
                row["xact_start"]
                for row in await place.fetch(
                    "SELECT a.xact_start FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) "
                    "WHERE NOT l.granted AND l.relation = to_regclass('{t}')"
                )
            )
            return len(seen) >= enough

        await until(look)
        return len(seen)

    async def test_a_server_that_falls_silent_ends_it(
        self, old: Place, holder: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connector, "_LOOK", 0.1)
        monkeypatch.setattr(connector, "_PATIENCE", 0.5)
        url = parse(old.url)
        ((_, port),) = url.hosts
        async with Gate(port or 5432) as gate:
            there = old.url.replace(f"127.0.0.1:{port}", f"127.0.0.1:{gate.port}")
            store = Place(there, old.table).store()
            opening = asyncio.create_task(store.open())
            await self._tries(old, 1)
            gate.freeze()
            async with asyncio.timeout(20):
                with pytest.raises(StoreUnavailable):
                    await opening
            gate.thaw()
            await store.close()


class TestOldRows:
    @pytest.fixture
    async def broken(self, old: Place) -> Place:
        """Three messages that no duly can read, beside one."""
        await old.execute(
            *(
                f"UPDATE {{t}} SET {column} = '{moment}' WHERE id = '{id}'"
                for id, (column, moment) in zip("abc", BAD.items(), strict=True)
            )
        )
        return old

    async def test_they_keep_nobody_from_opening_and_are_told(self, broken: Place) -> None:
        async with broken.opened() as store:
            await until(lambda: self._validated(broken))
            await until(lambda: self._told(store))
            (told,) = [each for each in await store.check() if "dead letters" in each]
            assert "3 messages" in told
            dead = await store.list(Filter(state=State.DEAD))
            errors = {each.id: str(each.last_error) for each in dead}
            assert sorted(errors) == ["a", "b", "c"]
            for error, (column, moment) in zip(errors.values(), BAD.items(), strict=True):
                assert error.startswith(f"it cannot be read, {column} was {moment}")
            batch = await store.claim(limit=9, lease=MINUTE, owner="me")
            assert [each.message.id for each in batch.claims] == ["d"]
            assert await store.reschedule("a", None, of_state=State.DEAD) is State.DEAD
            batch = await store.claim(limit=9, lease=MINUTE, owner="me")
            assert [each.message.id for each in batch.claims] == ["a"]
        async with broken.opened() as store:
            assert not await self._told(store)

    async def test_the_verb_does_the_same(self, broken: Place) -> None:
        store = broken.store(auto_migrate="false")
        wanted = await store.migrate(dry_run=True)
        assert await store.migrate() == wanted
        assert await self._validated(broken)
        assert await store.migrate() == []
        async with broken.opened(auto_migrate="false") as opened:
            assert len(await opened.list(Filter(state=State.DEAD))) == 3

    async def test_as_a_list_of_statements(self, broken: Place) -> None:
        for statement in await broken.store().migrate(dry_run=True):
            await broken.execute(statement)
        assert await self._validated(broken)
        assert await broken.store().migrate(dry_run=True) == []

    async def test_a_claim_that_comes_first_sets_them_aside(
        self, broken: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def later(*_: object) -> list[str]:
            return []

        monkeypatch.setattr("duly_postgres.desk.do", later)
        async with broken.opened() as store:
            batch = await store.claim(limit=9, lease=MINUTE, owner="me")
            assert [each.message.id for each in batch.claims] == ["d"]
            assert sorted(each.id for each in batch.unreadable) == ["a", "b", "c"]
            assert len(await store.list(Filter(state=State.DEAD))) == 3

    async def test_whoever_owns_nothing_leaves_them(
        self, broken: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Validating needs the owner; opening does not."""
        clerk = f"{broken.table}_clerk"
        monkeypatch.setattr("duly_postgres.desk.do", None)  # it is not even asked
        store = broken.store(auto_migrate="false")
        for statement in (await store.migrate(dry_run=True))[: sum(map(len, ddl.STEPS[2:]))]:
            await broken.execute(statement)
        await broken.execute(
            f"CREATE ROLE {clerk} LOGIN", f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {clerk}"
        )
        there = Place(broken.url.replace("postgres@", f"{clerk}@"), broken.table)
        async with there.opened() as opened:
            assert len(await opened.list(Filter())) == 4
        await broken.execute(f"DROP OWNED BY {clerk}", f"DROP ROLE {clerk}")

    async def _told(self, store: PostgresStore) -> bool:
        return any("dead letters" in each for each in await store.check())

    async def _validated(self, place: Place) -> bool:
        found = await place.fetch(
            "SELECT convalidated FROM pg_constraint "
            "WHERE conrelid = '{t}'::regclass AND contype = 'c' AND conname LIKE '%_at_check'"
        )
        return len(found) >= len(BAD) and all(row[0] for row in found)


class TestIndexes:
    async def test_those_that_are_missing_are_made_beside_what_goes_on(self, place: Place) -> None:
        async with place.opened(auto_migrate="true") as store:
            await store.put([due(*"abc")])
            await place.execute("DROP INDEX {t}_time_idx, {t}_leases_end_idx")
            assert any("indexes are missing" in each for each in await store.check())
        async with place.connection() as holder:
            await holder.execute(
                f"BEGIN; INSERT INTO {place.table}_leases VALUES ('x', now(), '', '{{}}')"
            )
            async with place.opened() as store:
                await until(lambda: self._is_being_made(place))
                assert await store.put([due("d")]) == [None]  # nobody is held up meanwhile
                assert len((await store.claim(limit=9, lease=MINUTE, owner="me")).claims) == 4
                assert not any("indexes are missing" in each for each in await store.check())
                await holder.execute("ROLLBACK")
                await until(lambda: self._complete(place))

    async def test_one_that_was_left_undone_is_made_anew(self, place: Place) -> None:
        async with place.opened():
            pass
        await place.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{t}_time_idx'::regclass"
        )
        store = place.store(auto_migrate="false")
        told = await store.migrate(dry_run=True)
        assert [each.split()[:3] for each in told] == [
            ["DROP", "INDEX", "CONCURRENTLY"], ["CREATE", "INDEX", "CONCURRENTLY"],
        ]  # fmt: skip
        stores = [place.store(auto_migrate="false") for _ in range(3)]
        assert told in await asyncio.gather(*(each.migrate() for each in stores))
        assert await self._complete(place)
        assert await store.migrate() == []

    async def test_who_owns_nothing_is_told_of_it(self, place: Place) -> None:
        async with place.opened():
            pass
        clerk = f"{place.table}_clerk"
        await place.execute(
            "DROP INDEX {t}_dead_idx",
            f"CREATE ROLE {clerk} LOGIN",
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {clerk}",
        )
        there = Place(place.url.replace("postgres@", f"{clerk}@"), place.table)
        async with there.opened() as store:
            assert any("indexes are missing" in each for each in await store.check())
            assert await store.migrate() == []
        await place.execute(f"DROP OWNED BY {clerk}", f"DROP ROLE {clerk}")

    async def _is_being_made(self, place: Place) -> bool:
        return bool(
            await place.fetch(
                "SELECT FROM pg_stat_progress_create_index "
                "WHERE relid = '{t}_leases'::regclass AND index_relid <> 0"
            )
        )

    async def _complete(self, place: Place) -> bool:
        found = await place.fetch(
            "SELECT indisvalid FROM pg_index WHERE indrelid IN ('{t}'::regclass, '{t}_leases'::regclass)"
        )
        return len(found) == 3 + len(ddl.INDEXES) and all(row[0] for row in found)


class TestCodeThatIsTooOld:
    @pytest.fixture
    async def store(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[PostgresStore]:
        monkeypatch.setattr(usable, "_EVERY", 0.0)
        async with place.opened() as store:
            yield store

    async def _move_on(self, place: Place, version: int = 99) -> None:
        await place.execute(f"UPDATE {{t}}_version SET usable_from = {version}")

    async def test_it_claims_and_schedules_no_more(
        self, store: PostgresStore, place: Place
    ) -> None:
        await store.put([due("a", "b")])
        batch = await store.claim(limit=1, lease=MINUTE, owner="me")
        await self._move_on(place)
        told = "usable from version 99 on"
        for ask in (
            store.claim(limit=1, lease=MINUTE, owner="me"),
            store.put([due("c")]),
            store.cancel(["b"]),
            store.list(Filter()),
            store.stats(),
        ):
            with pytest.raises(StoreError, match=told) as caught:
                await ask
            assert not isinstance(caught.value, StoreUnavailable)
        async with place.connection() as connection, connection.transaction():
            with pytest.raises(StoreError, match=told):
                await store.put([due("c")], within=connection)
            with pytest.raises(StoreError, match=told):
                await store.get("a", within=connection)
        # What is in hand is settled all the same.
        assert batch.token is not None
        assert await store.renew([batch.token], MINUTE) == [[]]
        settling = [Settle(batch.token)]
        empty = await store.claim(limit=1, lease=MINUTE, owner="me", settle=settling)
        assert (empty.claims, empty.token, empty.more) == ((), None, False)
        assert list(empty.settled) == [True]
        assert await store.settle(settling) == [False]
        await self._move_on(place, 1)
        assert await ids(store) == ["b"]

    async def test_a_scheduler_says_so_and_stops(self, store: PostgresStore, place: Place) -> None:
        delivered = list[str]()
        scheduler = duly.Scheduler(store, lambda envelope: delivered.append(envelope.message_id))
        async with scheduler.running():
            await scheduler.schedule(Message("event", id="a", scheduled_at=duly.after()))
            await until(lambda: self._came(delivered, "a"))
            await self._move_on(place)
            await until(lambda: self._ill(scheduler))
            assert "usable from version 99 on" in (await scheduler.health()).reason
            await place.execute("SELECT {t}_schedule('event', id => 'b')")
            await self._move_on(place, 1)
            await until(lambda: self._came(delivered, "b"))
            assert not await self._ill(scheduler)

    async def _came(self, delivered: list[str], id: str) -> bool:
        return id in delivered

    async def _ill(self, scheduler: duly.Scheduler) -> bool:
        return (await scheduler.health()).status is duly.Status.UNHEALTHY

    async def test_it_is_looked_at_within_a_minute(self) -> None:
        assert usable._EVERY <= 60 - 10  # at most a nap and a call come on top


class TestByHand:
    async def test_the_command_that_is_told_works(self, place: Place) -> None:
        url = f"{place.url}?table={place.table}&auto_migrate=false"
        found = re.search(r'python -c "(.*?)"', await refusal(url))
        assert found is not None
        code = found[1].replace("URL", url)
        command = [sys.executable, "-W", "error", "-c", code]
        await asyncio.to_thread(subprocess.run, command, check=True, timeout=50)
        async with place.opened(auto_migrate="false") as store:
            assert await store.put([group("a")]) == [None]

    async def test_what_it_says_of_a_store_of_yours_works(self, place: Place) -> None:
        store = place.store(auto_migrate="false")
        with pytest.raises(StoreError, match=r"await store\.migrate\(\) before it is opened"):
            await store.open()
        await store.migrate()
        async with duly.Client(store) as client:
            assert await client.list() == []
        await store.close()
